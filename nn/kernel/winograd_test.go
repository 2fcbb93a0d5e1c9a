package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

var winogradConvs = []Conv{
	{window(8, 8, 16, 3, 1, 1), 24},
	{window(4, 4, 8, 3, 1, 1), 8},
	{window(9, 14, 40, 3, 1, 1), 72}, // patches beyond the image
	{window(3, 7, 8, 3, 1, 0), 16},
	{window(1, 1, 24, 3, 1, 1), 8},
	{window(7, 5, 8, 3, 1, 3), 8}, // more padding than the filter needs
	{device.Window{H: 6, W: 10, C: 16, KH: 3, KW: 3, Stride: 1, PadTop: 2, PadLeft: 0, PadBottom: 0, PadRight: 5}, 8},
	{window(16, 12, 64, 3, 1, 1), 64},
	{window(4, 4, 408, 3, 1, 1), 16}, // two blocks of products
}

// winogradCase is both directions of a convolution in Winograd's form, whatever the choice would be.
type winogradCase struct {
	convCase
	forward, backward winograd
}

func newWinogradCase(t *testing.T, c Conv, rows int, seed uint64) winogradCase {
	t.Helper()
	k := winogradCase{newConvCase(c, rows, seed), c.winogradForward(), c.winogradInputGrad()}
	p, q := newGuarded(k.forward.packedSize()), newGuarded(k.backward.packedSize())
	c.packWinograd(p.x, k.w)
	c.packWinogradInputGrad(q.x, k.w)
	p.check(t, "packed")
	q.check(t, "packed for the input gradient")
	k.packed, k.flipped = p.x, q.x
	return k
}

func (k *winogradCase) y(t *testing.T, x []float32, rows int, relu bool) []float32 {
	t.Helper()
	got, scratch := newGuarded(rows*len(k.dy)/k.rows), newGuarded(k.forward.scratch())
	k.forward.run(got.x, x, k.packed, k.bias, rows, relu, scratch.x)
	got.check(t, "y")
	scratch.check(t, "scratch of the forward pass")
	return got.x
}

func (k *winogradCase) dx(t *testing.T, dy []float32, rows int) []float32 {
	t.Helper()
	got, scratch := newGuarded(rows*len(k.x)/k.rows), newGuarded(k.backward.scratch())
	k.backward.run(got.x, dy, k.flipped, nil, rows, false, scratch.x)
	got.check(t, "dx")
	scratch.check(t, "scratch of the input gradient")
	return got.x
}

// closeSums bounds the error of each sum by the largest sum of magnitudes, since what is added and
// taken off again belongs to all outputs of a patch, and the error of all by their length.
func closeSums(t *testing.T, name string, got []float32, want []sum64) {
	t.Helper()
	var largest, squares, errors float64
	for _, w := range want {
		largest = max(largest, w.magnitude)
	}
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w.value)
		if !(d <= 2e-6*largest) {
			t.Fatalf("%s[%d] = %v, want %v (sums of magnitudes to %v)", name, i, got[i], w.value, largest)
		}
		squares, errors = squares+w.value*w.value, errors+d*d
	}
	if r := math.Sqrt(errors / squares); !(r <= 3e-6) {
		t.Fatalf("%s: relative error %v", name, r)
	}
}

func checkWinograd(t *testing.T, c Conv, rows int, seed uint64) {
	k := newWinogradCase(t, c, rows, seed)
	last := rows - 1
	image, gradient := k.image(last), k.gradient(last)
	want, wantX := make([]sum64, len(gradient)), make([]sum64, len(image))
	for i := range want {
		want[i].add(k.bias[i%c.Out], 1)
	}
	c.visit(func(a, b, i int) {
		want[i].add(image[a], k.w[b])
		wantX[a].add(gradient[i], k.w[b])
	})
	y, dx := k.y(t, k.x, rows, false), k.dx(t, k.dy, rows)
	closeSums(t, "y", y[last*len(want):], want)
	closeSums(t, "dx", dx[last*len(wantX):], wantX)
	// An image's result does not depend on its company.
	sameBits(t, "y of one image", k.y(t, image, 1, false), y[last*len(want):])
	sameBits(t, "dx of one image", k.dx(t, gradient, 1), dx[last*len(wantX):])
	ReLU(y, y)
	sameBits(t, "relu(y)", k.y(t, k.x, rows, true), y)
}

func TestWinograd(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range winogradConvs {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { checkWinograd(t, c, 1+i%4, uint64(i)) })
		}
		checkWinograd(t, Conv{window(4, 4, 8, 3, 1, 1), 8}, 2*mostBlock+5, 1) // some blocks
	})
}

func FuzzWinograd(f *testing.F) {
	f.Add(uint8(8), uint8(8), uint8(2), uint8(3), uint8(0x55), uint8(2))
	f.Add(uint8(13), uint8(3), uint8(1), uint8(7), uint8(0xe4), uint8(9))
	f.Fuzz(func(t *testing.T, h, w, in, out, pad, rows uint8) {
		c := Conv{device.Window{H: 1 + int(h%20), W: 1 + int(w%20), C: lanes * (1 + int(in%6)), KH: 3, KW: 3, Stride: 1,
			PadTop: int(pad & 3), PadLeft: int(pad >> 2 & 3), PadBottom: int(pad >> 4 & 3), PadRight: int(pad >> 6)}, lanes * (1 + int(out%6))}
		if !validWindow(c.Window) {
			t.Skip()
		}
		eachImplementation(t, func(t *testing.T) { checkWinograd(t, c, 1+int(rows%12), uint64(h)) })
	})
}

