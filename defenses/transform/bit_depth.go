package transform

import (
	"fmt"
	"math"

	"rampart/nn/registry"
)

// BitDepth rounds each value to 2^Bits levels (Xu et al. 2018, "Feature squeezing", section 3.1).
type BitDepth struct {
	Placed
	anyShape
	fixed
	monotone
	straight
	// Bits is 1 for MNIST in the paper, 4 or 5 for CIFAR-10.
	Bits int `toml:"bits"`
}

// Validate implements Transform.
func (t *BitDepth) Validate() error {
	if t.Bits < 1 || t.Bits > 8 {
		return registry.Errorf("bits", "%d must lie between 1 and 8", t.Bits)
	}
	return t.Placed.Validate()
}

// Label implements Transform.
func (t *BitDepth) Label() string {
	return fmt.Sprintf("bit depth (%d bit%s)", t.Bits, map[bool]string{true: "s"}[t.Bits > 1])
}

// Forward implements Transform.
func (t *BitDepth) Forward(v *View) {
	most := float32(int(1)<<t.Bits - 1)
	for i, p := range v.X {
		v.X[i] = float32(math.RoundToEven(float64(p*most))) / most
	}
}

func init() {
	registry.Register("bit_depth", func() Transform { return &BitDepth{Placed: deployed, Bits: 1} })
}
