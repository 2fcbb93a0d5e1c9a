package transform

import (
	"fmt"
	"math"

	"rampart/nn/registry"
)

// Gaussian blurs with a Gaussian cut off at 4 standard deviations, mirrored at the borders: scipy's
// gaussian_filter.
type Gaussian struct {
	Placed
	anyShape
	fixed
	monotone
	exact
	// Sigma is the standard deviation in pixels.
	Sigma float64 `toml:"sigma"`
}

// Validate implements Transform.
func (t *Gaussian) Validate() error {
	if !(t.Sigma > 0 && t.Sigma <= 32) {
		return registry.Errorf("sigma", "%v must be above 0 and at most 32 pixels", t.Sigma)
	}
	return t.Placed.Validate()
}

// Label implements Transform.
func (t *Gaussian) Label() string { return fmt.Sprintf("Gaussian filter (sigma %.3g)", t.Sigma) }

// taps are the weights from -radius to radius.
func (t *Gaussian) taps() []float64 {
	radius := int(4*t.Sigma + 0.5)
	w, sum := make([]float64, 2*radius+1), 0.0
	for i := range w {
		d := float64(i-radius) / t.Sigma
		w[i] = math.Exp(-d * d / 2)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// Forward implements Transform.
func (t *Gaussian) Forward(v *View) {
	t.both(v, v.X, func(to, from []float64, i, j int, w float64) { to[i] += w * from[j] })
}

// Backward implements Transform: the transpose.
func (t *Gaussian) Backward(dx []float32, v *View) {
	t.both(v, dx, func(to, from []float64, i, j int, w float64) { to[j] += w * from[i] })
}

// both passes over an image along one axis, then along the other; add puts the share w that the
// value at j has in the one at i. The two passes commute.
func (t *Gaussian) both(v *View, image []float32, add func(to, from []float64, i, j int, w float64)) {
	from := make([]float64, len(image))
	for i, p := range image {
		from[i] = float64(p)
	}
	taps, in := t.taps(), v.In
	for _, axis := range []struct{ n, stride int }{{in.H, in.W * in.C}, {in.W, in.C}} {
		to := make([]float64, len(from))
		for i := range from {
			at := i / axis.stride % axis.n
			for k, w := range taps {
				j := mirror(at+k-len(taps)/2, axis.n)
				add(to, from, i, i+(j-at)*axis.stride, w)
			}
		}
		from = to
	}
	for i, p := range from {
		image[i] = float32(p)
	}
}

func init() {
	registry.Register("gaussian", func() Transform { return &Gaussian{Placed: deployed, Sigma: 1} })
}
