package data

import (
	"fmt"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("cutout", func() Augmentation { return &Cutout{Holes: 1, Length: 16} })
}

// Cutout covers squares (DeVries and Taylor 2017). Their centres lie anywhere in the image, so that
// they may reach over its edge.
type Cutout struct {
	Holes  int     `toml:"holes"`
	Length int     `toml:"length"` // of a side, made even
	Fill   float64 `toml:"fill"`
}

// Validate implements Augmentation.
func (a *Cutout) Validate() error {
	if a.Holes < 1 || a.Holes > 100 {
		return registry.Errorf("holes", "%d must lie between 1 and 100", a.Holes)
	}
	if a.Length < 2 {
		return registry.Errorf("length", "%d must be at least 2", a.Length)
	}
	return checkUnit("fill", a.Fill)
}

// Fits implements Augmentation.
func (a *Cutout) Fits(h, w, c int) error {
	if a.Length > 2*max(h, w) {
		return fmt.Errorf("cutout: length = %d covers all of every image", a.Length)
	}
	return nil
}

// Apply implements Augmentation.
func (a *Cutout) Apply(v *View) {
	for range a.Holes {
		top, left, h, w := v.box(a.Length/2, a.Length/2)
		v.Rectangle(top, left, h, w, func(at, n int) {
			for i := range n {
				v.X[at+i] = float32(a.Fill)
			}
		})
	}
}

// box draws the centre of a box of 2*halfH by 2*halfW pixels, and returns its part in the image.
func (v *View) box(halfH, halfW int) (top, left, h, w int) {
	y, x := int(v.Draw.Uint32n(uint32(v.H))), int(v.Draw.Uint32n(uint32(v.W)))
	top, left = max(0, y-halfH), max(0, x-halfW)
	return top, left, min(v.H, y+halfH) - top, min(v.W, x+halfW) - left
}
