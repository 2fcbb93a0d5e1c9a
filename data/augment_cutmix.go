package data

import "math"

// CutMix replaces a rectangle by that of another example (Yun et al. 2019). The weight is the
// share of the area that is left.
type CutMix struct{ mixing }

// Apply implements Augmentation.
func (a *CutMix) Apply(v *View) {
	if !v.Chance(a.P) {
		return
	}
	half := 0.5 * math.Sqrt(1-a.share(v))
	top, left, h, w := v.box(int(half*float64(v.H)), int(half*float64(v.W)))
	v.Rectangle(top, left, h, w, func(at, n int) { copy(v.X[at:at+n], v.Partner[at:at+n]) })
	v.Weight = float32(1 - float64(h*w)/float64(v.H*v.W))
}
