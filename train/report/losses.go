package report

import (
	"fmt"
	"io"
	"math"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// LossCurve is the mean loss of the examples after each iteration of an attack, the first being the
// start. What is no finite number is left out of the line.
type LossCurve struct {
	Name string
	Loss []float64
}

// LossCurves is the figure of loss against iterations: an attack whose loss still rises at its end
// has not done what it can.
type LossCurves struct {
	Title string
	// Loss names the axis, such as "mean cross-entropy"; empty is "mean loss".
	Loss   string
	Curves []LossCurve
}

// Draw draws the figure.
func (l LossCurves) Draw(w io.Writer, f Format) error {
	axis := l.Loss
	if axis == "" {
		axis = "mean loss"
	}
	p := newPlot(l.Title, "iteration", axis)
	p.X.Min, p.X.Max = 0, 1
	p.X.Tick.Marker = steps{}
	low, high, drawn := math.Inf(1), math.Inf(-1), 0
	for i, c := range l.Curves {
		var xys plotter.XYs
		for k, v := range c.Loss {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			xys = append(xys, plotter.XY{X: float64(k), Y: v})
			low, high = min(low, v), max(high, v)
		}
		if len(xys) == 0 {
			continue
		}
		drawn++
		p.X.Max = max(p.X.Max, xys[len(xys)-1].X)
		col, shape, dashes := look(i)
		if err := line(p, c.Name, xys, col, vg.Points(1.8), dashes...); err != nil {
			return err
		}
		if len(xys) == 1 {
			if err := dots(p, xys, col, vg.Points(3), shape); err != nil {
				return err
			}
		}
	}
	if drawn == 0 {
		return fmt.Errorf("report: loss against iterations: no finite losses to draw")
	}
	if low == high {
		low, high = low-0.5, high+0.5
	}
	p.Y.Min, p.Y.Max = low-0.04*(high-low), high+0.04*(high-low)
	height := 4.5 * vg.Inch
	above(p, drawn, false, &height)
	return writeFigure(w, f, 7.5*vg.Inch, height, p)
}
