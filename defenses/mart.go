package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// MART (Wang et al. 2020, section 3.3) weights the divergence between the outputs for an image and
// for its adversarial example by how unsure the network is of the clean image, and takes a boosted
// cross-entropy on the adversarial example. The attack ascends its own loss, from x + 0.001 N(0,1)
// unless it has a random start.
type MART struct {
	// Beta weights the divergence: lambda in the paper, which takes 5; the authors' code takes 6.
	Beta configs.Number                 `toml:"beta"`
	With configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *MART) Validate() error {
	if err := positive("beta", float64(d.Beta)); err != nil {
		return err
	}
	return validAttack(d.With)
}

// Share implements Defense.
func (d *MART) Share() float64 { return 1 }

// Attack implements Defense.
func (d *MART) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *MART) Rows(batch int) int { return 2 * batch }

// OwnLoss implements OwnLoss.
func (d *MART) OwnLoss() bool { return true }

// Step implements Defense.
func (d *MART) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	counts, err := s.perturb(d.With.Value, b, len(b.Labels), startNear)
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.updatePairs(b, nn.MART{Beta: float32(d.Beta)}, false)
	return m.count(counts), err
}

func init() {
	registry.Register("mart", func() Defense { return &MART{Beta: 5, With: chosen("pgd", fromNear)} })
}
