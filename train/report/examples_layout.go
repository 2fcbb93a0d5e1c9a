package report

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strconv"

	scale "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Distances in the figure of examples, in pixels.
const (
	tileSide   = 84 // an image is magnified to about this
	margin     = 16
	gap        = 12 // between columns
	lineHeight = 16
	caption    = 2*lineHeight + 16 // below a picture with a prediction
	wide       = 150               // no column grows past this for its caption
)

var (
	ink   = color.NRGBA{0x20, 0x20, 0x20, 0xff}
	right = blue
	wrong = color.NRGBA{0xc0, 0x1c, 0x28, 0xff}
)

// layout holds the sizes of one figure and its fonts.
type layout struct {
	regular, bold, heading font.Face
	tileW, tileH           int // of a magnified image
	pitch                  int // from one column to the next, less the gap
	left                   int // where the first column begins, right of the rows' names
	factor                 float64
	rows                   [3][]string // names of the rows, line by line
}

func newLayout(g *Gallery) (*layout, error) {
	l := &layout{factor: g.magnification()}
	for _, f := range []struct {
		face *font.Face
		ttf  []byte
		size float64
	}{{&l.regular, goregular.TTF, 12}, {&l.bold, gobold.TTF, 12}, {&l.heading, gobold.TTF, 15}} {
		parsed, err := opentype.Parse(f.ttf)
		if err != nil {
			return nil, fmt.Errorf("report: examples: font: %w", err)
		}
		*f.face, err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: f.size, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			return nil, fmt.Errorf("report: examples: font: %w", err)
		}
	}
	// Whole factors keep every pixel the same size; larger images are made smaller instead.
	s := math.Round(tileSide / float64(max(g.H, g.W)))
	if s < 1 {
		s = tileSide / float64(max(g.H, g.W))
	}
	l.tileW, l.tileH = max(1, int(float64(g.W)*s)), max(1, int(float64(g.H)*s))
	l.rows = [3][]string{
		{"clean"},
		{"perturbation", "× " + strconv.FormatFloat(l.factor, 'g', -1, 64)},
		{"adversarial"},
	}
	for _, lines := range l.rows {
		for _, s := range lines {
			l.left = max(l.left, width(l.bold, s))
		}
	}
	l.left += margin + gap
	l.pitch = l.tileW
	for _, p := range g.Panels {
		for _, v := range p.Pictures {
			l.pitch = max(l.pitch, width(l.regular, g.verdict(v.Label, v.CleanPrediction)), width(l.regular, g.verdict(v.Label, v.AdversarialPrediction)))
		}
	}
	l.pitch = max(l.tileW, min(l.pitch, wide))
	return l, nil
}

// verdict is the caption's first line: label → prediction.
func (g *Gallery) verdict(label, prediction int) string {
	return g.class(label) + " → " + g.class(prediction)
}

// panelHeight is the height of a network's part: its title and three rows.
func (l *layout) panelHeight() int { return 34 + 3*l.tileH + 2*caption + gap + 8 }

// draw draws the whole figure.
func (l *layout) draw(g *Gallery) image.Image {
	columns := 0
	for _, p := range g.Panels {
		columns = max(columns, len(p.Pictures))
	}
	head := margin
	if g.Title != "" {
		head += 30
	}
	w := l.left + columns*(l.pitch+gap) - gap + margin
	w = max(w, 2*margin+width(l.heading, g.Title), 2*margin+width(l.regular, legend))
	for _, p := range g.Panels {
		w = max(w, 2*margin+width(l.heading, p.Title))
	}
	h := head + len(g.Panels)*l.panelHeight() + lineHeight + 8
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	if g.Title != "" {
		text(img, l.heading, ink, margin, margin+14, g.Title)
	}
	for k, p := range g.Panels {
		l.panel(img, g, &p, head+k*l.panelHeight())
	}
	text(img, l.regular, grey, margin, h-margin+2, legend)
	return img
}

// legend stands at the foot of the figure.
const legend = "Below each picture: true class → prediction, and the probability given to the prediction. Wrong predictions are framed."

// panel draws one network's pictures with its top at y.
func (l *layout) panel(img draw.Image, g *Gallery, p *Panel, y int) {
	fill(img, image.Rect(margin, y+2, img.Bounds().Dx()-margin, y+3), faintGrey)
	text(img, l.heading, ink, margin, y+22, p.Title)
	y += 34
	tops := [3]int{y, y + l.tileH + caption, y + 2*l.tileH + caption + gap}
	for r, lines := range l.rows {
		at := tops[r] + l.tileH/2 + 4 - lineHeight*(len(lines)-1)/2
		for i, s := range lines {
			text(img, l.bold, ink, margin, at+i*lineHeight, s)
		}
	}
	for i, v := range p.Pictures {
		x := l.left + i*(l.pitch+gap) + (l.pitch-l.tileW)/2
		l.tile(img, g, v.Clean, x, tops[0], v.CleanPrediction != v.Label)
		l.caption(img, g, v.Label, v.CleanPrediction, v.CleanConfidence, x, tops[0])
		l.tile(img, g, v.perturbation(l.factor), x, tops[1], false)
		l.tile(img, g, v.Adversarial, x, tops[2], v.AdversarialPrediction != v.Label)
		l.caption(img, g, v.Label, v.AdversarialPrediction, v.AdversarialConfidence, x, tops[2])
	}
}

// tile draws one image magnified, with a frame where the prediction is wrong.
func (l *layout) tile(img draw.Image, g *Gallery, pixels []float32, x, y int, framed bool) {
	at := image.Rect(x, y, x+l.tileW, y+l.tileH)
	if framed {
		fill(img, at.Inset(-4), wrong)
		fill(img, at.Inset(-1), color.White)
	} else {
		fill(img, at.Inset(-1), faintGrey)
	}
	src := g.bitmap(pixels)
	scale.NearestNeighbor.Scale(img, at, src, src.Bounds(), scale.Src, nil)
}

// caption writes the verdict on a picture below it, in two centred lines.
func (l *layout) caption(img draw.Image, g *Gallery, label, prediction int, confidence float32, x, y int) {
	face, c := l.regular, right
	if label != prediction {
		face, c = l.bold, wrong
	}
	mid := x + l.tileW/2
	y += l.tileH + 2 + lineHeight
	verdict := shorten(face, g.verdict(label, prediction), l.pitch+gap-4)
	text(img, face, c, mid-width(face, verdict)/2, y, verdict)
	sure := percentSign(float64(confidence))
	text(img, l.regular, c, mid-width(l.regular, sure)/2, y+lineHeight-1, sure)
}

// shorten cuts s to at most w pixels.
func shorten(face font.Face, s string, w int) string {
	if width(face, s) <= w {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && width(face, string(r)+"…") > w {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// width is how wide s is, in pixels.
func width(face font.Face, s string) int { return font.MeasureString(face, s).Ceil() }

// text writes s with its baseline at y.
func text(img draw.Image, face font.Face, c color.Color, x, y int, s string) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// fill paints a rectangle.
func fill(img draw.Image, r image.Rectangle, c color.Color) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}
