package data

import (
	"math"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("erase", func() Augmentation {
		return &Erase{P: 0.5, Scale: []float64{0.02, 0.33}, Ratio: []float64{0.3, 3.3}}
	})
}

// Erase covers a random rectangle inside the image (Zhong et al. 2020, algorithm 1; torchvision's
// RandomErasing).
type Erase struct {
	P float64 `toml:"p"`
	// Scale bounds the share of the area, Ratio that of height to width, drawn on a logarithmic
	// scale.
	Scale []float64 `toml:"scale"`
	Ratio []float64 `toml:"ratio"`
	// Fill is the new value or, with Noise, every value is drawn from [0,1).
	Fill  float64 `toml:"fill"`
	Noise bool    `toml:"noise"`
}

// Validate implements Augmentation.
func (a *Erase) Validate() error {
	if s := a.Scale; len(s) != 2 || !(s[0] > 0 && s[0] <= s[1] && s[1] <= 1) {
		return registry.Errorf("scale", "%v: give the least and the largest share of the area, such as [0.02, 0.33]", s)
	}
	if r := a.Ratio; len(r) != 2 || !(r[0] > 0 && r[0] <= r[1]) || math.IsInf(r[1], 0) {
		return registry.Errorf("ratio", "%v: give the least and the largest ratio of height to width, such as [0.3, 3.3]", r)
	}
	if a.Noise && a.Fill != 0 {
		return registry.Errorf("fill", "noise = true fills with noise: remove one of them")
	}
	if err := checkUnit("fill", a.Fill); err != nil {
		return err
	}
	return checkUnit("p", a.P)
}

// Fits implements Augmentation.
func (*Erase) Fits(h, w, c int) error { return nil }

// eraseTries is how often a rectangle is drawn that does not fit, before the image stays whole.
const eraseTries = 10

// Apply implements Augmentation.
func (a *Erase) Apply(v *View) {
	if !v.Chance(a.P) {
		return
	}
	for range eraseTries {
		area := float64(v.H*v.W) * v.Uniform(a.Scale[0], a.Scale[1])
		ratio := math.Exp(v.Uniform(math.Log(a.Ratio[0]), math.Log(a.Ratio[1])))
		h, w := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if h >= v.H || w >= v.W {
			continue
		}
		top, left := int(v.Draw.Uint32n(uint32(v.H-h+1))), int(v.Draw.Uint32n(uint32(v.W-w+1)))
		v.Rectangle(top, left, h, w, func(at, n int) {
			for i := range n {
				v.X[at+i] = float32(a.Fill)
				if a.Noise {
					v.X[at+i] = float32(v.Draw.Uint32()>>8) * 0x1p-24
				}
			}
		})
		return
	}
}
