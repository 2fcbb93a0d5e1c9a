package defenses

import (
	"errors"
	"math"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// EnsembleAT is ensemble adversarial training (Tramèr et al. 2018, section 3.4): adversarial
// examples are made on one network for each batch, drawn evenly from the one in training and from
// static, pretrained ones. A network that meets examples of others cannot hide from one-step attacks
// by bending its own gradients. Measure it with iterated attacks: the paper trains against one step, FGSM from
// the image itself, whichever network gives the gradient; R+FGSM (section 4.1) is there to attack with.
//
// The authors' program for MNIST takes the mean of the losses of the clean batch and of its examples, of which
// a share of the batch is an estimate, and steps away from the class that the network sees, not from the label.
type EnsembleAT struct {
	// Adversarial is the share of each minibatch that is attacked; the paper takes half.
	Adversarial configs.Number                 `toml:"adversarial"`
	With        configs.Choice[attacks.Attack] `toml:"attack"`
	Smoothing
}

// Validate implements Defense.
func (d *EnsembleAT) Validate() error {
	if err := validShare("adversarial", float64(d.Adversarial)); err != nil {
		return err
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	return validAttack(d.With)
}

// Share implements Defense.
func (d *EnsembleAT) Share() float64 { return float64(d.Adversarial) }

// Attack implements Defense.
func (d *EnsembleAT) Attack() attacks.Attack { return d.With.Value }

// OwnLoss implements OwnLoss.
func (d *EnsembleAT) OwnLoss() bool { return d.Label > 0 }

// Sources implements Pretrained.
func (d *EnsembleAT) Sources() {}

// Step implements Defense.
func (d *EnsembleAT) Step(s *Session, b *data.Batch) (Metrics, error) {
	if len(s.Sources) == 0 {
		return Metrics{}, errors.New("there are no pretrained networks to make examples on")
	}
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	s.source = s.draw()
	defer func() { s.source = nil }()
	rows := int(math.Round(float64(d.Adversarial) * float64(len(b.Labels))))
	counts, err := s.perturb(d.With.Value, b, rows, nil)
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.update(s.adv, b, rows, d.Smoothing)
	return m.count(counts), err
}

// draw picks the step's network: nil is the one in training.
func (s *Session) draw() *nn.Model {
	var u [1]float32
	s.Noise.Uniform(u[:], 0, 1, math.MaxUint32, uint32(s.Step), 0) // no example has this number
	i := min(int(u[0]*float32(len(s.Sources)+1)), len(s.Sources))
	if i == 0 {
		return nil
	}
	return s.Sources[i-1]
}

func init() {
	registry.Register("ensemble_at", func() Defense {
		return &EnsembleAT{Adversarial: 0.5, With: chosen("fgsm", func(*attacks.FGSM) {})}
	})
}
