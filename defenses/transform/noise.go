package transform

import (
	"fmt"

	"rampart/nn/registry"
)

// Noise adds Gaussian noise. Nothing is clipped afterwards, as in randomised smoothing (Cohen et
// al. 2019), so that the gradient is the identity indeed.
type Noise struct {
	Placed
	anyShape
	exact
	Std float64 `toml:"std"`
}

// Validate implements Transform.
func (t *Noise) Validate() error {
	if !(t.Std > 0) {
		return registry.Errorf("std", "%v must be above 0", t.Std)
	}
	return t.Placed.Validate()
}

// Label implements Transform.
func (t *Noise) Label() string { return fmt.Sprintf("noise (std %.3g)", t.Std) }

// Random implements Transform.
func (*Noise) Random() bool { return true }

// Forward implements Transform.
func (t *Noise) Forward(v *View) {
	z := make([]float32, len(v.X))
	v.Stream.Normal(z, 0, float32(t.Std), v.Example, v.Restart, v.Step)
	for i, d := range z {
		v.X[i] += d
	}
}

// Backward implements Transform.
func (*Noise) Backward([]float32, *View) {}

func init() {
	registry.Register("noise", func() Transform { return &Noise{Placed: deployed, Std: 0.25} })
}
