package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

// thin keeps each value with the given probability; the others become zeros of either sign.
func thin(x []float32, density float64, seed uint64) {
	r := newRand(seed)
	for i := range x {
		if r.Float64() >= density {
			x[i] = float32(math.Copysign(0, float64(x[i])))
		}
	}
}

// checkSparse compares the two forms of Forward and InputGrad, bit by bit.
func checkSparse(t *testing.T, c Conv, density float64, seed uint64, values ...float32) {
	t.Helper()
	if !c.hasSparse() || c.hasWinograd() {
		return
	}
	k := newConvCase(c, 1, seed)
	for i, v := range values {
		k.x[(i*7919+int(seed))%len(k.x)], k.dy[(i*104729+int(seed))%len(k.dy)] = v, v
	}
	thin(k.x, density, seed)
	thin(k.dy, density, seed+1)
	k.pack(t)
	for _, relu := range []bool{false, true} {
		weights, _ := noted(k.packed)
		want, got := make([]float32, len(k.dy)), newGuarded(len(k.dy))
		c.denseForward(want, k.x, weights, k.bias, relu, make([]float32, c.Scratch()))
		scratch := newGuarded(c.Scratch())
		c.sparseForward(got.x, c.paddedImage().list(k.x, scratch.x), weights, k.bias, relu)
		sameBits(t, fmt.Sprintf("%+v, density %v: y", c, density), got.x, want)
		got.check(t, "y")
		scratch.check(t, "scratch")
	}
	if dotSlots(c.C) > 0 {
		return
	}
	weights, _ := noted(k.flipped)
	want, got := make([]float32, len(k.x)), newGuarded(len(k.x))
	c.denseInputGrad(want, k.dy, weights, make([]float32, c.Scratch()))
	scratch := newGuarded(c.Scratch())
	c.sparseInputGrad(got.x, c.gradientImage().list(k.dy, scratch.x), weights)
	sameBits(t, fmt.Sprintf("%+v, density %v: dx", c, density), got.x, want)
	got.check(t, "dx")
	scratch.check(t, "scratch")
}

var sparseConvs = []Conv{
	{window(14, 14, 32, 5, 1, 2), 64},
	{window(9, 7, 16, 3, 1, 1), 48}, // three panels
	{window(6, 6, 8, 3, 1, 1), 100}, // seven panels, the last with four columns
	{window(5, 5, 72, 2, 1, 0), 80}, // five panels
	{window(8, 9, 24, 4, 1, 2), 30},
}

var densities = []float64{0, .1, .5, 1}

func TestSparse(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range append(sparseConvs, convs...) {
			for _, d := range densities {
				checkSparse(t, c, d, uint64(i))
			}
		}
	})
}

func TestSparseRandomShapes(t *testing.T) {
	r := newRand(3)
	tiny, inf, nan := math.Float32frombits(1), float32(math.Inf(1)), float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for i := range 200 {
			c := Conv{device.Window{H: 1 + r.IntN(10), W: 1 + r.IntN(10), C: 1 + r.IntN(40),
				KH: 1 + r.IntN(6), KW: 2 + r.IntN(4), Stride: 1,
				PadTop: r.IntN(4), PadLeft: r.IntN(4), PadBottom: r.IntN(4), PadRight: r.IntN(4)}, 1 + r.IntN(90)}
			if !validWindow(c.Window) {
				continue
			}
			switch i % 4 {
			case 0:
				checkSparse(t, c, r.Float64(), uint64(i), inf, nan, -inf)
			case 1:
				checkSparse(t, c, r.Float64(), uint64(i), tiny, -tiny, 1e-38, -1e-38, math.MaxFloat32)
			default:
				checkSparse(t, c, r.Float64(), uint64(i))
			}
		}
	})
}

