package report

import (
	"bytes"
	"image/color"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func sampleMinimal(n int, middle float64) Distances {
	r := rand.New(rand.NewPCG(5, uint64(1000*middle)))
	d := make(Distances, n)
	for i := range d {
		switch {
		case i%60 == 0:
			d[i] = 0
		case i%97 == 0:
			d[i] = math.Inf(1)
		default:
			d[i] = max(0.01, middle+0.04*r.NormFloat64())
		}
	}
	return d
}

func sampleEpsCurves() EpsCurves {
	c := sampleCurve()
	return EpsCurves{Title: "Accuracy against ε", Norm: "Linf", Threat: 0.3, Curves: []EpsCurve{
		{Name: "PGD-40, hardened", Epsilon: c.Epsilon, Accuracy: c.After, N: 1000},
		{Name: "PGD-40, undefended", Epsilon: c.Epsilon, Accuracy: c.Before, N: 1000},
		MinimalCurve("FAB-T, hardened", sampleMinimal(1000, 0.33), 0.4),
	}}
}

func sampleLosses() LossCurves {
	l := LossCurves{Title: "Loss against iterations"}
	for k, name := range []string{"PGD-40", "APGD-CE", "APGD-T"} {
		c := LossCurve{Name: name}
		for i := range 41 + 30*k {
			c.Loss = append(c.Loss, (1+0.1*float64(k))*(1-math.Exp(-float64(i)/8)))
		}
		l.Curves = append(l.Curves, c)
	}
	return l
}

func sampleHistogram() Histogram {
	return Histogram{Title: "Minimal distances", Norm: "Linf", Threat: 0.3, Sets: []DistanceSet{
		{"FAB-T", sampleMinimal(1000, 0.33)}, {"DeepFool", sampleMinimal(1000, 0.36)},
	}}
}

func sampleHeats() []Heat {
	r := fullReport()
	classes := []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}
	return []Heat{
		ConfusionHeat("Clean", classes, r.row(After, Clean).Confusion),
		ConfusionHeat("Worst case", classes, r.row(After, WorstCaseName).Confusion),
	}
}

func sampleGrid() AttackGrid {
	g := sampleGallery(28, 28, 1)
	a := AttackGrid{H: 28, W: 28, C: 1, Title: "Hardened network, Linf, ε = 0.3"}
	rows := []AttackRow{{Name: "FGSM"}, {Name: "APGD-T"}, {Name: "a very long name of an attack"}}
	for i, p := range g.Panels[0].Pictures {
		a.Labels = append(a.Labels, p.Label)
		a.Clean = append(a.Clean, Sight{p.Clean, p.Label, 0.99})
		for k := range rows {
			guess := p.Label
			if i < 2*k {
				guess = (guess + 1) % 10
			}
			rows[k].Images = append(rows[k].Images, Sight{p.Adversarial, guess, 0.7})
		}
	}
	a.Attacks = rows
	return a
}

