package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn/registry"
)

// FGSMRS is fast adversarial training (Wong et al. 2020, algorithm 3): one step of 1.25 eps from a
// uniform start, all examples adversarial; the gradient is taken at the start as it was drawn, see uncut.
// Training against one step can overfit to it from one epoch to the next (section 5 there); the guard ends it
// then.
type FGSMRS struct {
	With configs.Choice[attacks.Attack] `toml:"attack"`
	// Drop is how far the probed robust accuracy may fall below its best before training stops and
	// returns to the weights of that best; 0 is no guard. The authors' code takes 0.2.
	Drop configs.Number `toml:"guard"`
	Smoothing
}

// Validate implements Defense.
func (d *FGSMRS) Validate() error {
	if !(d.Drop >= 0 && d.Drop < 1) {
		return registry.Errorf("guard", "%v is no fall of an accuracy: it must lie in [0,1), 0 for no guard", float64(d.Drop))
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	if err := validAttack(d.With); err != nil {
		return err
	}
	if a, ok := d.With.Value.(*attacks.FGSM); !ok || !a.RandomStart {
		return registry.Errorf("attack", `fast training is that against "fgsm" with random_start = true: for other attacks choose the defence "pgd_at"`)
	}
	return nil
}

// Share implements Defense.
func (d *FGSMRS) Share() float64 { return 1 }

// Attack implements Defense.
func (d *FGSMRS) Attack() attacks.Attack { return d.With.Value }

// Guard implements Guarded.
func (d *FGSMRS) Guard() float64 { return float64(d.Drop) }

// OwnLoss implements OwnLoss.
func (d *FGSMRS) OwnLoss() bool { return d.Label > 0 }

// Step implements Defense.
func (d *FGSMRS) Step(s *Session, b *data.Batch) (Metrics, error) {
	s.uncut = true
	defer func() { s.uncut = false }()
	return s.adversarial(d.With.Value, b, nil, d.Smoothing)
}

// adversarial is a step of adversarial training on all examples of the batch.
func (s *Session) adversarial(a attacks.Attack, b *data.Batch, bend bend, smooth Smoothing) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	counts, err := s.perturb(a, b, len(b.Labels), bend)
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.update(s.adv, b, len(b.Labels), smooth)
	return m.count(counts), err
}

func init() {
	registry.Register("fgsm_rs", func() Defense {
		return &FGSMRS{Drop: 0.2, With: chosen("fgsm", func(a *attacks.FGSM) { a.RandomStart = true })}
	})
}
