package defenses

import (
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// CROWNIBP is CROWN-IBP training (Zhang et al. 2020): that of IBP, but the worst logits are bounded by
// 1-beta times interval bounds and beta times linear ones, which are tighter while the network is not yet
// trained for intervals. As in the paper's section 4, beta moves over the ramp together with eps and kappa,
// from 1 to its own value. See nn.Crown for the networks that have such bounds.
type CROWNIBP struct {
	IBP
	// Beta is the share of the linear bounds at the end of the ramp: 0, the default, ends with intervals
	// alone, which train faster and, at large eps, to better bounds.
	Beta configs.Number `toml:"beta"`
}

// Validate implements Defense.
func (d *CROWNIBP) Validate() error {
	if !(d.Beta >= 0 && d.Beta <= 1) {
		return registry.Errorf("beta", "%v must lie in [0,1]", float64(d.Beta))
	}
	return d.IBP.Validate()
}

// BetaAt is the share of the linear bounds at a share of the steps.
func (d *CROWNIBP) BetaAt(progress float64) float64 {
	return 1 - d.done(progress)*(1-float64(d.Beta))
}

// Work implements Worker: a linear bound goes back, and its gradient forward, for each other class; ten
// classes are assumed, and a ramp of half the training.
func (d *CROWNIBP) Work() (attack, update float64) {
	return 0, 3 + 9*max(float64(d.Beta), float64(d.Ramp))
}

// Suits implements Choosy.
func (d *CROWNIBP) Suits(m *nn.Model) error {
	_, err := nn.NewCrown(m, 1)
	return err
}

// Step implements Defense.
func (d *CROWNIBP) Step(s *Session, b *data.Batch) (Metrics, error) {
	beta := d.BetaAt(s.Progress)
	if beta == 0 {
		return d.IBP.Step(s, b)
	}
	return d.step(s, b, func(b *data.Batch, epsilon, scale float64) (float64, error) {
		if s.crown == nil {
			crown, err := nn.NewCrown(s.Model, s.rows)
			if err != nil {
				return 0, err
			}
			if crown.Before, err = s.boundsBefore(); err != nil {
				return 0, err
			}
			s.crown = crown
		}
		return s.crown.AddGrad(b.X, b.Labels, epsilon, beta, scale)
	})
}

func init() {
	registry.Register("crown_ibp", func() Defense {
		return &CROWNIBP{IBP: IBP{Epsilon: 0.4, Kappa: 0.5, Warmup: 0.05, Ramp: 0.25}}
	})
}
