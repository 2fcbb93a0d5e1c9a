package data

import (
	"fmt"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("crop", func() Augmentation { return &Crop{Padding: 4, Border: "constant"} })
}

// Crop moves the image by up to Padding pixels in each direction: it is padded on all sides and
// cut to its size at a random place (torchvision's RandomCrop with padding; He et al. 2016,
// section 4.2).
type Crop struct {
	Padding int `toml:"padding"`
	// Border is what lies outside: "constant" (Fill), "edge" (the last pixel), "reflect" (mirrored,
	// the last pixel once) or "symmetric" (mirrored, the last pixel twice), as in torchvision.
	Border string  `toml:"border"`
	Fill   float64 `toml:"fill"`
}

// Validate implements Augmentation.
func (a *Crop) Validate() error {
	if a.Padding < 1 {
		return registry.Errorf("padding", "%d must be at least 1", a.Padding)
	}
	if borders[a.Border] == nil {
		return registry.Errorf("border", `%q: use "constant", "edge", "reflect" or "symmetric"`, a.Border)
	}
	if a.Fill != 0 && a.Border != "constant" {
		return registry.Errorf("fill", "border = %q fills with nothing: remove the key", a.Border)
	}
	return checkUnit("fill", a.Fill)
}

// checkUnit reports an option that must lie in [0,1].
func checkUnit(key string, v float64) error {
	if !(v >= 0 && v <= 1) {
		return registry.Errorf(key, "%v must lie between 0 and 1", v)
	}
	return nil
}

// Fits implements Augmentation.
func (a *Crop) Fits(h, w, c int) error {
	most := min(h, w)
	if a.Border == "reflect" {
		most--
	}
	if a.Padding > most {
		return fmt.Errorf("crop: padding = %d: at most %d fits", a.Padding, most)
	}
	return nil
}

// borders map a position outside [0,n) into it; -1 is the fill.
var borders = map[string]func(i, n int) int{
	"constant": func(i, n int) int { return -1 },
	"edge":     func(i, n int) int { return min(max(i, 0), n-1) },
	"reflect": func(i, n int) int {
		if i < 0 {
			return -i
		}
		return 2*n - 2 - i
	},
	"symmetric": func(i, n int) int {
		if i < 0 {
			return -1 - i
		}
		return 2*n - 1 - i
	},
}

// Apply implements Augmentation.
func (a *Crop) Apply(v *View) {
	down := int(v.Draw.Uint32n(uint32(2*a.Padding+1))) - a.Padding
	right := int(v.Draw.Uint32n(uint32(2*a.Padding+1))) - a.Padding
	a.shift(v, down, right)
}

// shift makes pixel (y, x) what (y+down, x+right) was.
func (a *Crop) shift(v *View, down, right int) {
	border := borders[a.Border]
	inside := func(i, n int) int {
		if i < 0 || i >= n {
			return border(i, n)
		}
		return i
	}
	copy(v.Scratch, v.X)
	for y := range v.H {
		fromY := inside(y+down, v.H)
		for x := range v.W {
			fromX := inside(x+right, v.W)
			to := v.X[(y*v.W+x)*v.C:][:v.C]
			if fromY < 0 || fromX < 0 {
				for c := range to {
					to[c] = float32(a.Fill)
				}
				continue
			}
			copy(to, v.Scratch[(fromY*v.W+fromX)*v.C:])
		}
	}
}
