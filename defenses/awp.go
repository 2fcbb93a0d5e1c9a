package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// AWP is adversarial weight perturbation on top of another defence (Wu et al. 2020, section 4): the
// base's gradient is taken where each weight tensor has moved by Gamma times its norm along the
// gradient of the base's loss. Weights return to their bits before the optimiser's step.
type AWP struct {
	// Gamma is 0.01 for adversarial training and 0.005 for TRADES in the paper.
	Gamma configs.Number `toml:"gamma"`
	// Warmup is the share of the steps before weights are perturbed.
	Warmup configs.Number          `toml:"warmup"`
	Base   configs.Choice[Defense] `toml:"base"`
}

// Validate implements Defense.
func (d *AWP) Validate() error {
	if err := positive("gamma", float64(d.Gamma)); err != nil {
		return err
	}
	if !(d.Warmup >= 0 && d.Warmup < 1) {
		return registry.Errorf("warmup", "%v is not a share of the steps below 1", float64(d.Warmup))
	}
	if !d.Base.Set() {
		return registry.Errorf("base", "a [defense.base] table is needed: the defence whose gradient is taken at perturbed weights")
	}
	if _, twice := as[*AWP](d.Base.Value); twice {
		return registry.Errorf("base.name", "weights are perturbed once: choose another defence than \"awp\"")
	}
	if Certified(d.Base.Value) {
		return registry.Errorf("base.name", "bounds are those of the weights as they are, not of perturbed ones: choose another defence than %q", d.Base.Name)
	}
	return nil
}

// Unwrap returns the defence below.
func (d *AWP) Unwrap() Defense { return d.Base.Value }

// Share implements Defense.
func (d *AWP) Share() float64 { return d.Base.Value.Share() }

// Attack implements Defense.
func (d *AWP) Attack() attacks.Attack { return d.Base.Value.Attack() }

// Work implements Worker: the gradient is taken twice.
func (d *AWP) Work() (attack, update float64) {
	attack, update = Work(d.Base.Value)
	return attack, 2 * update
}

// Step implements Defense.
func (d *AWP) Step(s *Session, b *data.Batch) (Metrics, error) {
	if s.Progress < float64(d.Warmup) {
		return d.Base.Value.Step(s, b)
	}
	plain := s.gradient
	defer func() { s.gradient = plain }()
	s.gradient = func(c *device.Call) error { return s.Model.PerturbedGrad(c, float64(d.Gamma)) }
	return d.Base.Value.Step(s, b)
}

func init() {
	registry.Register("awp", func() Defense {
		base, err := configs.Choose[Defense]("pgd_at")
		if err != nil {
			panic(err) // registered above
		}
		base.Value.(*PGDAT).Adversarial = 1
		return &AWP{Gamma: 0.01, Base: base}
	})
}
