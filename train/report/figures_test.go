package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// samplePoints is a warm-up and a stage of adversarial training.
func samplePoints() []Point {
	var points []Point
	r := rand.New(rand.NewPCG(1, 2))
	for s := 20; s <= 4200; s += 20 {
		p := NewPoint(s, "warm-up")
		fall := math.Exp(-float64(s) / 150)
		p.Loss = (0.1 + 2.2*fall) * (1 + 0.15*r.NormFloat64())
		p.TrainClean = 0.97 - 0.8*fall + 0.02*r.NormFloat64()
		robust := 0.01
		if s > 1000 {
			fall := math.Exp(-float64(s-1000) / 500)
			robust = 0.94 - 0.9*fall
			p.Stage = "adversarial training"
			p.Loss = (0.3 + 1.9*fall) * (1 + 0.15*r.NormFloat64())
			p.TrainRobust = robust + 0.02*r.NormFloat64()
		}
		if s%500 == 0 {
			p.Clean, p.Robust, p.Best = 0.985-0.3*fall, robust, s == 4000
		}
		points = append(points, p)
	}
	return points
}

func sampleCurve() RobustnessCurve {
	return RobustnessCurve{
		Attack: "PGD-40", Norm: "Linf", Threat: 0.3, N: 1000,
		Epsilon: []float64{0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4},
		Before:  []float64{0.985, 0.86, 0.35, 0.08, 0.01, 0, 0, 0, 0},
		After:   []float64{0.984, 0.98, 0.975, 0.968, 0.96, 0.95, 0.935, 0.55, 0.08},
	}
}

func sampleGallery(h, w, c int) Gallery {
	r := rand.New(rand.NewPCG(3, 4))
	panel := func(title string, fooled int) Panel {
		p := Panel{Title: title}
		for i := range 8 {
			v := Picture{Label: i, CleanPrediction: i, AdversarialPrediction: i, CleanConfidence: 0.998, AdversarialConfidence: 0.83}
			for k := range h * w * c {
				y, x := k/c/w, k/c%w
				d := math.Abs(math.Hypot(float64(y-h/2), float64(x-w/2)) - float64(h)/4 - float64(i%4))
				pixel := float32(max(0, 1-d/2.5))
				v.Clean = append(v.Clean, pixel)
				v.Adversarial = append(v.Adversarial, min(1, max(0, pixel+0.3*float32(r.IntN(3)-1))))
			}
			if i < fooled {
				v.AdversarialPrediction = (i + 3) % 10
			}
			p.Pictures = append(p.Pictures, v)
		}
		return p
	}
	return Gallery{H: h, W: w, C: c, Title: "PGD-100, Linf, ε = 0.3", Panels: []Panel{
		panel("before: undefended network", 8), panel("after: hardened network", 1),
	}}
}

// decode runs a figure twice, wants the same bytes, and returns the image. With REPORT_FIGURES set to
// a folder, the figure is left there to be looked at.
func decode(t *testing.T, name string, write func(io.Writer) error) image.Image {
	t.Helper()
	var a, b bytes.Buffer
	if err := write(&a); err != nil {
		t.Fatal(err)
	}
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two runs gave different bytes")
	}
	if dir := os.Getenv("REPORT_FIGURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), a.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	img, err := png.Decode(&a)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// has reports whether a pixel of the colour is in the image.
func has(img image.Image, c color.Color) bool {
	want := color.NRGBAModel.Convert(c)
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if color.NRGBAModel.Convert(img.At(x, y)) == want {
				return true
			}
		}
	}
	return false
}

func wantSize(t *testing.T, img image.Image, w, h int) {
	t.Helper()
	if s := img.Bounds().Size(); s.X != w || s.Y != h {
		t.Errorf("size %v, want %dx%d", s, w, h)
	}
}

func TestCurves(t *testing.T) {
	img := decode(t, "curves.png", func(w io.Writer) error { return Curves(w, samplePoints()) })
	wantSize(t, img, 11*dpi, 4*dpi)
	if !has(img, blue) || !has(img, vermillion) {
		t.Error("a curve is missing")
	}
	for name, points := range map[string][]Point{
		"one":         {{Step: 5, Loss: 1, TrainClean: 0.5, TrainRobust: nan, Clean: nan, Robust: nan}},
		"no accuracy": {NewPoint(1, "a"), {Step: 9, Loss: math.Inf(1), TrainClean: nan, TrainRobust: nan, Clean: nan, Robust: nan}},
	} {
		img := decode(t, "curves "+name+".png", func(w io.Writer) error { return Curves(w, points) })
		wantSize(t, img, 11*dpi, 4*dpi)
	}
	if err := Curves(io.Discard, nil); err == nil {
		t.Error("curves without points were drawn")
	}
}

func TestCurvesOfACollapse(t *testing.T) {
	points := samplePoints()
	for i := range points {
		points[i].Robust, points[i].TrainRobust, points[i].TrainClean = min(points[i].Robust, 0.1), 0.1, 0.11
		points[i].Clean = min(points[i].Clean, 0.12)
	}
	decode(t, "collapse.png", func(w io.Writer) error { return Curves(w, points) })
	p := newPlot("", "", "")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 20, 4200, 0, 1.12
	if placeLegend(p, points); p.Legend.YOffs < 40 {
		t.Errorf("the legend lies at %v, over curves at 10 %%", p.Legend.YOffs)
	}
	if placeLegend(p, samplePoints()); p.Legend.YOffs > 40 {
		t.Errorf("the legend lies at %v, though the bottom is free", p.Legend.YOffs)
	}
}

