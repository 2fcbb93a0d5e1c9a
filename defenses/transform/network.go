package transform

import (
	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
)

// Network is a network behind a chain of transformations, as attacks that know them meet it:
// InputGrad goes through each Backward. A random chain draws anew for each Call.Noise and
// Call.Example; attacks.InExpectation makes an attack on it one on the expectation.
type Network struct {
	attacks.Preprocessed
	chain Chain
}

// Behind puts a network behind a chain, whose random numbers come from seed. An empty chain leaves
// the network as it is.
func Behind(v attacks.Victim, c Chain, seed uint64) attacks.Victim {
	if len(c) == 0 {
		return v
	}
	return New(v, c, seed)
}

// New is Behind for a chain that is not empty.
func New(v attacks.Victim, c Chain, seed uint64) *Network {
	return &Network{attacks.Preprocessed{Victim: v, Step: c.bind(v.Input(), seed)}, c}
}

// Chain is what stands before the network.
func (n *Network) Chain() Chain { return n.chain }

// Bare is the network without its transformations.
func (n *Network) Bare() attacks.Victim { return n.Victim }

// Naive is an attack as it is made in ignorance of the transformations, and of a denoiser that the network
// begins with: on the network without them, its examples judged behind them. Against what has neither it is
// the attack itself.
type Naive struct{ oblivious }

// NewNaive makes one of an attack, which stops where it is used to: at what breaks the bare network.
func NewNaive(a attacks.Attack) *Naive { return &Naive{nested(a)} }

// Label implements attacks.Attack.
func (a *Naive) Label() string { return "naive: " + a.Attack.Value.Label() }

// At implements attacks.Attack.
func (a *Naive) At(epsilon float64) attacks.Attack { return &Naive{a.at(epsilon)} }

// Perturb implements attacks.Attack.
func (a *Naive) Perturb(v attacks.Victim, b *attacks.Batch, adv device.Tensor, d attacks.Draw) (device.Counts, error) {
	if n, ok := v.(*Network); ok {
		v = n.Bare()
	}
	if m, ok := v.(*nn.Model); ok && m.Spec.Denoised() {
		classifier, err := m.Classifier()
		if err != nil {
			return device.Counts{}, err
		}
		v = classifier
	}
	return a.Attack.Value.Perturb(v, b, adv, d)
}

// OneDraw is an attack that takes each gradient of a random network over a single draw.
type OneDraw struct{ oblivious }

// NewOneDraw makes one of an attack.
func NewOneDraw(a attacks.Attack) *OneDraw { return &OneDraw{nested(attacks.Persistent(a))} }

// Label implements attacks.Attack.
func (a *OneDraw) Label() string { return "one draw: " + a.Attack.Value.Label() }

// At implements attacks.Attack.
func (a *OneDraw) At(epsilon float64) attacks.Attack { return &OneDraw{a.at(epsilon)} }

// Perturb implements attacks.Attack.
func (a *OneDraw) Perturb(v attacks.Victim, b *attacks.Batch, adv device.Tensor, d attacks.Draw) (device.Counts, error) {
	return a.Attack.Value.Perturb(v, b, adv, d)
}

// oblivious is an attack that does not know all of the defence, made of one that would.
type oblivious struct{ attacks.Nested }

func nested(a attacks.Attack) oblivious {
	return oblivious{attacks.Nested{Attack: attacks.Chosen(a)}}
}

// Oblivious implements attacks.Oblivious.
func (oblivious) Oblivious() {}

// Validate implements attacks.Attack.
func (o oblivious) Validate() error { return o.Attack.Value.Validate() }

// Gradients implements attacks.Attack.
func (o oblivious) Gradients() int { return o.Attack.Value.Gradients() }

func (o oblivious) at(epsilon float64) oblivious {
	return nested(o.Attack.Value.At(epsilon))
}
