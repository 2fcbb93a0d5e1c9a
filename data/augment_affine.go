package data

import (
	"math"

	"rampart/nn/registry"
)

func init() {
	registry.Register[Augmentation]("affine", func() Augmentation {
		return &Affine{Degrees: 10, Scale: []float64{1, 1}, Interpolation: "bilinear"}
	})
}

// Affine turns, moves, scales and shears the image about its centre (torchvision's RandomAffine; that of
// Simard et al. 2003, section 2, for handwritten digits). Each amount is drawn evenly. Moves need not be whole pixels.
type Affine struct {
	Degrees   float64   `toml:"degrees"`   // turned by up to this, either way
	Translate float64   `toml:"translate"` // moved by up to this share of its sides
	Scale     []float64 `toml:"scale"`     // from, to; above 1 enlarges
	Shear     float64   `toml:"shear"`     // degrees, along both sides, either way
	// Interpolation is "bilinear", or "nearest", which makes no new values.
	Interpolation string  `toml:"interpolation"`
	Fill          float64 `toml:"fill"` // what lies outside the image
}

// Validate implements Augmentation.
func (a *Affine) Validate() error {
	if err := checkUnit("translate", a.Translate); err != nil {
		return err
	}
	switch {
	case !(a.Degrees >= 0 && a.Degrees <= 180):
		return registry.Errorf("degrees", "%v must lie between 0 and 180", a.Degrees)
	case len(a.Scale) != 2 || !(a.Scale[0] >= 0.1 && a.Scale[0] <= a.Scale[1] && a.Scale[1] <= 10):
		return registry.Errorf("scale", "%v: give the least and the greatest factor, such as [0.9, 1.1], within [0.1, 10]", a.Scale)
	case !(a.Shear >= 0 && a.Shear <= 60):
		return registry.Errorf("shear", "%v must lie between 0 and 60 degrees", a.Shear)
	case a.Interpolation != "bilinear" && a.Interpolation != "nearest":
		return registry.Errorf("interpolation", `%q: use "bilinear" or "nearest"`, a.Interpolation)
	case a.Degrees == 0 && a.Translate == 0 && a.Shear == 0 && a.Scale[0] == 1 && a.Scale[1] == 1:
		return registry.Errorf("degrees", "set it, translate, scale or shear: as it is nothing changes")
	}
	return checkUnit("fill", a.Fill)
}

// Fits implements Augmentation.
func (a *Affine) Fits(h, w, c int) error { return nil }

// Apply implements Augmentation.
func (a *Affine) Apply(v *View) {
	const degree = math.Pi / 180
	angle := v.Uniform(-a.Degrees, a.Degrees) * degree
	right := v.Uniform(-a.Translate, a.Translate) * float64(v.W)
	down := v.Uniform(-a.Translate, a.Translate) * float64(v.H)
	scale := v.Uniform(a.Scale[0], a.Scale[1])
	shearX := v.Uniform(-a.Shear, a.Shear) * degree
	shearY := v.Uniform(-a.Shear, a.Shear) * degree
	a.warp(v, inverse(angle, shearX, shearY, scale), right, down)
}

// inverse takes an offset from the centre of the varied image to that in the original, [x from x, x from y; y from x, y from y].
func inverse(angle, shearX, shearY, scale float64) [4]float64 {
	sin, cos := math.Sincos(angle - shearY)
	sin, cos = sin/math.Cos(shearY), cos/math.Cos(shearY)
	return [4]float64{
		(math.Cos(angle) - sin*math.Tan(shearX)) / scale, (math.Sin(angle) + cos*math.Tan(shearX)) / scale,
		-sin / scale, cos / scale,
	}
}

// warp fills each pixel from where m takes it.
func (a *Affine) warp(v *View, m [4]float64, right, down float64) {
	copy(v.Scratch, v.X)
	read := a.bilinear
	if a.Interpolation == "nearest" {
		read = a.nearest
	}
	middleX, middleY := float64(v.W-1)/2, float64(v.H-1)/2
	for y := range v.H {
		for x := range v.W {
			dx, dy := float64(x)-middleX-right, float64(y)-middleY-down
			read(v, m[0]*dx+m[1]*dy+middleX, m[2]*dx+m[3]*dy+middleY, v.X[(y*v.W+x)*v.C:][:v.C])
		}
	}
}

// nearest reads the original image's channels at a place, without blending.
func (a *Affine) nearest(v *View, x, y float64, to []float32) {
	left, top := int(math.RoundToEven(x)), int(math.RoundToEven(y))
	for c := range to {
		to[c] = a.pixel(v, left, top, c)
	}
}

// bilinear reads the original image's channels at a place, from the four pixels around it.
func (a *Affine) bilinear(v *View, x, y float64, to []float32) {
	left, top := math.Floor(x), math.Floor(y)
	i, j, u, w := int(left), int(top), float32(x-left), float32(y-top)
	for c := range to {
		upper := (1-u)*a.pixel(v, i, j, c) + u*a.pixel(v, i+1, j, c)
		lower := (1-u)*a.pixel(v, i, j+1, c) + u*a.pixel(v, i+1, j+1, c)
		to[c] = min((1-w)*upper+w*lower, 1) // rounding may leave the last bit above
	}
}

// pixel reads the original image, or what lies around it.
func (a *Affine) pixel(v *View, x, y, c int) float32 {
	if x < 0 || y < 0 || x >= v.W || y >= v.H {
		return float32(a.Fill)
	}
	return v.Scratch[(y*v.W+x)*v.C+c]
}
