package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

// convWeightGrad computes dw, from lists if shared is not empty, and reports whether there were lists.
func convWeightGrad(c Conv, dw, x, dy []float32, rows int, shared, scratch []float32) (lists bool) {
	for b := range c.WeightGradBlocks(rows) {
		if len(shared) > 0 {
			c.PrepareWeightGrad(b, x, dy, rows, shared, scratch)
		}
	}
	for unit := range c.WeightGradUnits() {
		c.WeightGrad(unit, dw, x, dy, rows, shared, scratch)
	}
	g := c.weightGrad()
	s := g.share(shared, rows)
	return s.are(listed)
}

// checkSparseWeightGrad compares the two forms of WeightGrad, bit by bit.
func checkSparseWeightGrad(t *testing.T, c Conv, rows int, density float64, seed uint64, values ...float32) {
	t.Helper()
	if c.WeightGradShared(rows) == 0 {
		return
	}
	k := newConvCase(c, rows, seed)
	for i, v := range values {
		k.dy[(i*104729+int(seed))%len(k.dy)] = v
	}
	thin(k.dy, density, seed)
	thin(k.x, .5, seed+1)
	want, got := make([]float32, len(k.w)), newGuarded(len(k.w))
	convWeightGrad(c, want, k.x, k.dy, rows, nil, make([]float32, c.Scratch()))
	shared, scratch := newGuarded(c.WeightGradShared(rows)), newGuarded(c.Scratch())
	convWeightGrad(c, got.x, k.x, k.dy, rows, shared.x, scratch.x)
	name := fmt.Sprintf("%+v, %d rows, density %v: dw", c, rows, density)
	sameBits(t, name, got.x, want)
	got.check(t, name)
	shared.check(t, "shared")
	scratch.check(t, "scratch")
}

func TestSparseWeightGrad(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range append(sparseConvs, convs...) {
			for _, d := range []float64{0, .1, .25, 1} {
				checkSparseWeightGrad(t, c, 1+i%3, d, uint64(i))
			}
		}
		checkSparseWeightGrad(t, Conv{window(4, 4, 8, 3, 1, 1), 20}, 40, .2, 1) // blocks of 16 images
	})
}

func TestSparseWeightGradRandomShapes(t *testing.T) {
	r := newRand(8)
	tiny, inf, nan := math.Float32frombits(1), float32(math.Inf(1)), float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for i := range 200 {
			c := Conv{device.Window{H: 1 + r.IntN(10), W: 1 + r.IntN(10), C: 1 + r.IntN(40),
				KH: 1 + r.IntN(6), KW: 1 + r.IntN(6), Stride: 1 + r.IntN(3),
				PadTop: r.IntN(4), PadLeft: r.IntN(4), PadBottom: r.IntN(4), PadRight: r.IntN(4)}, 1 + r.IntN(40)}
			if i%3 == 0 {
				c.C = roundUp(c.C, lanes)
			}
			if !validWindow(c.Window) {
				continue
			}
			rows, density := 1+r.IntN(9), .3*r.Float64()
			switch i % 4 {
			case 0:
				checkSparseWeightGrad(t, c, rows, density, uint64(i), inf, nan, -inf)
			case 1:
				checkSparseWeightGrad(t, c, rows, density, uint64(i), tiny, -tiny, 1e-38, -1e-38, math.MaxFloat32)
			default:
				checkSparseWeightGrad(t, c, rows, density, uint64(i))
			}
		}
	})
}

