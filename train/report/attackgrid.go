package report

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
)

// AttackGrid is the figure of the same images under several attacks on one network: the clean images
// in the first row, below it a row for each attack.
type AttackGrid struct {
	H, W, C int // C is 1 (greyscale) or 3 (RGB)
	Title   string
	// Classes names the classes; without names they are numbered.
	Classes []string
	Clean   []Sight
	Labels  []int
	Attacks []AttackRow
}

// AttackRow is what one attack made of each image.
type AttackRow struct {
	Name   string
	Images []Sight
}

// Sight is an image and what the network saw in it.
type Sight struct {
	Pixels     []float32 // [H,W,C] in [0,1]
	Prediction int
	Confidence float32
}

// Draw draws the figure as a PNG. Wrong predictions stand in a frame.
func (a AttackGrid) Draw(w io.Writer) error {
	if err := a.check(); err != nil {
		return err
	}
	rows := append([]AttackRow{{"clean", a.Clean}}, a.Attacks...)
	// The sizes are those of a gallery, which decides on them by its captions.
	g := Gallery{H: a.H, W: a.W, C: a.C, Classes: a.Classes, Panels: make([]Panel, len(rows))}
	for k, r := range rows {
		for i, s := range r.Images {
			g.Panels[k].Pictures = append(g.Panels[k].Pictures, Picture{Label: a.Labels[i], AdversarialPrediction: s.Prediction, CleanPrediction: s.Prediction})
		}
	}
	l, err := newLayout(&g)
	if err != nil {
		return err
	}
	l.left = 0
	for _, r := range rows {
		l.left = max(l.left, min(width(l.bold, r.Name), wide))
	}
	l.left += margin + gap
	head := margin
	if a.Title != "" {
		head += 30
	}
	full := max(l.left+len(a.Clean)*(l.pitch+gap)-gap+margin, 2*margin+width(l.heading, a.Title), 2*margin+width(l.regular, legend))
	each := l.tileH + caption + gap
	img := image.NewRGBA(image.Rect(0, 0, full, head+len(rows)*each+lineHeight+8))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	if a.Title != "" {
		text(img, l.heading, ink, margin, margin+14, a.Title)
	}
	for k, r := range rows {
		y := head + k*each
		text(img, l.bold, ink, margin, y+l.tileH/2+4, shorten(l.bold, r.Name, wide))
		for i, s := range r.Images {
			x := l.left + i*(l.pitch+gap) + (l.pitch-l.tileW)/2
			l.tile(img, &g, s.Pixels, x, y, s.Prediction != a.Labels[i])
			l.caption(img, &g, a.Labels[i], s.Prediction, s.Confidence, x, y)
		}
	}
	text(img, l.regular, grey, margin, img.Bounds().Dy()-margin+2, legend)
	if err := png.Encode(w, img); err != nil {
		return fmt.Errorf("report: cannot write the figure: %w", err)
	}
	return nil
}

// check reports what keeps the grid from being drawn.
func (a *AttackGrid) check() error {
	switch {
	case a.H <= 0 || a.W <= 0 || (a.C != 1 && a.C != 3):
		return fmt.Errorf("report: attack grid: images of %dx%dx%d, want height x width x 1 or 3 channels", a.H, a.W, a.C)
	case len(a.Clean) == 0 || len(a.Labels) != len(a.Clean):
		return fmt.Errorf("report: attack grid: %d clean images with %d labels", len(a.Clean), len(a.Labels))
	}
	for _, r := range append([]AttackRow{{"clean", a.Clean}}, a.Attacks...) {
		if len(r.Images) != len(a.Clean) {
			return fmt.Errorf("report: attack grid: %q has %d images, want %d", r.Name, len(r.Images), len(a.Clean))
		}
		for i, s := range r.Images {
			if len(s.Pixels) != a.H*a.W*a.C {
				return fmt.Errorf("report: attack grid: image %d of %q has %d values, want %d", i, r.Name, len(s.Pixels), a.H*a.W*a.C)
			}
		}
	}
	return nil
}
