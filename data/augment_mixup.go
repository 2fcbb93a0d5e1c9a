package data

import (
	"gonum.org/v1/gonum/mathext"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("mixup", func() Augmentation { return &Mixup{mixing{Alpha: 0.2, P: 1}} })
	registry.Register[Augmentation]("cutmix", func() Augmentation { return &CutMix{mixing{Alpha: 1, P: 1}} })
}

// mixing are the options of what mixes two examples.
type mixing struct {
	// Alpha is the parameter of the Beta(Alpha, Alpha) distribution of the example's own share.
	Alpha float64 `toml:"alpha"`
	// P is the probability with which an example is mixed at all.
	P float64 `toml:"p"`
}

// Validate implements Augmentation.
func (a *mixing) Validate() error {
	if !(a.Alpha >= 0.01 && a.Alpha <= 100) {
		return registry.Errorf("alpha", "%v must lie between 0.01 and 100", a.Alpha)
	}
	return checkUnit("p", a.P)
}

// Fits implements Augmentation.
func (*mixing) Fits(h, w, c int) error { return nil }

// Mixes implements Mixer.
func (*mixing) Mixes() {}

// share draws from the Beta distribution by its inverse.
func (a *mixing) share(v *View) float64 {
	return mathext.InvRegIncBeta(a.Alpha, a.Alpha, v.Draw.Float64())
}

// Mixup blends an example with another one (Zhang et al. 2018). The share is drawn for each
// example, not for a batch.
type Mixup struct{ mixing }

// Apply implements Augmentation.
func (a *Mixup) Apply(v *View) {
	if !v.Chance(a.P) {
		return
	}
	v.Weight = float32(a.share(v))
	for i, p := range v.Partner {
		v.X[i] = min(v.Weight*v.X[i]+(1-v.Weight)*p, 1) // rounding may reach past 1
	}
}
