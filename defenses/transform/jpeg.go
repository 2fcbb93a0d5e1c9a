package transform

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"

	"rampart/nn"
	"rampart/nn/registry"
)

// JPEG compresses an image and decompresses it (Dziugaite et al. 2016; Guo et al. 2018, section 4,
// with quality 75): pixels are rounded to bytes, colour is subsampled 4:2:0.
type JPEG struct {
	Placed
	fixed
	straight
	Quality int `toml:"quality"`
}

// Validate implements Transform.
func (t *JPEG) Validate() error {
	if t.Quality < 1 || t.Quality > 100 {
		return registry.Errorf("quality", "%d must lie between 1 and 100", t.Quality)
	}
	return t.Placed.Validate()
}

// Fits implements Transform.
func (t *JPEG) Fits(in nn.Shape) error {
	if in.C != 1 && in.C != 3 {
		return fmt.Errorf("JPEG has 1 or 3 channels")
	}
	return nil
}

// Label implements Transform.
func (t *JPEG) Label() string { return fmt.Sprintf("JPEG (quality %d)", t.Quality) }

// Forward implements Transform.
func (t *JPEG) Forward(v *View) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, picture(v), &jpeg.Options{Quality: t.Quality}); err != nil {
		panic(fmt.Sprintf("transform: JPEG of %v: %v", v.In, err)) // the sides are those of a network
	}
	got, err := jpeg.Decode(&file)
	if err != nil {
		panic(fmt.Sprintf("transform: JPEG of %v: %v", v.In, err)) // it was written just now
	}
	for y := range v.In.H {
		for x := range v.In.W {
			to := v.X[(y*v.In.W+x)*v.In.C:][:v.In.C]
			r, g, b, _ := got.At(x, y).RGBA()
			for c, w := range []uint32{r, g, b}[:len(to)] {
				to[c] = float32(w>>8) / 255
			}
		}
	}
}

// picture is the image in bytes.
func picture(v *View) image.Image {
	bounds := image.Rect(0, 0, v.In.W, v.In.H)
	if v.In.C == 1 {
		img := image.NewGray(bounds)
		for i, p := range v.X {
			img.Pix[i] = toByte(p)
		}
		return img
	}
	img := image.NewRGBA(bounds)
	for i := range v.In.H * v.In.W {
		for c := range 3 {
			img.Pix[4*i+c] = toByte(v.X[3*i+c])
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// toByte rounds a pixel; values outside [0,1], which a transformation before may leave, are clipped.
func toByte(p float32) uint8 { return uint8(math.Round(float64(min(max(p, 0), 1)) * 255)) }

func init() {
	registry.Register("jpeg", func() Transform { return &JPEG{Placed: deployed, Quality: 75} })
}
