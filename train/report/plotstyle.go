package report

import (
	"fmt"
	"image/color"
	"io"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours that people with colour-blindness can tell apart (Okabe and Ito 2008).
var (
	blue       = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	vermillion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	grey       = color.NRGBA{0x70, 0x70, 0x70, 0xff}
	faintGrey  = color.NRGBA{0xe2, 0xe2, 0xe2, 0xff}
)

// dpi is the resolution of the plots.
const dpi = 128

// faint is a colour with little opacity, for bands and for raw values behind a smoothed line.
func faint(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// newPlot is a plot in the style of all figures.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	sans := func(size vg.Length) plotfont.Font {
		return plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	}
	p.Title.Text = title
	p.Title.TextStyle.Font = sans(13)
	p.Title.TextStyle.Font.Weight = font.WeightBold
	p.Title.Padding = vg.Points(8)
	for axis, label := range map[*plot.Axis]string{&p.X: x, &p.Y: y} {
		axis.Label.Text = label
		axis.Label.TextStyle.Font = sans(11)
		axis.Label.Padding = vg.Points(4)
		axis.Tick.Label.Font = sans(10)
		axis.Tick.Length = vg.Points(4)
		axis.Padding = 0
	}
	p.Legend.TextStyle.Font = sans(10)
	p.Legend.ThumbnailWidth = vg.Points(22)
	p.Legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faintGrey, faintGrey
	grid.Vertical.Dashes, grid.Horizontal.Dashes = nil, nil
	p.Add(grid)
	return p
}

// line adds a line to a plot, and to its legend where name is not empty.
func line(p *plot.Plot, name string, xys plotter.XYs, c color.Color, width vg.Length, dashes ...vg.Length) error {
	l, err := plotter.NewLine(xys)
	if err != nil {
		return fmt.Errorf("report: figure: line %q of %q: %w", name, p.Y.Label.Text, err)
	}
	l.Color, l.Width, l.Dashes = c, width, dashes
	p.Add(l)
	if name != "" {
		p.Legend.Add(name, l)
	}
	return nil
}

// dots adds a mark at each point.
func dots(p *plot.Plot, xys plotter.XYs, c color.Color, radius vg.Length, shape draw.GlyphDrawer) error {
	s, err := plotter.NewScatter(xys)
	if err != nil {
		return fmt.Errorf("report: figure: points of %q: %w", p.Y.Label.Text, err)
	}
	s.GlyphStyle = draw.GlyphStyle{Color: c, Radius: radius, Shape: shape}
	p.Add(s)
	return nil
}

// upright adds a dashed vertical line with a label at its top, to its right or left.
func upright(p *plot.Plot, x float64, label string, left bool) error {
	top := plotter.XY{X: x, Y: p.Y.Max}
	if err := line(p, "", plotter.XYs{{X: x, Y: p.Y.Min}, top}, grey, vg.Points(1), vg.Points(4), vg.Points(3)); err != nil {
		return err
	}
	l, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{top}, Labels: []string{label}})
	if err != nil {
		return fmt.Errorf("report: figure: label %q: %w", label, err)
	}
	l.TextStyle[0].Font = p.Legend.TextStyle.Font
	l.TextStyle[0].Color = grey
	l.TextStyle[0].YAlign = draw.YTop
	l.Offset = vg.Point{X: vg.Points(4), Y: vg.Points(-2)}
	if left {
		l.TextStyle[0].XAlign = draw.XRight
		l.Offset.X = -l.Offset.X
	}
	p.Add(l)
	return nil
}

// percentTicks marks an axis of fractions every 20 %.
var percentTicks = plot.TickerFunc(func(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for k := 0; k <= 10; k++ {
		t := plot.Tick{Value: float64(k) / 10}
		if k%2 == 0 {
			t.Label = fmt.Sprintf("%d %%", 10*k)
		}
		ticks = append(ticks, t)
	}
	return ticks
})

// writePNG draws plots side by side, their data areas aligned, on a canvas of w by h points.
func writePNG(out io.Writer, w, h vg.Length, plots ...*plot.Plot) error {
	return writeFigure(out, PNG, w, h, plots...)
}
