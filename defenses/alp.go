package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// ALP is adversarial logit pairing (Kannan et al. 2018, section 3.1): adversarial training on each
// image and its adversarial example alike, and Weight times the mean squared difference of their
// logits. Measure it with long attacks and restarts: Engstrom et al. (2018) found it to mask
// gradients on ImageNet.
type ALP struct {
	Weight configs.Number                 `toml:"weight"`
	With   configs.Choice[attacks.Attack] `toml:"attack"`
	Smoothing
}

// Validate implements Defense.
func (d *ALP) Validate() error {
	if err := positive("weight", float64(d.Weight)); err != nil {
		return err
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	return validAttack(d.With)
}

// Share implements Defense.
func (d *ALP) Share() float64 { return 1 }

// Attack implements Defense.
func (d *ALP) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *ALP) Rows(batch int) int { return 2 * batch }

// OwnLoss implements OwnLoss.
func (d *ALP) OwnLoss() bool { return true }

// Step implements Defense.
func (d *ALP) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	counts, err := s.perturb(d.With.Value, b, len(b.Labels), nil)
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.updatePairs(b, nn.LogitPairing{Weight: float32(d.Weight), Smoothing: float32(d.Label)}, false)
	return m.count(counts), err
}

func init() {
	registry.Register("alp", func() Defense { return &ALP{Weight: 0.5, With: chosen("pgd", lastIterate)} })
}
