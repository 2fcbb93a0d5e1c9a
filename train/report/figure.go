package report

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Format is the file format of a figure.
type Format string

// The formats. SVG names its font rather than holding it, so that it looks alike only where
// Liberation Sans or a font of its widths is installed.
const (
	PNG Format = "png"
	SVG Format = "svg"
)

// palette tells curves apart (Okabe and Ito 2008); after its end, other shapes and dashes do.
var palette = []color.NRGBA{
	blue, vermillion, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, ink,
}

// shapes are filled: outlines and crosses are too faint.
var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}}

// look is the colour, mark and dashes of curve i.
func look(i int) (color.NRGBA, draw.GlyphDrawer, []vg.Length) {
	var dashes []vg.Length
	switch i / len(palette) % 3 {
	case 1:
		dashes = []vg.Length{vg.Points(6), vg.Points(3)}
	case 2:
		dashes = []vg.Length{vg.Points(2), vg.Points(2)}
	}
	return palette[i%len(palette)], shapes[i%len(shapes)], dashes
}

// writeFigure draws plots side by side, their data areas aligned, on a canvas of w by h points.
func writeFigure(out io.Writer, f Format, w, h vg.Length, plots ...*plot.Plot) error {
	var canvas vg.CanvasSizer
	var write func(io.Writer) (int64, error)
	switch f {
	case PNG:
		c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))
		canvas, write = c, vgimg.PngCanvas{Canvas: c}.WriteTo
	case SVG:
		c := vgsvg.New(w, h)
		canvas, write = c, c.WriteTo
	default:
		return fmt.Errorf("report: unknown figure format %q, want %q or %q", f, PNG, SVG)
	}
	tiles := draw.Tiles{
		Rows: 1, Cols: len(plots), PadX: vg.Points(24),
		PadTop: vg.Points(10), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(16),
	}
	cells := plot.Align([][]*plot.Plot{plots}, tiles, draw.New(canvas))
	for i, p := range plots {
		p.Draw(cells[0][i])
	}
	if _, err := write(out); err != nil {
		return fmt.Errorf("report: cannot write the figure: %w", err)
	}
	return nil
}
