package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

func window(h, w, c, k, stride, pad int) device.Window {
	return device.Window{H: h, W: w, C: c, KH: k, KW: k, Stride: stride,
		PadTop: pad, PadLeft: pad, PadBottom: pad, PadRight: pad}
}

var convs = []Conv{
	{window(28, 28, 1, 5, 1, 2), 32}, // madry_cnn
	{window(14, 14, 32, 5, 1, 2), 64},
	{window(28, 28, 1, 4, 2, 1), 16}, // fast_cnn
	{window(14, 14, 16, 4, 2, 1), 32},
	{window(9, 11, 3, 3, 1, 1), 16}, // first layer on colour images
	{window(8, 8, 16, 3, 2, 1), 24}, // ResNet
	{window(8, 8, 16, 1, 2, 0), 32}, // its shortcut: some inputs meet no tap
	{window(5, 5, 2, 5, 1, 0), 7},   // a single output
	{window(6, 4, 2, 3, 3, 2), 9},
	{window(7, 7, 17, 3, 1, 2), 18}, // full padding
	{window(4, 5, 5, 1, 1, 1), 3},   // more padding than the filter needs
	{window(1, 1, 1, 1, 1, 0), 1},
	{device.Window{H: 7, W: 10, C: 4, KH: 2, KW: 5, Stride: 2, PadTop: 0, PadLeft: 3, PadBottom: 1, PadRight: 1}, 33},
	{device.Window{H: 10, W: 6, C: 3, KH: 4, KW: 1, Stride: 3, PadTop: 3, PadLeft: 0, PadBottom: 0, PadRight: 2}, 10},
	{window(3, 3, 400, 1, 1, 0), 5}, // more than one block of products in a line
}

// visit calls f for each product: positions in x, w and y.
func (c Conv) visit(f func(x, w, y int)) {
	for oy := range c.OutH() {
		for ox := range c.OutW() {
			for tap := range c.taps() {
				ky, kx, ch := tap/(c.KW*c.C), tap/c.C%c.KW, tap%c.C
				iy, ix := oy*c.Stride+ky-c.PadTop, ox*c.Stride+kx-c.PadLeft
				if iy < 0 || iy >= c.H || ix < 0 || ix >= c.W {
					continue
				}
				for o := range c.Out {
					f((iy*c.W+ix)*c.C+ch, tap*c.Out+o, (oy*c.OutW()+ox)*c.Out+o)
				}
			}
		}
	}
}

type convCase struct {
	Conv
	rows            int
	x, w, bias, dy  []float32
	packed, flipped []float32
}

func newConvCase(c Conv, rows int, seed uint64) convCase {
	r := newRand(seed)
	k := convCase{Conv: c, rows: rows}
	k.x = inGuards(normals(r, rows*c.H*c.W*c.C))
	k.w = inGuards(normals(r, c.taps()*c.Out))
	k.bias = inGuards(normals(r, c.Out))
	k.dy = inGuards(normals(r, rows*c.OutH()*c.OutW()*c.Out))
	return k
}

// pack packs the weights, between guards and into memory that was not zero.
func (k *convCase) pack(t *testing.T) {
	p, q := newGuarded(k.PackedForward()), newGuarded(k.PackedInputGrad())
	k.PackForward(p.x, k.w)
	k.PackInputGrad(q.x, k.w)
	p.check(t, "packed")
	q.check(t, "packed for the input gradient")
	k.packed, k.flipped = p.x, q.x
}

func (k *convCase) image(r int) []float32 {
	n := k.H * k.W * k.C
	return k.x[r*n:][:n:n]
}

func (k *convCase) gradient(r int) []float32 {
	n := k.OutH() * k.OutW() * k.Out
	return k.dy[r*n:][:n:n]
}

func checkConv(t *testing.T, c Conv, rows int, seed uint64) {
	k := newConvCase(c, rows, seed)
	k.pack(t)
	y, dx := make([]sum64, c.OutH()*c.OutW()*c.Out), make([]sum64, c.H*c.W*c.C)
	last := rows - 1
	for i := range y {
		y[i].add(k.bias[i%c.Out], 1)
	}
	image, gradient := k.image(last), k.gradient(last)
	c.visit(func(a, b, i int) {
		y[i].add(image[a], k.w[b])
		dx[a].add(gradient[i], k.w[b])
	})
	got, scratch := newGuarded(len(y)), newGuarded(c.Scratch())
	c.Forward(got.x, image, k.packed, k.bias, 1, false, scratch.x)
	compareSums(t, "y", got.x, y)
	plain := append([]float32(nil), got.x...)
	c.Forward(got.x, image, k.packed, k.bias, 1, true, scratch.x)
	ReLU(plain, plain)
	sameBits(t, "relu(y)", got.x, plain)
	got.check(t, "y")
	scratch.check(t, "scratch of Forward")

	got, scratch = newGuarded(len(dx)), newGuarded(c.Scratch())
	c.InputGrad(got.x, gradient, k.flipped, 1, scratch.x)
	compareSums(t, "dx", got.x, dx)
	got.check(t, "dx")
	scratch.check(t, "scratch of InputGrad")

	dw := make([]sum64, len(k.w))
	for r := range rows {
		image, gradient := k.image(r), k.gradient(r)
		c.visit(func(a, b, i int) { dw[b].add(image[a], gradient[i]) })
	}
	got, scratch = newGuarded(len(dw)), newGuarded(c.Scratch())
	for unit := range c.WeightGradUnits() {
		c.WeightGrad(unit, got.x, k.x, k.dy, rows, nil, scratch.x)
	}
	compareSums(t, "dw", got.x, dw)
	got.check(t, "dw")
	scratch.check(t, "scratch of WeightGrad")
}

