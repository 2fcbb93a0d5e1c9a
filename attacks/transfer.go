package attacks

import (
	"errors"
	"fmt"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// Sourced is an Attack that works on another network than the one it is judged on. Whoever runs it
// loads that network and hands it over first.
type Sourced interface {
	Attack
	// Checkpoint is where the other network lies.
	Checkpoint() string
	SetSource(Victim)
}

// Transfer makes adversarial examples of another network, the source, by another attack, for the
// victim to be judged on (Papernot et al. 2016, "Transferability in Machine Learning").
type Transfer struct {
	// Path is the source's checkpoint.
	Path string `toml:"checkpoint"`
	Nested
	source Victim
}

// Checkpoint implements Sourced.
func (a *Transfer) Checkpoint() string { return a.Path }

// SetSource implements Sourced.
func (a *Transfer) SetSource(v Victim) { a.source = v }

// Validate implements Attack.
func (a *Transfer) Validate() error {
	if a.Path == "" && a.source == nil {
		return registry.Errorf("checkpoint", "missing: name the checkpoint of the network to transfer from")
	}
	return a.validate()
}

// Label implements Attack.
func (a *Transfer) Label() string { return "transfer " + a.Attack.Value.Label() }

// Gradients implements Attack.
func (a *Transfer) Gradients() int { return a.Attack.Value.Gradients() }

// Minimal implements Minimal: what is nearest to a boundary of the source is not so for the victim.
func (a *Transfer) Minimal() bool { return false }

// At implements Attack.
func (a *Transfer) At(epsilon float64) Attack {
	return &Transfer{Path: a.Path, Nested: a.at(epsilon), source: a.source}
}

// Perturb implements Attack. Of the victim it knows the shape only.
func (a *Transfer) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (counts device.Counts, err error) {
	if a.source == nil {
		return counts, errors.New("the network to transfer from is not loaded")
	}
	if a.source.Input() != v.Input() || a.source.Classes() != v.Classes() {
		return counts, fmt.Errorf("the network to transfer from has inputs of %v and %d classes, the one under attack %v and %d: train it on the same data",
			a.source.Input(), a.source.Classes(), v.Input(), v.Classes())
	}
	n, size := len(b.Labels), v.Input().Size()
	x := make([]float32, n*size)
	b.X.Download(x, 0)
	most := min(a.source.Rows(), n) // of the batches that the source takes
	in, out := a.source.New(most*size), a.source.New(most*size)
	for start := 0; start < n; start += most {
		end := min(start+most, n)
		in.Upload(x[start*size:end*size], 0)
		c, err := a.Attack.Value.Perturb(a.source, &Batch{X: in, Labels: b.Labels[start:end], Index: b.Index[start:end], Data: b.Data}, out, d)
		if mean, ok := a.source.(EOT); ok {
			c = mean.passes(c)
		}
		counts.Add(c)
		if err != nil {
			return counts, err
		}
		out.Download(x[start*size:end*size], 0)
	}
	adv.Upload(x, 0)
	return counts, nil
}

func init() {
	registry.Register("transfer", func() Attack {
		a := &Transfer{Nested: nest("pgd")}
		// What breaks the source by a hair seldom breaks another network.
		a.Attack.Value.(*PGD).EarlyStop = false
		return a
	})
}
