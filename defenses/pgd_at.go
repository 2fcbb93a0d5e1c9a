package defenses

import (
	"fmt"
	"math"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn/registry"
)

// PGDAT is adversarial training (Madry et al. 2018, section 2): the first Adversarial share of
// each minibatch is replaced by examples that the attack makes against the network as it is, the
// rest stays clean (Goodfellow et al. 2015 and Kurakin et al. 2017 mix; Madry et al. do not).
type PGDAT struct {
	Adversarial configs.Number                 `toml:"adversarial"`
	With        configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *PGDAT) Validate() error {
	if !(d.Adversarial > 0 && d.Adversarial <= 1) {
		return registry.Errorf("adversarial", `%v must be a share above 0 and at most 1 (for none, choose the defence "natural")`, float64(d.Adversarial))
	}
	if !d.With.Set() {
		return registry.Errorf("attack", "a [defense.attack] table is needed")
	}
	if n := d.With.Value.Restarts(); n > 1 {
		return registry.Errorf("attack.restarts", "%d restarts: training makes one run of its attack on each example", n)
	}
	return nil
}

// Share implements Defense.
func (d *PGDAT) Share() float64 { return float64(d.Adversarial) }

// Attack implements Defense.
func (d *PGDAT) Attack() attacks.Attack { return d.With.Value }

// Step implements Defense.
func (d *PGDAT) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	rows := int(math.Round(float64(d.Adversarial) * float64(len(b.Labels))))
	attack := d.With.Value
	epsilon := float64(attack.Threat().Epsilon) * s.EpsilonScale
	s.adv.Upload(b.X, 0)
	if epsilon == 0 || rows == 0 {
		return s.update(s.adv, b, rows)
	}
	// The step number takes the place of the restart, so that an example meets new noise each time.
	counts, err := attack.At(epsilon).Perturb(s.Model, &attacks.Batch{X: s.x, Labels: b.Labels[:rows], Index: b.Index[:rows]},
		s.adv, attacks.Draw{Stream: s.Noise, Restart: uint32(s.Step)})
	if err != nil {
		return Metrics{}, fmt.Errorf("%s: %w", attack.Label(), err)
	}
	m, err := s.update(s.adv, b, rows)
	m.Gradients, m.ZeroGradients, m.BadGradients = counts.Gradients, counts.Zero, counts.NonFinite
	return m, err
}

func init() {
	registry.Register("pgd_at", func() Defense {
		attack, err := configs.Choose[attacks.Attack]("pgd")
		if err != nil {
			panic(err) // registered by package attacks
		}
		pgd := attack.Value.(*attacks.PGD)
		pgd.EarlyStop, pgd.KeepBest = false, false // Madry et al. train on the last iterate
		return &PGDAT{Adversarial: 0.5, With: attack}
	})
}
