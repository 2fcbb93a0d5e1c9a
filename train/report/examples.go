package report

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strconv"
)

// Picture is one test image with what an attack made of it on one network.
type Picture struct {
	// Clean and Adversarial are [H,W,C] pixels in [0,1], channels last.
	Clean, Adversarial []float32
	// Label is the true class.
	Label int
	// CleanPrediction and AdversarialPrediction are the classes that the network saw in them, with
	// the probabilities that it gave them.
	CleanPrediction, AdversarialPrediction int
	CleanConfidence, AdversarialConfidence float32
}

// Panel shows pictures under the attack on one network.
type Panel struct {
	Title    string
	Pictures []Picture
}

// Gallery is the figure of examples: a panel for each network, one below the other, all with images
// of the same shape.
type Gallery struct {
	H, W, C int // C is 1 (greyscale) or 3 (RGB)
	Title   string
	// Classes names the classes; without names they are numbered.
	Classes []string
	Panels  []Panel
}

// Examples draws a column for each picture: the clean image, the perturbation magnified around
// middle grey, and the adversarial image, each prediction and its probability below. Predictions
// that are wrong stand in a frame. It writes a PNG.
func Examples(w io.Writer, g Gallery) error {
	if err := g.check(); err != nil {
		return err
	}
	l, err := newLayout(&g)
	if err != nil {
		return err
	}
	if err := png.Encode(w, l.draw(&g)); err != nil {
		return fmt.Errorf("report: cannot write the figure: %w", err)
	}
	return nil
}

// check reports what keeps the gallery from being drawn.
func (g *Gallery) check() error {
	if g.H <= 0 || g.W <= 0 || (g.C != 1 && g.C != 3) {
		return fmt.Errorf("report: examples: images of %dx%dx%d, want height x width x 1 or 3 channels", g.H, g.W, g.C)
	}
	size := g.H * g.W * g.C
	count := 0
	for _, p := range g.Panels {
		for i, v := range p.Pictures {
			if len(v.Clean) != size || len(v.Adversarial) != size {
				return fmt.Errorf("report: examples: picture %d of %q has %d clean and %d adversarial values, want %d", i, p.Title, len(v.Clean), len(v.Adversarial), size)
			}
			count++
		}
	}
	if count == 0 {
		return fmt.Errorf("report: examples: no pictures to draw")
	}
	return nil
}

// magnification is the factor at which the largest change of any pixel in the gallery takes half
// the range of grey, rounded down to a number that is easily said. Without any change it is 1.
func (g *Gallery) magnification() float64 {
	largest := 0.0
	for _, p := range g.Panels {
		for _, v := range p.Pictures {
			for i := range v.Clean {
				largest = max(largest, math.Abs(float64(v.Adversarial[i]-v.Clean[i])))
			}
		}
	}
	if !(largest > 0) {
		return 1
	}
	// The margin keeps rounding of pixels from turning a factor of 20 into 15.
	factor := 0.5 / largest * 1.001
	unit := math.Pow(10, math.Floor(math.Log10(factor)))
	for _, f := range []float64{8, 6, 5, 4, 3, 2, 1.5, 1} {
		if factor >= f*unit {
			return f * unit
		}
	}
	return unit
}

// perturbation is the change of each pixel, magnified around middle grey.
func (v *Picture) perturbation(factor float64) []float32 {
	out := make([]float32, len(v.Clean))
	for i := range out {
		out[i] = float32(0.5 + factor*float64(v.Adversarial[i]-v.Clean[i]))
	}
	return out
}

// class names class k.
func (g *Gallery) class(k int) string {
	if k >= 0 && k < len(g.Classes) {
		return g.Classes[k]
	}
	return strconv.Itoa(k)
}

// bitmap turns [H,W,C] pixels in [0,1] into an image; values outside are clipped, NaN is 0.
func (g *Gallery) bitmap(pixels []float32) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, g.W, g.H))
	level := func(v float32) uint8 {
		if !(v > 0) {
			return 0
		}
		return uint8(math.Round(255 * float64(min(v, 1))))
	}
	for i := range g.H * g.W {
		px := pixels[i*g.C:][:g.C]
		o := out.Pix[4*i:][:4]
		o[0], o[1], o[2], o[3] = level(px[0]), level(px[g.C/2]), level(px[g.C-1]), 0xff
	}
	return out
}