// TestWinogradTransforms compares the transforms of all implementations bit by bit.
func TestWinogradTransforms(t *testing.T) {
	for _, channels := range []int{8, 24, 32} {
		checkTransforms(t, channels)
	}
}

func checkTransforms(t *testing.T, channels int) {
	const step, line = 40, 200
	r := newRand(1)
	x, bias := normals(r, patchSide*line), normals(r, channels)
	m, w := normals(r, patchSize*step), normals(r, 9*100)
	for i := 0; i < len(x); i += 7 {
		x[i] *= 1e20
	}
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-40, float32(math.Copysign(0, -1))}
	for i, v := range bad {
		x[50*i+8], m[90*i+9], w[100*i+10] = v, v, v
	}
	run := func() (all []guarded) {
		registers := newGuarded(patchSize * panel)
		v, u, narrow := newGuarded(patchSize*step), newGuarded(patchSize*100), newGuarded(patchSize*100)
		current.winogradInput(winogradInput{v: v.x, x: x, step: step, line: line, channels: channels, registers: registers.x})
		current.winogradWeights(winogradWeights{u: u.x, w: w, step: 100, tap: 100, line: 16, lines: 6, cols: 16})
		current.winogradWeights(winogradWeights{u: narrow.x, w: w, step: 100, tap: 100, line: 16, lines: 6, cols: 8})
		all = append(all, v, u, narrow)
		for _, bias := range [][]float32{bias, nil} {
			for _, rectified := range []bool{false, true} {
				y := newGuarded(patchStep * line)
				current.winogradOutput(winogradOutput{y: y.x, m: m, step: step, line: line, channels: channels,
					bias: bias, rectified: rectified, registers: registers.x})
				all = append(all, y)
			}
		}
		registers.check(t, "registers")
		return all
	}
	var want []guarded
	eachImplementation(t, func(t *testing.T) {
		got := run()
		for i, g := range got {
			g.check(t, fmt.Sprint(i))
			if want != nil {
				sameBits(t, fmt.Sprint(i), g.x, want[i].x)
			}
		}
		want = got
	})
}

// TestWinogradNaN: what depends on a NaN or an infinity is not finite, and other images have the bits
// that they have without it.
func TestWinogradNaN(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range winogradConvs[:7] {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
				k := newWinogradCase(t, c, 3, uint64(i))
				y, dx := k.y(t, k.x, 3, false), k.dx(t, k.dy, 3)
				image, gradient := k.image(1), k.gradient(1)
				at, gradAt := len(image)/2, len(gradient)/2
				image[at], gradient[gradAt] = bad, bad
				gotY, gotX := k.y(t, k.x, 3, false), k.dx(t, k.dy, 3)
				for _, row := range []int{0, 2} {
					sameBits(t, "y", gotY[row*len(gradient):][:len(gradient)], y[row*len(gradient):][:len(gradient)])
					sameBits(t, "dx", gotX[row*len(image):][:len(image)], dx[row*len(image):][:len(image)])
				}
				gotY, gotX = gotY[len(gradient):], gotX[len(image):]
				c.visit(func(a, b, i int) {
					if a == at && AllFinite(gotY[i:i+1]) || i == gradAt && AllFinite(gotX[a:a+1]) {
						t.Fatalf("%+v: y[%d] = %v, dx[%d] = %v", c, i, gotY[i], a, gotX[a])
					}
				})
			}
		}
	})
}

// TestWinogradChosen holds the choice to the shape, and takes one through the exported methods.
func TestWinogradChosen(t *testing.T) {
	for _, test := range []struct {
		Conv
		chosen, many bool
	}{
		{Conv{window(32, 32, 64, 3, 1, 1), 64}, true, false},
		{Conv{window(16, 16, 128, 3, 1, 1), 128}, true, false},
		{Conv{window(8, 8, 256, 3, 1, 1), 256}, true, true},
		{Conv{window(4, 4, 512, 3, 1, 1), 512}, true, true},
		{Conv{window(32, 32, 64, 3, 2, 1), 128}, false, false},
		{Conv{window(32, 32, 64, 1, 1, 0), 64}, false, false},
		{Conv{window(32, 32, 16, 3, 1, 1), 64}, true, false},
		{Conv{window(32, 32, 8, 3, 1, 1), 64}, false, false},
		{Conv{window(32, 32, 48, 3, 1, 1), 48}, false, false},
		{Conv{window(32, 32, 68, 3, 1, 1), 64}, false, false},
		{Conv{window(12, 12, 64, 3, 1, 0), 64}, false, false}, // patches of 144 for 100 outputs
		{Conv{window(14, 14, 32, 5, 1, 2), 64}, false, false},
	} {
		if chosen, many := test.hasWinograd(), test.ManyRows(); chosen != test.chosen || many != test.many {
			t.Errorf("%+v: Winograd %v, many rows %v", test.Conv, chosen, many)
		}
	}
	eachImplementation(t, func(t *testing.T) {
		c := Conv{window(8, 8, 64, 3, 1, 1), 72}
		k := newWinogradCase(t, c, 2, 1)
		y, dx := k.y(t, k.x, 2, true), k.dx(t, k.dy, 2)
		k.pack(t)
		gotY, gotX, scratch := newGuarded(len(y)), newGuarded(len(dx)), newGuarded(c.Scratch())
		if n := testing.AllocsPerRun(1, func() {
			c.Forward(gotY.x, k.x, k.packed, k.bias, 2, true, scratch.x)
			c.InputGrad(gotX.x, k.dy, k.flipped, 2, scratch.x)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
		sameBits(t, "y", gotY.x, y)
		sameBits(t, "dx", gotX.x, dx)
		scratch.check(t, "scratch")
	})
}