func TestConv(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range convs {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { checkConv(t, c, 2, uint64(i)) })
		}
	})
}

func TestConvRandomShapes(t *testing.T) {
	r := newRand(1)
	eachImplementation(t, func(t *testing.T) {
		for i := range 150 {
			c := Conv{device.Window{H: 1 + r.IntN(12), W: 1 + r.IntN(12), C: 1 + r.IntN(20),
				KH: 1 + r.IntN(5), KW: 1 + r.IntN(5), Stride: 1 + r.IntN(3),
				PadTop: r.IntN(4), PadLeft: r.IntN(4), PadBottom: r.IntN(4), PadRight: r.IntN(4)}, 1 + r.IntN(40)}
			if validWindow(c.Window) {
				t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { checkConv(t, c, 1+i%3, uint64(i)) })
			}
		}
	})
}

func validWindow(w device.Window) bool {
	return w.H+w.PadTop+w.PadBottom >= w.KH && w.W+w.PadLeft+w.PadRight >= w.KW
}

func FuzzConv(f *testing.F) {
	f.Add(uint8(28), uint8(28), uint8(1), uint8(32), uint8(0x55), uint8(1), uint8(0xaa))
	f.Add(uint8(7), uint8(5), uint8(6), uint8(17), uint8(0x23), uint8(2), uint8(0x1b))
	f.Fuzz(func(t *testing.T, h, w, in, out, k, stride, pad uint8) {
		c := Conv{device.Window{H: 1 + int(h%32), W: 1 + int(w%32), C: 1 + int(in%40),
			KH: 1 + int(k&7), KW: 1 + int(k>>4&7), Stride: 1 + int(stride%4),
			PadTop: int(pad & 3), PadLeft: int(pad >> 2 & 3), PadBottom: int(pad >> 4 & 3), PadRight: int(pad >> 6)}, 1 + int(out%70)}
		if !validWindow(c.Window) || c.hasWinograd() {
			t.Skip()
		}
		eachImplementation(t, func(t *testing.T) { checkConv(t, c, 1+int(h&1), uint64(k)) })
	})
}

// TestConvNaN puts a NaN and an infinity into each operand in turn, and looks for them in what
// depends on it and nowhere else.
func TestConvNaN(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range convs {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
				k := newConvCase(c, 1, uint64(i))
				y, dx, dw := make([]bool, len(k.dy)), make([]bool, len(k.x)), make([]bool, len(k.w))
				at := len(k.x) / 2
				gradAt := len(k.dy) / 2
				k.x[at], k.dy[gradAt] = bad, bad
				c.visit(func(a, b, i int) {
					y[i] = y[i] || a == at
					dx[a] = dx[a] || i == gradAt
					dw[b] = dw[b] || a == at || i == gradAt
				})
				k.pack(t)
				got, scratch := make([]float32, max(len(y), len(dx), len(dw))), make([]float32, c.Scratch())
				c.Forward(got, k.x, k.packed, nil, 1, false, scratch)
				checkFinite(t, "y", got[:len(y)], y)
				c.InputGrad(got, k.dy, k.flipped, 1, scratch)
				checkFinite(t, "dx", got[:len(dx)], dx)
				for unit := range c.WeightGradUnits() {
					c.WeightGrad(unit, got, k.x, k.dy, 1, nil, scratch)
				}
				for b, bad := range dw { // padding times infinity makes more of them at the border
					if bad && AllFinite(got[b:b+1]) {
						t.Fatalf("%+v: dw[%d] = %v", c, b, got[b])
					}
				}
			}
		}
	})
}

func checkFinite(t *testing.T, name string, got []float32, bad []bool) {
	t.Helper()
	for i, v := range got {
		if AllFinite([]float32{v}) == bad[i] {
			t.Fatalf("%s[%d] = %v, want it finite: %v", name, i, v, !bad[i])
		}
	}
}