func TestAverageStaysInItsStage(t *testing.T) {
	points := []Point{
		{Stage: "a", Loss: 1}, {Stage: "a", Loss: 2}, {Stage: "a", Loss: nan}, {Stage: "a", Loss: 6},
		{Stage: "b", Loss: 100}, {Stage: "b", Loss: 102},
	}
	got := average(points, lossOf, 1)
	want := []float64{1, 3, 4, 100, 101}
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, v := range want {
		near(t, "average", got[i].Loss, v, 1e-12)
	}
}

func TestRobustness(t *testing.T) {
	img := decode(t, "robustness.png", func(w io.Writer) error { return Robustness(w, sampleCurve()) })
	wantSize(t, img, 7.5*dpi, 4.5*dpi)
	if !has(img, blue) || !has(img, vermillion) || !has(img, grey) {
		t.Error("a curve or the threat's line is missing")
	}
	c := sampleCurve()
	c.Before, c.Threat, c.N = nil, 8.0/255, 0
	for i := range c.Epsilon {
		c.Epsilon[i] = float64(4*i) / 255
	}
	img = decode(t, "robustness eval.png", func(w io.Writer) error { return Robustness(w, c) })
	if has(img, vermillion) || !has(img, blue) {
		t.Error("want the hardened network's curve alone")
	}
	for want, edit := range map[string]func(*RobustnessCurve){
		"no radii":        func(c *RobustnessCurve) { c.Epsilon = nil },
		"no accuracies":   func(c *RobustnessCurve) { c.Before, c.After = nil, nil },
		"9 radii, but 8":  func(c *RobustnessCurve) { c.Before = c.Before[1:] },
		"not ascending":   func(c *RobustnessCurve) { c.Epsilon[0] = 1 },
		"NaN is not in [": func(c *RobustnessCurve) { c.After[2] = nan },
	} {
		c := sampleCurve()
		edit(&c)
		if err := Robustness(io.Discard, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestExamples(t *testing.T) {
	img := decode(t, "examples.png", func(w io.Writer) error { return Examples(w, sampleGallery(28, 28, 1)) })
	if s := img.Bounds().Size(); s.X < 8*84 || s.X > 1000 || s.Y < 6*84 || s.Y > 1000 {
		t.Errorf("size %v", s)
	}
	// The first picture's middle row of pixels, magnified three times without blending.
	g := sampleGallery(28, 28, 1)
	l, err := newLayout(&g)
	if err != nil {
		t.Fatal(err)
	}
	if l.factor != 1.5 {
		t.Errorf("perturbations of 0.3 are magnified by %v, want 1.5", l.factor)
	}
	top := margin + 30 + 34
	for k, p := range g.Panels {
		for i, v := range p.Pictures {
			x := l.left + i*(l.pitch+gap) + (l.pitch-l.tileW)/2 - 3
			for y, want := range map[int]bool{
				top - 3:                        v.CleanPrediction != v.Label,
				top + 2*84 + caption + gap - 3: v.AdversarialPrediction != v.Label,
				top + 84 + caption - 3:         false,
			} {
				y += k * l.panelHeight()
				if got := color.NRGBAModel.Convert(img.At(x, y)) == wrong; got != want {
					t.Errorf("panel %d, picture %d, at %d,%d: framed %v, want %v", k, i, x, y, got, want)
				}
			}
		}
	}
	for k, v := range g.Panels[0].Pictures[0].Clean {
		want := uint8(math.Round(255 * float64(v)))
		for _, d := range []image.Point{{0, 0}, {2, 2}} {
			got := color.NRGBAModel.Convert(img.At(l.left+k%28*3+d.X, top+k/28*3+d.Y)).(color.NRGBA)
			if got != (color.NRGBA{want, want, want, 255}) {
				t.Fatalf("pixel %d is drawn as %v, want grey %d", k, got, want)
			}
		}
	}
}

func TestExamplesInColourWithNames(t *testing.T) {
	g := sampleGallery(32, 32, 3)
	g.Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "a very long name of a class"}
	img := decode(t, "examples colour.png", func(w io.Writer) error { return Examples(w, g) })
	if img.Bounds().Dx() < 8*96 || img.Bounds().Dx() > 8*(wide+gap)+200 {
		t.Errorf("width %d", img.Bounds().Dx())
	}
	large := Gallery{H: 300, W: 200, C: 3, Panels: []Panel{{"p", []Picture{{Clean: make([]float32, 180000), Adversarial: make([]float32, 180000)}}}}}
	decode(t, "examples large.png", func(w io.Writer) error { return Examples(w, large) })
	if l, _ := newLayout(&large); l.tileH != 84 || l.tileW != 56 {
		t.Errorf("300x200 drawn as %dx%d, want 84x56", l.tileH, l.tileW)
	}
}

func TestMagnification(t *testing.T) {
	for _, c := range []struct {
		change float32
		want   float64
	}{{0.3, 1.5}, {8.0 / 255, 15}, {0.05, 10}, {0.5, 1}, {1, 0.5}, {0, 1}, {0.025, 20}} {
		g := Gallery{H: 1, W: 2, C: 1, Panels: []Panel{{"p", []Picture{{Clean: []float32{0, 1}, Adversarial: []float32{0, 1 - c.change}}}}}}
		near(t, "magnification", g.magnification(), c.want, 1e-9)
	}
}

func TestExamplesRejects(t *testing.T) {
	for want, edit := range map[string]func(*Gallery){
		"28x28x2":               func(g *Gallery) { g.C = 2 },
		"has 783 clean and 784": func(g *Gallery) { g.Panels[0].Pictures[0].Clean = g.Panels[0].Pictures[0].Clean[1:] },
		"no pictures":           func(g *Gallery) { g.Panels = nil },
	} {
		g := sampleGallery(28, 28, 1)
		edit(&g)
		if err := Examples(io.Discard, g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