// TestWeightGradChoice holds the choice to shape, count and finite values.
func TestWeightGradChoice(t *testing.T) {
	c, rows := Conv{window(9, 8, 24, 3, 1, 1), 40}, 3
	for name, test := range map[string]struct {
		density float64
		x       float32
		want    bool
	}{
		"sparse":     {.1, 1, true},
		"zeros":      {0, 1, true},
		"dense":      {1, 1, false},
		"infinite x": {.1, float32(math.Inf(1)), false},
		"NaN in x":   {.1, float32(math.NaN()), false},
	} {
		eachImplementation(t, func(t *testing.T) {
			k := newConvCase(c, rows, 5)
			thin(k.dy, test.density, 1)
			k.x[len(k.x)-1] = test.x
			shared, scratch := make([]float32, c.WeightGradShared(rows)), make([]float32, c.Scratch())
			want, got := make([]float32, len(k.w)), make([]float32, len(k.w))
			convWeightGrad(c, want, k.x, k.dy, rows, nil, scratch)
			if lists := convWeightGrad(c, got, k.x, k.dy, rows, shared, scratch); lists != test.want {
				t.Errorf("%s: lists %v, want %v", name, lists, test.want)
			}
			sameBits(t, name, got, want)
			if n := testing.AllocsPerRun(2, func() { convWeightGrad(c, got, k.x, k.dy, rows, shared, scratch) }); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

func denseWeightGrad(d Dense, dw, x, dy []float32, rows int, shared, scratch []float32) {
	for b := range d.WeightGradBlocks(rows) {
		d.PrepareWeightGrad(b, dy, rows, shared)
	}
	for unit := range d.WeightGradUnits() {
		d.WeightGrad(unit, dw, x, rows, shared, scratch)
	}
}

// TestSparseDenseWeightGrad compares the two forms of Dense.WeightGrad, bit by bit.
func TestSparseDenseWeightGrad(t *testing.T) {
	tiny, inf, nan := math.Float32frombits(1), float32(math.Inf(1)), float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for i, test := range []struct{ in, out, rows int }{
			{200, 100, 50}, {784, 64, 16}, {33, 144, 129}, {61, 70, 411}, {100, 65, 23},
		} {
			for j, values := range [][]float32{nil, {tiny, -tiny, 1e-38, math.MaxFloat32}, {inf, nan, -inf}} {
				for _, density := range []float64{0, .1, .5, 1} {
					d, r := Dense{test.in, test.out}, newRand(uint64(i))
					x, dy := normals(r, test.rows*d.In), normals(r, test.rows*d.Out)
					for k, v := range values {
						x[(k*7919+i)%len(x)] = v
					}
					if j == 1 { // products and sums that underflow
						Scale(dy, dy, 1e-30)
						Scale(x, x, 1e-10)
					}
					thin(x, density, uint64(i))
					thin(dy, .5, uint64(i+1))
					shared, scratch := newGuarded(d.WeightGradShared(test.rows)), newGuarded(d.Scratch(test.rows))
					want, got := make([]float32, d.In*d.Out), newGuarded(d.In*d.Out)
					denseWeightGrad(d, got.x, x, dy, test.rows, shared.x, scratch.x)
					d.denseWeightGrad(want, x, shared.x, test.rows, 0, d.In, make([]float32, d.Scratch(test.rows)))
					sameBits(t, fmt.Sprintf("%+v, density %v, %v: dw", test, density, values), got.x, want)
					got.check(t, "dw")
					shared.check(t, "shared")
					scratch.check(t, "scratch")
				}
			}
		}
	})
}

// TestDenseWeightGradChoice: zeros of x are skipped where they are many and dy is finite.
func TestDenseWeightGradChoice(t *testing.T) {
	d, rows := Dense{100, 70}, 20
	for name, test := range map[string]struct {
		density float64
		dy      float32
		sparse  bool
	}{
		"sparse":         {.2, 1, true},
		"dense":          {1, 1, false},
		"infinite in dy": {.2, float32(math.Inf(1)), false},
	} {
		eachImplementation(t, func(t *testing.T) {
			x, dy := normals(newRand(1), rows*d.In), normals(newRand(2), rows*d.Out)
			thin(x, test.density, 3)
			dy[len(dy)-1] = test.dy
			shared, scratch := make([]float32, d.WeightGradShared(rows)), make([]float32, d.Scratch(rows))
			got, want := make([]float32, d.In*d.Out), make([]float32, d.In*d.Out)
			denseWeightGrad(d, got, x, dy, rows, shared, scratch)
			d.denseWeightGrad(want, x, shared, rows, 0, d.In, scratch)
			sameBits(t, name, got, want)
			if test.dy == 1 {
				if sparse := d.sparseWeightGrad(want, x, shared, rows, 0, blockInputs, scratch); sparse != test.sparse {
					t.Errorf("%s: sparse %v, want %v", name, sparse, test.sparse)
				}
			}
			if n := testing.AllocsPerRun(2, func() { denseWeightGrad(d, got, x, dy, rows, shared, scratch) }); n > 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

func FuzzSparseWeightGrad(f *testing.F) {
	f.Add(uint8(13), uint8(13), uint8(31), uint8(63), uint8(0x44), uint8(0xaa), uint8(20), uint8(1))
	f.Add(uint8(3), uint8(3), uint8(15), uint8(20), uint8(0x22), uint8(0x55), uint8(60), uint8(8))
	f.Fuzz(func(t *testing.T, h, w, in, out, k, pad, density, rows uint8) {
		c := Conv{device.Window{H: 1 + int(h%20), W: 1 + int(w%20), C: 1 + int(in%80),
			KH: 1 + int(k&7), KW: 1 + int(k>>4&7), Stride: 1 + int(k>>3&1),
			PadTop: int(pad & 3), PadLeft: int(pad >> 2 & 3), PadBottom: int(pad >> 4 & 3), PadRight: int(pad >> 6)}, 1 + int(out%70)}
		if !validWindow(c.Window) {
			t.Skip()
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		eachImplementation(t, func(t *testing.T) {
			checkSparseWeightGrad(t, c, 1+int(rows%10), float64(density)/512, uint64(h)<<8|uint64(k))
			checkSparseWeightGrad(t, c, 1+int(rows%10), float64(density)/512, uint64(h)<<8|uint64(k), nan, inf, -inf)
		})
	})
}
