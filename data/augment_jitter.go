package data

import (
	"errors"
	"math"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("color_jitter", func() Augmentation { return &ColorJitter{} })
}

// ColorJitter changes brightness, contrast, saturation and hue in random order (torchvision's
// ColorJitter). The first three are multiplied by factors from [1-option, 1+option], not below 0;
// the hue is turned by up to Hue of the circle in each direction.
type ColorJitter struct {
	Brightness float64 `toml:"brightness"`
	Contrast   float64 `toml:"contrast"`
	Saturation float64 `toml:"saturation"`
	Hue        float64 `toml:"hue"`
}

// Validate implements Augmentation.
func (a *ColorJitter) Validate() error {
	for _, o := range []struct {
		key  string
		v, m float64
	}{{"brightness", a.Brightness, 10}, {"contrast", a.Contrast, 10}, {"saturation", a.Saturation, 10}, {"hue", a.Hue, 0.5}} {
		if !(o.v >= 0 && o.v <= o.m) {
			return registry.Errorf(o.key, "%v must lie between 0 and %v", o.v, o.m)
		}
	}
	if *a == (ColorJitter{}) {
		return registry.Errorf("brightness", "set it, contrast, saturation or hue above 0: as it is nothing changes")
	}
	return nil
}

// Fits implements Augmentation.
func (a *ColorJitter) Fits(h, w, c int) error {
	if c != 3 && (c != 1 || a.Saturation > 0 || a.Hue > 0) {
		return errors.New("color_jitter: saturation and hue need RGB images, brightness and contrast RGB or grey ones")
	}
	return nil
}

// Apply implements Augmentation.
func (a *ColorJitter) Apply(v *View) {
	order := [4]int{0, 1, 2, 3}
	for i := 3; i > 0; i-- {
		j := v.Draw.Uint32n(uint32(i + 1))
		order[i], order[j] = order[j], order[i]
	}
	factor := func(spread float64) float32 { return float32(v.Uniform(max(0, 1-spread), 1+spread)) }
	for _, what := range order {
		switch {
		case what == 0 && a.Brightness > 0:
			brightness(v, factor(a.Brightness))
		case what == 1 && a.Contrast > 0:
			contrast(v, factor(a.Contrast))
		case what == 2 && a.Saturation > 0:
			saturation(v, factor(a.Saturation))
		case what == 3 && a.Hue > 0:
			hue(v, float32(v.Uniform(-a.Hue, a.Hue)))
		}
	}
}

// blend is f*x + (1-f)*other, clipped to [0,1].
func blend(x, other, f float32) float32 { return min(max(f*x+(1-f)*other, 0), 1) }

// luma is the grey of a pixel.
func luma(p []float32) float32 {
	if len(p) == 1 {
		return p[0]
	}
	return 0.2989*p[0] + 0.587*p[1] + 0.114*p[2]
}

func brightness(v *View, f float32) {
	for i, x := range v.X {
		v.X[i] = blend(x, 0, f)
	}
}

// contrast moves all values away from the mean grey, or towards it.
func contrast(v *View, f float32) {
	sum := 0.0
	for at := 0; at < len(v.X); at += v.C {
		sum += float64(luma(v.X[at : at+v.C]))
	}
	mean := float32(sum / float64(v.H*v.W))
	for i, x := range v.X {
		v.X[i] = blend(x, mean, f)
	}
}

// saturation moves each pixel away from its grey, or towards it.
func saturation(v *View, f float32) {
	for at := 0; at < len(v.X); at += 3 {
		p := v.X[at : at+3]
		grey := luma(p)
		for c, x := range p {
			p[c] = blend(x, grey, f)
		}
	}
}

// hue turns the hue of HSV by a part of the circle.
func hue(v *View, turn float32) {
	for at := 0; at < len(v.X); at += 3 {
		p := v.X[at : at+3]
		top, low := max(p[0], p[1], p[2]), min(p[0], p[1], p[2])
		spread := top - low
		if spread == 0 {
			continue
		}
		var sixths float32 // hue in sixths of the circle
		switch top {
		case p[0]:
			sixths = (p[1] - p[2]) / spread
		case p[1]:
			sixths = 2 + (p[2]-p[0])/spread
		default:
			sixths = 4 + (p[0]-p[1])/spread
		}
		sixths += 6 * turn
		for c, offset := range [3]float32{5, 3, 1} { // a channel falls and rises as a trapezoid of the hue
			k := float32(math.Mod(float64(offset+sixths)+12, 6))
			p[c] = min(max(top-spread*max(0, min(k, 4-k, 1)), 0), 1)
		}
	}
}