// Each figure comes out as PNG and SVG, the same twice, with the colours of its curves.
func TestPlots(t *testing.T) {
	for name, c := range map[string]struct {
		draw   func(io.Writer, Format) error
		colour []color.Color
	}{
		"eps":       {sampleEpsCurves().Draw, []color.Color{blue, vermillion, palette[2], grey}},
		"losses":    {sampleLosses().Draw, []color.Color{blue, vermillion, palette[2]}},
		"histogram": {sampleHistogram().Draw, []color.Color{blue, vermillion, grey}},
		"confusion": {func(w io.Writer, f Format) error { return HeatMaps(w, f, sampleHeats()...) }, nil},
		"transfer":  {func(w io.Writer, f Format) error { return HeatMaps(w, f, sampleComparison().transferHeat()) }, nil},
		"scatter":   {sampleComparison().WriteScatter, []color.Color{blue, grey}},
		"scatter, one": {func(w io.Writer, f Format) error {
			c := sampleComparison()
			c.Strategies = c.Strategies[:1]
			return c.WriteScatter(w, f)
		}, []color.Color{blue}},
	} {
		img := decode(t, name+".png", func(w io.Writer) error { return c.draw(w, PNG) })
		for _, col := range c.colour {
			if !has(img, col) {
				t.Errorf("%s: the colour %v is missing", name, col)
			}
		}
		var a, b bytes.Buffer
		if err := c.draw(&a, SVG); err != nil {
			t.Fatal(err)
		}
		if err := c.draw(&b, SVG); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) || !bytes.Contains(a.Bytes(), []byte("</svg>")) {
			t.Errorf("%s: not the same SVG twice", name)
		}
		if err := c.draw(io.Discard, "gif"); err == nil || !strings.Contains(err.Error(), `unknown figure format "gif"`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	img := decode(t, "attack grid.png", func(w io.Writer) error { return sampleGrid().Draw(w) })
	if !has(img, wrong) {
		t.Error("no frame around wrong predictions")
	}
}

func TestMinimalCurve(t *testing.T) {
	c := MinimalCurve("x", Distances{0.2, 0, 0.1, 0.2, math.Inf(1), 0.5, nan, 0}, 0.4)
	if want := []float64{0, 0.1, 0.2, 0.4}; !slices.Equal(c.Epsilon, want) {
		t.Errorf("radii %v, want %v", c.Epsilon, want)
	}
	if want := []float64{0.75, 0.625, 0.375, 0.375}; !slices.Equal(c.Accuracy, want) {
		t.Errorf("accuracies %v, want %v", c.Accuracy, want)
	}
	if err := c.check(); err != nil {
		t.Error(err)
	}
	none := MinimalCurve("none", nil, 0)
	if err := none.check(); err != nil || !slices.Equal(none.Accuracy, []float64{1}) {
		t.Errorf("of no distances: %v, %v", none, err)
	}
}

func TestPlotsReject(t *testing.T) {
	eps := func(edit func(*EpsCurve)) error {
		e := sampleEpsCurves()
		e.Curves[0].Epsilon, e.Curves[0].Accuracy = slices.Clone(e.Curves[0].Epsilon), slices.Clone(e.Curves[0].Accuracy)
		edit(&e.Curves[0])
		return e.Draw(io.Discard, PNG)
	}
	grid := func(edit func(*AttackGrid)) error {
		g := sampleGrid()
		edit(&g)
		return g.Draw(io.Discard)
	}
	for want, err := range map[string]error{
		"no curves":                   EpsCurves{}.Draw(io.Discard, PNG),
		"no radii":                    eps(func(c *EpsCurve) { c.Epsilon = nil }),
		"9 radii, but 8":              eps(func(c *EpsCurve) { c.Accuracy = c.Accuracy[1:] }),
		"not ascending":               eps(func(c *EpsCurve) { c.Epsilon[0] = 1 }),
		"accuracy NaN":                eps(func(c *EpsCurve) { c.Accuracy[1] = nan }),
		"no finite number from":       eps(func(c *EpsCurve) { c.Epsilon[8] = math.Inf(1) }),
		"no finite losses":            LossCurves{Curves: []LossCurve{{"a", []float64{nan}}}}.Draw(io.Discard, PNG),
		"minimal distances: none":     Histogram{Sets: []DistanceSet{{"a", Distances{nan, math.Inf(1)}}}}.Draw(io.Discard, PNG),
		"-1 is below 0":               Histogram{Sets: []DistanceSet{{"a", Distances{-1}}}}.Draw(io.Discard, PNG),
		"heat map: nothing":           HeatMaps(io.Discard, PNG),
		"0 rows of cells for 0 names": HeatMaps(io.Discard, PNG, Heat{}),
		`1 cells in row "a", want 2`:  HeatMaps(io.Discard, PNG, Heat{Rows: []string{"a"}, Columns: []string{"a", "b"}, Cells: [][]float64{{1}}}),
		"28x28x2":                     grid(func(g *AttackGrid) { g.C = 2 }),
		"8 clean images with 0":       grid(func(g *AttackGrid) { g.Labels = nil }),
		`"FGSM" has 7 images, want 8`: grid(func(g *AttackGrid) { g.Attacks[0].Images = g.Attacks[0].Images[1:] }),
		`"clean" has 0 values`:        grid(func(g *AttackGrid) { g.Clean[0].Pixels = nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// Curves, losses and distances with gaps, with one value or with equal ones are drawn.
func TestPlotsOfLittle(t *testing.T) {
	for name, draw := range map[string]func(io.Writer, Format) error{
		"one radius":   EpsCurves{Norm: "L2", Curves: []EpsCurve{{Name: "a", Epsilon: []float64{0}, Accuracy: []float64{1}, N: 10}}}.Draw,
		"many curves":  manyCurves(17).Draw,
		"flat loss":    LossCurves{Curves: []LossCurve{{"a", []float64{2, nan, 2}}, {"none", nil}, {"one", []float64{2}}}}.Draw,
		"zero":         Histogram{Sets: []DistanceSet{{"a", Distances{0, 0}}}}.Draw,
		"one class":    func(w io.Writer, f Format) error { return HeatMaps(w, f, ConfusionHeat("", nil, [][]int{{0}})) },
		"many classes": func(w io.Writer, f Format) error { return HeatMaps(w, f, ConfusionHeat("", nil, square(100))) },
	} {
		if err := draw(io.Discard, SVG); err != nil { // PNG would draw the same, and take longer
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyCurves(n int) EpsCurves {
	e := EpsCurves{Norm: "Linf"}
	for i := range n {
		e.Curves = append(e.Curves, EpsCurve{Name: "attack", Epsilon: []float64{0, 0.1, 0.2}, Accuracy: []float64{1, 1 - float64(i)/40, 0.9 - float64(i)/20}})
	}
	return e
}

func square(n int) [][]int {
	out := make([][]int, n)
	for i := range out {
		out[i] = make([]int, n)
		out[i][i], out[i][(i*7+1)%n] = 80, 20
	}
	return out
}
