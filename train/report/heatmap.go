package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	plottext "gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Heat is a matrix to be shown as a heat map, rows downward.
type Heat struct {
	Title, X, Y string
	// Rows and Columns name the lines of Cells, which are fractions or counts; NaN is left white.
	Rows, Columns []string
	Cells         [][]float64
	// Counts says that the cells are counts, shaded by their share of the row; else they are
	// fractions, shaded as they are.
	Counts bool
	// Errors says that what is off the diagonal is an error, shown in another colour.
	Errors bool
}

// ConfusionHeat is the heat map of a confusion matrix.
func ConfusionHeat(title string, classes []string, confusion [][]int) Heat {
	h := Heat{Title: title, X: "predicted class", Y: "true class", Counts: true, Errors: true}
	for k, row := range confusion {
		name := strconv.Itoa(k)
		if k < len(classes) {
			name = classes[k]
		}
		h.Rows = append(h.Rows, name)
		cells := make([]float64, len(row))
		for i, n := range row {
			cells[i] = float64(n)
		}
		h.Cells = append(h.Cells, cells)
	}
	h.Columns = h.Rows
	return h
}

// HeatMaps draws heat maps side by side.
func HeatMaps(w io.Writer, f Format, maps ...Heat) error {
	if len(maps) == 0 {
		return fmt.Errorf("report: heat map: nothing to draw")
	}
	var plots []*plot.Plot
	side, tall := vg.Length(0), vg.Length(0)
	for _, h := range maps {
		if err := h.check(); err != nil {
			return err
		}
		p := newPlot(h.Title, h.X, h.Y)
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, float64(len(h.Columns)), 0, float64(len(h.Rows))
		p.X.Tick.Marker, p.Y.Tick.Marker = names(h.Columns), names(reversed(h.Rows))
		p.X.Tick.Length, p.Y.Tick.Length = vg.Points(5), vg.Points(3) // a distance alone: no marks
		p.X.Tick.LineStyle.Width, p.Y.Tick.LineStyle.Width = 0, 0
		longest := 0
		for _, s := range h.Columns {
			longest = max(longest, len([]rune(s)))
		}
		if longest > 4 && len(h.Columns) > 4 { // names that would run into each other are turned
			p.X.Tick.Label.Rotation = math.Pi / 2
			p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = plottext.XRight, plottext.YCenter
			p.X.Tick.Marker = names(apart(h.Columns))
		}
		p.Add(&h)
		plots = append(plots, p)
		side = max(side, min(9*vg.Inch, max(4.6*vg.Inch, vg.Length(len(h.Columns))*vg.Points(30)+1.4*vg.Inch)))
		tall = max(tall, min(9*vg.Inch, max(2.4*vg.Inch, vg.Length(len(h.Rows))*vg.Points(27)+1.6*vg.Inch)))
	}
	return writeFigure(w, f, side*vg.Length(len(plots)), tall, plots...)
}

func (h *Heat) check() error {
	if len(h.Rows) == 0 || len(h.Columns) == 0 || len(h.Cells) != len(h.Rows) {
		return fmt.Errorf("report: heat map %q: %d rows of cells for %d names, and %d columns", h.Title, len(h.Cells), len(h.Rows), len(h.Columns))
	}
	for i, row := range h.Cells {
		if len(row) != len(h.Columns) {
			return fmt.Errorf("report: heat map %q: %d cells in row %q, want %d", h.Title, len(row), h.Rows[i], len(h.Columns))
		}
	}
	return nil
}

// Plot implements plot.Plotter.
func (h *Heat) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := p.Legend.TextStyle
	style.XAlign, style.YAlign = plottext.XCenter, plottext.YCenter
	roomy := len(h.Columns) <= mostClasses
	if wide := x(1) - x(0); style.Font.Size > wide/3 {
		style.Font.Size = wide / 3
	}
	for i, row := range h.Cells {
		sum := 0.0
		for _, v := range row {
			if v > 0 {
				sum += v
			}
		}
		top, bottom := y(float64(len(h.Rows)-i)), y(float64(len(h.Rows)-i-1))
		for k, v := range row {
			if math.IsNaN(v) {
				continue
			}
			share, label := v, percent(v, 1)
			if h.Counts {
				label = strconv.FormatFloat(v, 'f', -1, 64)
				if share = 0; sum > 0 {
					share = v / sum
				}
			}
			fill, dark := shade(share, h.Errors && i != k)
			left, right := x(float64(k)), x(float64(k+1))
			c.FillPolygon(fill, []vg.Point{{X: left, Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top}, {X: left, Y: top}})
			if !roomy || h.Counts && v == 0 {
				continue
			}
			if style.Color = ink; dark {
				style.Color = color.White
			}
			c.FillText(style, vg.Point{X: (left + right) / 2, Y: (top + bottom) / 2}, label)
		}
	}
}

// shade is the colour of a share, and whether it is dark. The root makes rare confusions visible.
func shade(share float64, wrong bool) (fill color.Color, dark bool) {
	t := math.Sqrt(min(max(share, 0), 1))
	full := blue
	if wrong {
		full = vermillion
	}
	mix := func(c uint8) uint8 { return uint8(math.Round(255 + t*(float64(c)-255))) }
	return color.NRGBA{mix(full.R), mix(full.G), mix(full.B), 0xff}, t > 0.75
}

// names marks the middle of each line of a heat map, leaving some out where there are too many.
type names []string

func (n names) Ticks(low, high float64) []plot.Tick {
	every := (len(n) + 39) / 40
	var ticks []plot.Tick
	for i := 0; i < len(n); i += every {
		ticks = append(ticks, plot.Tick{Value: float64(i) + 0.5, Label: n[i]})
	}
	return ticks
}

// apart adds blanks, which keep turned names out of the cells above them.
func apart(s []string) []string {
	out := make([]string, len(s))
	for i, v := range s {
		out[i] = v + "   "
	}
	return out
}

func reversed(s []string) []string {
	out := make([]string, len(s))
	for i, v := range s {
		out[len(s)-1-i] = v
	}
	return out
}
