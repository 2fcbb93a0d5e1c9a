package report

import (
	"fmt"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// EpsCurve is the accuracy of one network under one attack against the radius.
type EpsCurve struct {
	// Name is the curve's entry in the legend, such as "PGD-40, hardened".
	Name string
	// Epsilon holds the radii, ascending, and Accuracy the accuracies at them, as fractions.
	Epsilon, Accuracy []float64
	// Steps says that the accuracy holds until the next radius, as it does where the radii are the
	// distances of minimal adversarial examples.
	Steps bool
	// N images are behind each accuracy, for 95 % bands; 0 draws none.
	N int
}

// MinimalCurve is the curve that minimal distances give: an example counts as broken at every radius
// from its distance on. It ends at the radius upTo. NaN counts as never broken, like +Inf.
func MinimalCurve(name string, minimal Distances, upTo float64) EpsCurve {
	c := EpsCurve{Name: name, Epsilon: []float64{0}, Accuracy: []float64{1}, Steps: true}
	var reached []float64
	for _, d := range minimal {
		if d <= upTo {
			reached = append(reached, d)
		}
	}
	slices.Sort(reached)
	for i, d := range reached {
		left := 1 - float64(i+1)/float64(len(minimal))
		if last := len(c.Epsilon) - 1; c.Epsilon[last] == d {
			c.Accuracy[last] = left
		} else {
			c.Epsilon, c.Accuracy = append(c.Epsilon, d), append(c.Accuracy, left)
		}
	}
	if last := len(c.Epsilon) - 1; upTo > c.Epsilon[last] {
		c.Epsilon, c.Accuracy = append(c.Epsilon, upTo), append(c.Accuracy, c.Accuracy[last])
	}
	return c
}

// EpsCurves is the figure of accuracy against epsilon, a curve for each attack or network.
type EpsCurves struct {
	Title, Norm string
	Curves      []EpsCurve
	// Threat is the radius of the threat model, marked in the figure; 0 marks none.
	Threat float64
}

// Draw draws the figure.
func (e EpsCurves) Draw(w io.Writer, f Format) error {
	if len(e.Curves) == 0 {
		return fmt.Errorf("report: accuracy against epsilon: no curves to draw")
	}
	p := newPlot(e.Title, "ε ("+e.Norm+", pixels in [0,1])", "accuracy")
	p.X.Min, p.X.Max = 0, e.Threat
	p.Y.Min, p.Y.Max = 0, 1.04
	p.Y.Tick.Marker = percentTicks
	for i := range e.Curves {
		if err := e.Curves[i].check(); err != nil {
			return err
		}
		p.X.Max = max(p.X.Max, e.Curves[i].Epsilon[len(e.Curves[i].Epsilon)-1])
	}
	if p.X.Max == 0 {
		p.X.Max = 1
	}
	for i := range e.Curves {
		if err := e.Curves[i].draw(p, i); err != nil {
			return err
		}
	}
	p.X.Max *= 1.02
	height := 4.5 * vg.Inch
	above(p, len(e.Curves), e.Threat > 0, &height)
	if e.Threat > 0 {
		if err := upright(p, e.Threat, "threat model: ε = "+Epsilon(e.Threat), e.Threat > p.X.Max/2); err != nil {
			return err
		}
	}
	return writeFigure(w, f, 7.5*vg.Inch, height, p)
}

// above makes room above the data for a legend of n lines, where no curve can run through it, and
// over it for the label of the threat's line.
func above(p *plot.Plot, n int, threat bool, height *vg.Length) {
	offset := vg.Points(-4)
	line := p.Legend.TextStyle.Font.Size*1.25 + p.Legend.Padding
	if threat {
		offset -= line
		n++
	}
	room := vg.Length(n)*line + vg.Points(14)
	data := *height - vg.Points(75) // what axes and title leave
	*height += room
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(6), offset
	p.Y.Max += (p.Y.Max - p.Y.Min) * float64(room/data)
}

// draw draws curve i.
func (c *EpsCurve) draw(p *plot.Plot, i int) error {
	col, shape, dashes := look(i)
	if !c.Steps {
		band := RobustnessCurve{Epsilon: c.Epsilon, N: c.N}
		if err := band.band(p, c.Accuracy, faint(col, 0x20)); err != nil {
			return err
		}
	}
	xys := make(plotter.XYs, len(c.Epsilon))
	for k, e := range c.Epsilon {
		xys[k] = plotter.XY{X: e, Y: c.Accuracy[k]}
	}
	l, err := plotter.NewLine(xys)
	if err != nil {
		return fmt.Errorf("report: accuracy against epsilon: %q: %w", c.Name, err)
	}
	l.Color, l.Width, l.Dashes = col, vg.Points(1.8), dashes
	if c.Steps {
		l.StepStyle = plotter.PostStep
		p.Add(l)
		p.Legend.Add(c.Name, l)
		return nil
	}
	s, err := plotter.NewScatter(xys)
	if err != nil {
		return fmt.Errorf("report: accuracy against epsilon: %q: %w", c.Name, err)
	}
	s.GlyphStyle = draw.GlyphStyle{Color: col, Radius: vg.Points(3), Shape: shape}
	p.Add(l, s)
	p.Legend.Add(c.Name, l, s)
	return nil
}

// check reports what keeps the curve from being drawn.
func (c *EpsCurve) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("report: accuracy against epsilon: %q: "+format, append([]any{c.Name}, a...)...)
	}
	switch {
	case len(c.Epsilon) == 0:
		return bad("no radii to draw")
	case len(c.Accuracy) != len(c.Epsilon):
		return bad("%d radii, but %d accuracies", len(c.Epsilon), len(c.Accuracy))
	case !slices.IsSorted(c.Epsilon) || math.IsNaN(c.Epsilon[0]):
		return bad("the radii are not ascending")
	}
	for i, v := range c.Accuracy {
		if !(v >= 0 && v <= 1) {
			return bad("accuracy %v is not in [0,1]", v)
		}
		if e := c.Epsilon[i]; !(e >= 0) || math.IsInf(e, 0) {
			return bad("radius %v is no finite number from 0 on", e)
		}
	}
	return nil
}