// checkSparseRows compares the two forms of a product, bit by bit.
func checkSparseRows(t *testing.T, rows, k, n int, density float64, seed uint64, values ...float32) {
	t.Helper()
	r := newRand(seed)
	x, w, bias := normals(r, rows*k), normals(r, k*n), normals(r, n)
	for i, v := range values {
		x[(i*7919+int(seed))%len(x)] = v
	}
	thin(x, density, seed)
	b, scratch := newGuarded(panels(n)*panel*pitch(k)), newGuarded(sparseScratch(rows, k))
	packPanels(b.x, w, k, n, pitch(k))
	for _, relu := range []bool{false, true} {
		for _, bias := range [][]float32{inGuards(bias), nil} {
			want, got := make([]float32, rows*n), newGuarded(rows*n)
			multiply(want, x, b.x, bias, rows, k, n, relu)
			l, _ := listAllRows(x, scratch.x, rows, k)
			sparseMultiply(got.x, l, b.x, bias, rows, k, n, pitch(k), relu)
			sameBits(t, fmt.Sprintf("[%d,%d]*[%[2]d,%d], density %v: y", rows, k, n, density), got.x, want)
			got.check(t, "y")
			scratch.check(t, "scratch")
		}
	}
}

func TestSparseRows(t *testing.T) {
	r := newRand(4)
	tiny, inf, nan := math.Float32frombits(1), float32(math.Inf(1)), float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for i, d := range densities {
			checkSparseRows(t, 5, 1024, 200, d, uint64(i))
		}
		for i := range 60 {
			rows, k, n := 1+r.IntN(9), 1+r.IntN(900), 1+r.IntN(150)
			checkSparseRows(t, rows, k, n, r.Float64(), uint64(i))
			checkSparseRows(t, rows, k, n, r.Float64(), uint64(i), inf, nan, -inf)
			checkSparseRows(t, rows, k, n, r.Float64(), uint64(i), tiny, -tiny, 1e-38, math.MaxFloat32)
		}
	})
}

