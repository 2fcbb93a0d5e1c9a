package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// RobustnessCurve is the accuracy of both networks under one attack at several radii.
type RobustnessCurve struct {
	// Attack and Norm name the attack, for the title and the axis.
	Attack, Norm string
	// Epsilon holds the radii, ascending; Before and After the accuracies at them, as fractions.
	// Before or After may be nil where that network was not measured.
	Epsilon, Before, After []float64
	// Threat is the radius of the threat model, marked in the figure; 0 marks none.
	Threat float64
	// N is the number of images behind each accuracy, for the 95 % bands; 0 draws none.
	N int
}

// Robustness draws accuracy against epsilon and writes a PNG.
func Robustness(w io.Writer, c RobustnessCurve) error {
	if err := c.check(); err != nil {
		return err
	}
	title := "Accuracy under " + c.Attack
	if c.N > 0 {
		title += fmt.Sprintf(" (n = %s, bands: 95 %% intervals)", thousands(c.N))
	}
	p := newPlot(title, "ε ("+c.Norm+", pixels in [0,1])", "accuracy")
	p.X.Min, p.X.Max = c.Epsilon[0], max(c.Epsilon[len(c.Epsilon)-1], c.Threat)
	p.X.Min = min(p.X.Min, 0)
	if p.X.Max == p.X.Min {
		p.X.Max = p.X.Min + 1
	}
	p.X.Max += 0.02 * (p.X.Max - p.X.Min)
	p.X.Tick.Marker = radii(c.Epsilon)
	// The band above 100 % holds the legend, and the threat's label on the other side of its line.
	p.Y.Min, p.Y.Max = 0, 1.22
	p.Y.Tick.Marker = percentTicks
	late := c.Threat > (p.X.Min+p.X.Max)/2
	p.Legend.Top, p.Legend.Left = true, late
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-6), vg.Points(-4)
	if late {
		p.Legend.XOffs = vg.Points(6)
	}
	for _, side := range []struct {
		name   string
		values []float64
		after  bool
	}{{"before (undefended)", c.Before, false}, {"after (hardened)", c.After, true}} {
		if side.values == nil {
			continue
		}
		col, shape := vermillion, draw.GlyphDrawer(draw.BoxGlyph{})
		if side.after {
			col, shape = blue, draw.CircleGlyph{}
		}
		if err := c.band(p, side.values, faint(col, 0x30)); err != nil {
			return err
		}
		xys := make(plotter.XYs, len(c.Epsilon))
		for i, e := range c.Epsilon {
			xys[i] = plotter.XY{X: e, Y: side.values[i]}
		}
		if err := line(p, side.name, xys, col, vg.Points(1.8)); err != nil {
			return err
		}
		if err := dots(p, xys, col, vg.Points(3), shape); err != nil {
			return err
		}
	}
	if c.Threat > 0 {
		if err := upright(p, c.Threat, "threat model: ε = "+Epsilon(c.Threat), late); err != nil {
			return err
		}
	}
	return writePNG(w, 7.5*vg.Inch, 4.5*vg.Inch, p)
}

// band fills the 95 % interval around the accuracies.
func (c *RobustnessCurve) band(p *plot.Plot, values []float64, fill color.Color) error {
	if c.N <= 0 || len(values) < 2 {
		return nil
	}
	n := len(values)
	ring := make(plotter.XYs, 2*n)
	for i, v := range values {
		low, high := ClopperPearson(int(math.Round(v*float64(c.N))), c.N, 0.95)
		ring[i] = plotter.XY{X: c.Epsilon[i], Y: high}
		ring[2*n-1-i] = plotter.XY{X: c.Epsilon[i], Y: low}
	}
	poly, err := plotter.NewPolygon(ring)
	if err != nil {
		return fmt.Errorf("report: robustness: %w", err)
	}
	poly.Color = fill
	poly.LineStyle.Width = 0
	p.Add(poly)
	return nil
}

// check reports what keeps the curve from being drawn.
func (c *RobustnessCurve) check() error {
	n := len(c.Epsilon)
	switch {
	case n == 0:
		return fmt.Errorf("report: robustness: no radii to draw")
	case c.Before == nil && c.After == nil:
		return fmt.Errorf("report: robustness: no accuracies to draw")
	case c.Before != nil && len(c.Before) != n, c.After != nil && len(c.After) != n:
		return fmt.Errorf("report: robustness: %d radii, but %d accuracies before and %d after", n, len(c.Before), len(c.After))
	case !slices.IsSorted(c.Epsilon):
		return fmt.Errorf("report: robustness: the radii %v are not ascending", c.Epsilon)
	}
	for _, v := range slices.Concat(c.Before, c.After) {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("report: robustness: accuracy %v is not in [0,1]", v)
		}
	}
	return nil
}

// radii marks an axis at the radii that were measured, with a label where there is room for one.
type radii []float64

func (r radii) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	last := math.Inf(-1)
	for _, e := range r {
		t := plot.Tick{Value: e}
		if e-last >= 0.075*(high-low) {
			t.Label, last = Epsilon(e), e
		}
		ticks = append(ticks, t)
	}
	return ticks
}
