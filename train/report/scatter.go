package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// WriteScatter draws clean against worst-case accuracy, a mark for each strategy, and the Pareto front.
// Strategies whose checks failed stand as crosses outside it.
func (c *Comparison) WriteScatter(w io.Writer, f Format) error {
	if err := c.check(); err != nil {
		return err
	}
	p := newPlot("Clean against robust accuracy", "clean accuracy", "worst-case accuracy")
	front := c.Pareto()
	slices.SortFunc(front, func(a, b int) int {
		ca, _, _ := c.point(a)
		cb, _, _ := c.point(b)
		return cmp.Compare(ca, cb)
	})
	low, high := [2]float64{1, 1}, [2]float64{}
	drawn := 0
	for i := range c.Strategies {
		clean, worst, ok := c.point(i)
		if math.IsNaN(clean) || math.IsNaN(worst) {
			continue
		}
		low[0], low[1] = min(low[0], clean), min(low[1], worst)
		high[0], high[1] = max(high[0], clean), max(high[1], worst)
		col, shape, _ := look(drawn)
		name := c.Strategies[i].Name
		if !ok {
			shape, name = failed{}, name+" (FAIL)"
		}
		s, err := plotter.NewScatter(plotter.XYs{{X: clean, Y: worst}})
		if err != nil {
			return fmt.Errorf("report: comparison: scatter: %w", err)
		}
		s.GlyphStyle = draw.GlyphStyle{Color: col, Radius: vg.Points(5), Shape: shape}
		p.Add(s)
		p.Legend.Add(name, s)
		drawn++
	}
	if drawn == 0 {
		return fmt.Errorf("report: comparison: scatter: no strategy has both a clean and a worst-case accuracy")
	}
	if len(front) > 1 {
		var xys plotter.XYs
		for _, i := range front {
			clean, worst, _ := c.point(i)
			xys = append(xys, plotter.XY{X: clean, Y: worst})
		}
		if err := line(p, "Pareto front", xys, grey, vg.Points(1), vg.Points(4), vg.Points(3)); err != nil {
			return err
		}
		drawn++
	}
	for k, axis := range []*plot.Axis{&p.X, &p.Y} {
		margin := max(0.01, 0.08*(high[k]-low[k]))
		axis.Min, axis.Max = low[k]-margin, high[k]+margin
		axis.Tick.Marker = percents{}
	}
	height := 5 * vg.Inch
	above(p, drawn, false, &height)
	return writeFigure(w, f, 7.5*vg.Inch, height, p)
}

// failed is a cross that is seen beside filled marks.
type failed struct{}

func (failed) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := s.Radius
	for _, slope := range []vg.Length{r, -r} {
		c.StrokeLine2(draw.LineStyle{Color: s.Color, Width: vg.Points(2)}, at.X-r, at.Y-slope, at.X+r, at.Y+slope)
	}
}

// transferHeat is the matrix of transfer as a heat map.
func (c *Comparison) transferHeat() Heat {
	return Heat{Title: "Transfer: accuracy in %", X: "victim", Y: "source of the examples", Rows: c.TransferNames, Columns: c.TransferNames, Cells: c.Transfer}
}

// percents marks an axis of fractions in percent, at most eight times, and none past 100 %.
type percents struct{}

func (percents) Ticks(low, high float64) []plot.Tick {
	unit := 0.5
	for _, u := range []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2} {
		if (min(high, 1)-low)/u <= 8 {
			unit = u
			break
		}
	}
	digits := 0
	if unit < 0.01 {
		digits = 1
	}
	var ticks []plot.Tick
	for k := math.Ceil(max(low, 0)/unit - 1e-9); k*unit <= min(high, 1)+1e-9; k++ {
		ticks = append(ticks, plot.Tick{Value: k * unit, Label: percent(math.Abs(k*unit), digits) + " %"})
	}
	return ticks
}
