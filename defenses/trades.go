package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// TRADES (Zhang et al. 2019, algorithm 1) adds to the clean loss beta times the divergence between
// the outputs for an image and for its worst neighbour, which the attack finds by ascending that
// divergence from x + 0.001 N(0,1), in evaluation mode. Clean and adversarial rows go through the
// network in one batch, so that batch normalisation, where there is any, sees both together.
type TRADES struct {
	Beta configs.Number                 `toml:"beta"` // 1/lambda of the paper
	With configs.Choice[attacks.Attack] `toml:"attack"`
	Smoothing
}

// Validate implements Defense.
func (d *TRADES) Validate() error {
	if err := positive("beta", float64(d.Beta)); err != nil {
		return err
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	if err := validAttack(d.With); err != nil {
		return err
	}
	return validInner(d.With.Value)
}

// Share implements Defense.
func (d *TRADES) Share() float64 { return 1 }

// Attack implements Defense.
func (d *TRADES) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *TRADES) Rows(batch int) int { return 2 * batch }

// OwnLoss implements OwnLoss.
func (d *TRADES) OwnLoss() bool { return true }

// Step implements Defense.
func (d *TRADES) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	n := len(b.Labels)
	if err := s.answer(n, s.x, s.soft); err != nil {
		return Metrics{}, err
	}
	counts, err := s.perturb(d.With.Value, b, n, awayFrom(s.soft))
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.updatePairs(b, nn.TRADES{Beta: float32(d.Beta), Smoothing: float32(d.Label)}, false)
	return m.count(counts), err
}

func init() {
	registry.Register("trades", func() Defense {
		return &TRADES{Beta: 6, With: chosen("pgd", fromNear)}
	})
}