// TestDenseChoice goes through Forward and InputGrad with scratch for lists, and with weights for
// which zeros must be multiplied.
func TestDenseChoice(t *testing.T) {
	inf, negativeZero := float32(math.Inf(1)), float32(math.Copysign(0, -1))
	d, rows := Dense{In: 300, Out: 260}, 6
	for name, test := range map[string]struct {
		density              float64
		weight, bias, factor float32
	}{
		"sparse":             {.1, 1, 1, 1},
		"dense":              {1, 1, 1, 1},
		"infinite weight":    {.1, inf, 1, 1},
		"underflow, bias -0": {.02, 1, negativeZero, -1e-44},
	} {
		eachImplementation(t, func(t *testing.T) {
			r := newRand(6)
			x, dy, w, bias := normals(r, rows*d.In), normals(r, rows*d.Out), normals(r, d.In*d.Out), make([]float32, d.Out)
			thin(x, test.density, 1)
			thin(dy, test.density, 2)
			if test.factor < 0 {
				for i := range w {
					w[i] = .1
				}
				for i := range x {
					x[i] = float32(math.Abs(float64(x[i]))) * test.factor
				}
			}
			w[777] = test.weight
			for i := range bias {
				bias[i] = test.bias
			}
			packed, flipped := make([]float32, d.PackedForward()), make([]float32, d.PackedInputGrad())
			d.PackForward(packed, w)
			d.PackInputGrad(flipped, w)
			scratch := make([]float32, d.ListScratch(rows))
			got, want := make([]float32, len(dy)), make([]float32, len(dy))
			d.Forward(want, x, packed, bias, rows, false, nil)
			d.Forward(got, x, packed, bias, rows, false, scratch)
			sameBits(t, name+": y", got, want)
			got, want = make([]float32, len(x)), make([]float32, len(x))
			d.InputGrad(want, dy, flipped, rows, nil)
			d.InputGrad(got, dy, flipped, rows, scratch)
			sameBits(t, name+": dx", got, want)
			if n := testing.AllocsPerRun(2, func() { d.InputGrad(got, dy, flipped, rows, scratch) }); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

// TestSparseChoice goes through Forward and InputGrad: whatever they choose, the bits are those of
// the dense form, also where it matters that zeros are multiplied.
func TestSparseChoice(t *testing.T) {
	inf, nan, negativeZero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	c := Conv{window(9, 8, 24, 3, 1, 1), 40}
	for name, test := range map[string]struct {
		density      float64
		weight, bias float32
	}{
		"sparse":              {.1, 1, 1},
		"dense":               {1, 1, 1},
		"zeros":               {0, 1, 1},
		"infinite weight":     {.1, inf, 1},
		"NaN weight":          {.1, nan, 1},
		"underflow, bias -0":  {.02, -1e-30, negativeZero},
		"underflow, no block": {.02, -1e-30, 0},
	} {
		eachImplementation(t, func(t *testing.T) {
			k := newConvCase(c, 1, 5)
			thin(k.x, test.density, 1)
			thin(k.dy, test.density, 2)
			k.w[777] = test.weight
			if test.weight == -1e-30 {
				for i := range k.w {
					k.w[i] = test.weight
				}
				Scale(k.x, k.x, 1e-25)
			}
			for i := range k.bias {
				k.bias[i] = test.bias
			}
			k.pack(t)
			scratch, got := make([]float32, c.Scratch()), make([]float32, len(k.dy))
			want := make([]float32, len(k.dy))
			b, _ := noted(k.packed)
			c.denseForward(want, k.x, b, k.bias, false, scratch)
			c.Forward(got, k.x, k.packed, k.bias, 1, false, scratch)
			sameBits(t, name+": y", got, want)
			got, want = make([]float32, len(k.x)), make([]float32, max(len(k.x), len(k.dy)))[:len(k.x)]
			b, _ = noted(k.flipped)
			c.denseInputGrad(want, k.dy, b, scratch)
			c.InputGrad(got, k.dy, k.flipped, 1, scratch)
			sameBits(t, name+": dx", got, want)
			if n := testing.AllocsPerRun(2, func() {
				c.Forward(want[:len(k.dy)], k.x, k.packed, k.bias, 1, false, scratch)
				c.InputGrad(got, k.dy, k.flipped, 1, scratch)
			}); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

// TestListIfSparse holds the choice to shape and count.
func TestListIfSparse(t *testing.T) {
	for _, test := range []struct {
		image
		window  int
		density float64
		want    bool
	}{
		{image{h: 14, w: 14, channels: 32, stride: 14, height: 14, width: 14}, 5, .36, true},
		{image{h: 14, w: 14, channels: 32, stride: 14, height: 14, width: 14}, 5, 0, true},
		{image{h: 14, w: 14, channels: 32, stride: 14, height: 14, width: 14}, 5, .9, false},
		{image{h: 14, w: 14, channels: 8, stride: 14, height: 14, width: 14}, 5, .1, false},
		{image{h: 4, w: 4, channels: 512, stride: 4, height: 4, width: 4}, 3, .36, false},
		{image{h: 4, w: 4, channels: 512, stride: 4, height: 4, width: 4}, 3, .1, true},
	} {
		eachImplementation(t, func(t *testing.T) {
			x := normals(newRand(1), test.h*test.w*test.channels)
			thin(x, test.density, 2)
			l := test.listIfSparse(x, make([]float32, test.listSize()), test.window)
			if l.empty() == test.want {
				t.Errorf("%+v, window %d, density %v: sparse %v, want %v", test.image, test.window, test.density, !l.empty(), test.want)
			}
		})
	}
}

func FuzzSparse(f *testing.F) {
	f.Add(uint8(13), uint8(13), uint8(31), uint8(63), uint8(0x44), uint8(0xaa), uint8(90))
	f.Add(uint8(6), uint8(4), uint8(16), uint8(17), uint8(0x23), uint8(0x1b), uint8(20))
	f.Fuzz(func(t *testing.T, h, w, in, out, k, pad, density uint8) {
		c := Conv{device.Window{H: 1 + int(h%32), W: 1 + int(w%32), C: 1 + int(in%80),
			KH: 1 + int(k&7), KW: 2 + int(k>>4&3), Stride: 1,
			PadTop: int(pad & 3), PadLeft: int(pad >> 2 & 3), PadBottom: int(pad >> 4 & 3), PadRight: int(pad >> 6)}, 1 + int(out%100)}
		if !validWindow(c.Window) {
			t.Skip()
		}
		eachImplementation(t, func(t *testing.T) { checkSparse(t, c, float64(density)/255, uint64(h)<<8|uint64(k)) })
	})
}
