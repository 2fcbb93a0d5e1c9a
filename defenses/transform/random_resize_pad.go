package transform

import (
	"fmt"
	"math"

	"rampart/nn"
	"rampart/nn/registry"
)

// RandomResizePad scales an image to a random size and pads it with black at a random place (Xie et
// al. 2018, section 3). The authors enlarge 299 pixels to between 299 and 330 and pad to 331; here
// the network's input is the larger side, and the image shrinks to between Least and all of it.
type RandomResizePad struct {
	Placed
	exact
	// Least is the smallest share of the sides: 299/331 in the paper.
	Least float64 `toml:"least"`
	// Filter is "nearest", the authors', or "bilinear", both as in PyTorch's interpolate.
	Filter string `toml:"filter"`
}

// Validate implements Transform.
func (t *RandomResizePad) Validate() error {
	if !(t.Least > 0 && t.Least <= 1) {
		return registry.Errorf("least", "%v must be above 0 and at most 1", t.Least)
	}
	if axes[t.Filter] == nil {
		return registry.Errorf("filter", `unknown filter %q: use "nearest" or "bilinear"`, t.Filter)
	}
	return t.Placed.Validate()
}

// Fits implements Transform.
func (t *RandomResizePad) Fits(in nn.Shape) error {
	if t.smallest(in) == in.H {
		return fmt.Errorf("least = %.3g of %d rows leaves no choice of sizes", t.Least, in.H)
	}
	return nil
}

func (t *RandomResizePad) smallest(in nn.Shape) int {
	return max(1, int(math.Ceil(t.Least*float64(in.H)-1e-9)))
}

// Label implements Transform.
func (t *RandomResizePad) Label() string {
	return fmt.Sprintf("random resize and pad (from %.3g %%, %s)", 100*t.Least, t.Filter)
}

// Random implements Transform.
func (*RandomResizePad) Random() bool { return true }

// tap is the share of a pixel in a scaled one.
type tap struct {
	at     int
	weight float32
}

// axes are the filters: of each of n pixels that a line of `from` pixels is scaled to, the shares.
var axes = map[string]func(from, n int) [][]tap{
	"nearest": func(from, n int) [][]tap {
		list := make([][]tap, n)
		for i := range list {
			list[i] = []tap{{i * from / n, 1}}
		}
		return list
	},
	"bilinear": func(from, n int) [][]tap {
		list := make([][]tap, n)
		for i := range list {
			place := max(0, (float64(i)+0.5)*float64(from)/float64(n)-0.5)
			low := min(int(place), from-1)
			high := float32(place - float64(low))
			list[i] = []tap{{low, 1 - high}, {min(low+1, from-1), high}}
		}
		return list
	},
}

// box is where the scaled image lies.
type box struct{ top, left, h, w int }

func (t *RandomResizePad) draw(v *View) box {
	q := v.Sequence()
	least := t.smallest(v.In)
	b := box{h: least + int(q.Uint32n(uint32(v.In.H-least+1)))}
	b.w = max(1, int(math.Round(float64(b.h)*float64(v.In.W)/float64(v.In.H))))
	b.top, b.left = int(q.Uint32n(uint32(v.In.H-b.h+1))), int(q.Uint32n(uint32(v.In.W-b.w+1)))
	return b
}

// each calls f for the share of each value of an image in each of the transformed one.
func (t *RandomResizePad) each(in nn.Shape, b box, f func(to, from int, weight float32)) {
	rows, columns := axes[t.Filter](in.H, b.h), axes[t.Filter](in.W, b.w)
	for y, fromRows := range rows {
		for x, fromColumns := range columns {
			to := ((b.top+y)*in.W + b.left + x) * in.C
			for _, r := range fromRows {
				for _, c := range fromColumns {
					from := (r.at*in.W + c.at) * in.C
					for k := range in.C {
						f(to+k, from+k, r.weight*c.weight)
					}
				}
			}
		}
	}
}

// Forward implements Transform.
func (t *RandomResizePad) Forward(v *View) { t.place(v.In, t.draw(v), v.X) }

func (t *RandomResizePad) place(in nn.Shape, b box, x []float32) {
	y := make([]float32, len(x))
	t.each(in, b, func(to, from int, w float32) { y[to] += w * x[from] })
	copy(x, y)
}

// Backward implements Transform: the transpose.
func (t *RandomResizePad) Backward(dx []float32, v *View) {
	at := make([]float32, len(dx))
	t.each(v.In, t.draw(v), func(to, from int, w float32) { at[from] += w * dx[to] })
	copy(dx, at)
}

func init() {
	registry.Register("random_resize_pad", func() Transform {
		return &RandomResizePad{Placed: deployed, Least: 299.0 / 331, Filter: "nearest"}
	})
}
