package report

import (
	"fmt"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// DistanceSet is the minimal distances that one attack found.
type DistanceSet struct {
	Name      string
	Distances Distances
}

// Histogram is the figure of minimal distances: how many examples have their nearest known
// adversarial example how far away, with the threat model's radius marked.
type Histogram struct {
	Title, Norm string
	Sets        []DistanceSet
	Threat      float64
}

// bins is into how many parts the range of distances is cut.
const bins = 40

// Draw draws the figure.
func (h Histogram) Draw(w io.Writer, f Format) error {
	top, any := h.Threat, false
	for _, s := range h.Sets {
		for _, d := range s.Distances {
			if d < 0 {
				return fmt.Errorf("report: minimal distances of %q: %v is below 0", s.Name, d)
			}
			if !math.IsInf(d, 0) && !math.IsNaN(d) {
				top, any = max(top, d), true
			}
		}
	}
	if !any {
		return fmt.Errorf("report: minimal distances: none to draw")
	}
	if top == 0 {
		top = 1
	}
	p := newPlot(h.Title, "distance of the nearest adversarial example ("+h.Norm+")", "images")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, top*1.02, 0, 1
	for i, s := range h.Sets {
		if err := s.draw(p, i, top/bins); err != nil {
			return err
		}
	}
	p.Y.Max *= 1.04
	height := 4.5 * vg.Inch
	above(p, len(h.Sets), h.Threat > 0, &height)
	if h.Threat > 0 {
		if err := upright(p, h.Threat, "threat model: ε = "+Epsilon(h.Threat), h.Threat > p.X.Max/2); err != nil {
			return err
		}
	}
	return writeFigure(w, f, 7.5*vg.Inch, height, p)
}

// draw draws set i as an outline filled faintly, so that others are seen behind it.
func (s *DistanceSet) draw(p *plot.Plot, i int, width float64) error {
	var counts [bins]int
	for _, d := range s.Distances {
		if !math.IsInf(d, 0) && !math.IsNaN(d) {
			counts[min(int(d/width), bins-1)]++
		}
	}
	ring := plotter.XYs{{X: 0, Y: 0}}
	for k, n := range counts {
		ring = append(ring, plotter.XY{X: float64(k) * width, Y: float64(n)}, plotter.XY{X: float64(k+1) * width, Y: float64(n)})
		p.Y.Max = max(p.Y.Max, float64(n))
	}
	ring = append(ring, plotter.XY{X: bins * width, Y: 0})
	poly, err := plotter.NewPolygon(ring)
	if err != nil {
		return fmt.Errorf("report: minimal distances of %q: %w", s.Name, err)
	}
	col, _, dashes := look(i)
	poly.Color = faint(col, 0x30)
	poly.LineStyle.Color, poly.LineStyle.Width, poly.LineStyle.Dashes = col, vg.Points(1.4), dashes
	p.Add(poly)
	sum := spread(s.Distances)
	name := s.Name
	if sum.N > 0 {
		name += fmt.Sprintf(": median %.3g", sum.Median)
	}
	if sum.Infinite > 0 {
		name += fmt.Sprintf(", none found for %d of %d", sum.Infinite, sum.Infinite+sum.N)
	}
	p.Legend.Add(name, poly)
	return nil
}
