package imaging

import (
	"fmt"
	"math"
)

// Filter is a way to interpolate between pixels.
type Filter struct {
	name    string
	support float64 // beyond it, on both sides, the weight is 0
	weight  func(x float64) float64
}

// String is the filter's name.
func (f Filter) String() string { return f.name }

// Bilinear and Bicubic are the filters of Pillow and torchvision: a triangle, and Keys's cubic
// convolution (1981) with a = -0.5. Both are stretched when an image shrinks (antialiasing).
var (
	Bilinear = Filter{"bilinear", 1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
	Bicubic  = Filter{"bicubic", 2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return ((x-5)*x+8)*x*a - 4*a
		}
		return 0
	}}
)

// precision is the number of fractional bits of a weight, half is 1/2 in them.
const (
	precision = 22
	half      = 1 << (precision - 1)
)

// taps are the source pixels first, first+1, ... of a target pixel with their weights, which add
// up to 1 in fixed point but for rounding.
type taps struct {
	first   int
	weights []int32
}

// axis returns the taps for each of n target pixels on a line of `from` source pixels.
func (f Filter) axis(from, n int) []taps {
	scale := float64(from) / float64(n)
	stretch := max(scale, 1)
	list := make([]taps, n)
	for i := range list {
		center := (float64(i) + 0.5) * scale
		first := max(0, int(center-f.support*stretch+0.5))
		last := min(from, int(center+f.support*stretch+0.5))
		w, sum := make([]float64, last-first), 0.0
		for k := range w {
			w[k] = f.weight((float64(first+k) - center + 0.5) / stretch)
			sum += w[k]
		}
		list[i] = taps{first, make([]int32, len(w))}
		for k, v := range w {
			list[i].weights[k] = int32(math.Round(v / sum * (1 << precision)))
		}
	}
	return list
}

// Resize scales an image to h x w: along one axis first, then along the other, rounded to bytes in
// between. Rows come first unless the image loses far more height than width, as in Pillow 13
// (before it, rows always came first; where bicubic values are clipped in between, that shows).
func (m *Image) Resize(h, w int, f Filter) *Image {
	if h < m.H && m.H-h > 2*(m.W-w) {
		m = m.columns(h, f)
	}
	if w != m.W {
		m = m.rows(w, f)
	}
	if h != m.H {
		m = m.columns(h, f)
	}
	return m
}

// rows makes every row n pixels long.
func (m *Image) rows(n int, f Filter) *Image {
	axis := f.axis(m.W, n)
	to := &Image{H: m.H, W: len(axis), C: m.C, Pix: make([]byte, 0, m.H*len(axis)*m.C)}
	for y := range m.H {
		row := m.Pix[y*m.W*m.C:]
		for _, t := range axis {
			for c := range m.C {
				sum := int64(half)
				for k, w := range t.weights {
					sum += int64(w) * int64(row[(t.first+k)*m.C+c])
				}
				to.Pix = append(to.Pix, clip(sum))
			}
		}
	}
	return to
}

// columns makes every column n pixels long.
func (m *Image) columns(n int, f Filter) *Image {
	axis := f.axis(m.H, n)
	stride := m.W * m.C
	to := &Image{H: len(axis), W: m.W, C: m.C, Pix: make([]byte, 0, len(axis)*stride)}
	sums := make([]int64, stride)
	for _, t := range axis {
		for x := range sums {
			sums[x] = half
		}
		for k, w := range t.weights {
			row := m.Pix[(t.first+k)*stride:][:stride]
			for x, p := range row {
				sums[x] += int64(w) * int64(p)
			}
		}
		for _, sum := range sums {
			to.Pix = append(to.Pix, clip(sum))
		}
	}
	return to
}

// clip rounds a sum that began with half down to a byte.
func clip(sum int64) byte { return byte(min(max(sum>>precision, 0), 255)) }

// Shorter scales an image so that its shorter side has n pixels; the longer side is rounded down,
// as in torchvision's Resize.
func (m *Image) Shorter(n int, f Filter) *Image {
	if m.W <= m.H {
		return m.Resize(n*m.H/m.W, n, f)
	}
	return m.Resize(n, n*m.W/m.H, f)
}

// CenterCrop cuts h x w pixels out of the middle; where what is left over is odd, the place is
// rounded to even, as in torchvision. The image must be at least as large.
func (m *Image) CenterCrop(h, w int) *Image {
	top := int(math.RoundToEven(float64(m.H-h) / 2))
	left := int(math.RoundToEven(float64(m.W-w) / 2))
	to := &Image{H: h, W: w, C: m.C, Pix: make([]byte, 0, h*w*m.C)}
	for y := range h {
		at := ((top+y)*m.W + left) * m.C
		to.Pix = append(to.Pix, m.Pix[at:at+w*m.C]...)
	}
	return to
}

// Cut scales an image so that its shorter side has `shorter` pixels, and cuts side x side out of the
// middle: what a data set of image files makes of each.
func (m *Image) Cut(side, shorter int, f Filter) (*Image, error) {
	if long := max(m.H, m.W) * shorter / min(m.H, m.W); long > MaxPixels/shorter {
		return nil, fmt.Errorf("%d x %d pixels become too many with %d on the shorter side", m.W, m.H, shorter)
	}
	return m.Shorter(shorter, f).CenterCrop(side, side), nil
}
