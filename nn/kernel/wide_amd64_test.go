package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rampart/nn/device"
)

// sameAsAVX2 compares what f returns with AVX-512 and with AVX2, bit by bit.
func sameAsAVX2(t *testing.T, name string, f func() []guarded) {
	t.Helper()
	defer Use(Current())
	var results [2][]guarded
	for i, set := range []string{"avx2", "avx512"} {
		if err := Use(set); err != nil {
			t.Fatal(err)
		}
		results[i] = f()
	}
	for i, g := range results[1] {
		g.check(t, fmt.Sprintf("%s: result %d", name, i))
		sameBits(t, fmt.Sprintf("%s: result %d", name, i), g.x, results[0][i].x)
	}
}

// TestWideBits holds AVX-512 to the bits of AVX2. Where this processor has no AVX-512,
// testdata/bochs/run.sh runs the test on one that has.
func TestWideBits(t *testing.T) {
	if !slices.Contains(Implementations(), "avx512") {
		t.Skip("this processor has no AVX-512")
	}
	t.Run("peak", func(t *testing.T) { // TestPeakFLOPS takes an emulator a minute
		if flops := avx512.peak(10); flops != 10*12*16*2 {
			t.Errorf("%v operations", flops)
		}
	})
	t.Run("tile", func(t *testing.T) {
		r := newRand(1)
		for i := range 250 {
			checkTileBits(t, r, i)
		}
	})
	t.Run("windowSums", func(t *testing.T) {
		for vectors := leastVectors; vectors <= mostVectors; vectors++ {
			checkWindowSumsBits(t, vectors)
		}
	})
	t.Run("conv", func(t *testing.T) {
		for i, c := range wideConvs {
			for _, density := range []float64{.05, .4, 1} {
				checkConvBits(t, c, density, uint64(i))
			}
		}
	})
	t.Run("dense", func(t *testing.T) {
		for i, c := range []struct{ in, out, rows int }{{401, 130, 9}, {256, 250, 20}, {520, 64, 15}, {97, 33, 31}, {300, 17, 1},
			{256, 80, 5}, {256, 96, 4}, {260, 100, 5}, {256, 176, 4}} {
			for _, density := range []float64{.1, .5, 1} {
				checkDenseBits(t, Dense{c.in, c.out}, c.rows, density, uint64(i))
			}
		}
	})
}

// checkTileBits runs a random tile: rows on a grid or in line, one or two panels, whole or not.
func checkTileBits(t *testing.T, r *rand.Rand, i int) {
	d := tile{width: 1 + r.IntN(30), outer: 1 + r.IntN(3), inner: 1 + r.IntN(9), aK: 1 + r.IntN(2), bK: panel,
		cols: 1 + r.IntN(2*panel), accumulate: r.IntN(2) == 0, rectified: r.IntN(2) == 0}
	if i%3 == 0 {
		d.cols = roundUp(d.cols, panel)
	}
	lines := 1 + r.IntN(3)
	d.left, d.rows = d.width, lines*d.width
	if i%10 == 0 {
		d.rows -= r.IntN(d.width)
	}
	d.aStep, d.aWrap, d.aOuter = 1+r.IntN(5), r.IntN(4), d.inner*d.aK+r.IntN(3)
	d.yStep, d.yWrap = d.cols+r.IntN(4), r.IntN(5)
	if r.IntN(2) == 0 {
		d.bPanel = d.outer * d.inner * panel
	} else {
		d.bK, d.bPanel = 2*panel, panel
	}
	size := (d.rows-1)*d.aStep + (lines-1)*d.aWrap + (d.outer-1)*d.aOuter + (d.inner-1)*d.aK + 1
	if d.a = inGuards(normals(r, size)); i%5 == 0 {
		d.a = specials(r, size)
	}
	d.b = inGuards(normals(r, (d.outer*d.inner-1)*d.bK+(panels(d.cols)-1)*d.bPanel+panel))
	if r.IntN(2) == 0 {
		d.bias = inGuards(normals(r, d.cols))
	}
	if r.IntN(2) == 0 {
		d.ahead = d.b
	}
	start := normals(r, (d.rows-1)*d.yStep+(lines-1)*d.yWrap+d.cols)
	sameAsAVX2(t, fmt.Sprintf("tile %d: %d rows in lines of %d, %d columns", i, d.rows, d.width, d.cols), func() []guarded {
		y := newGuarded(len(start))
		copy(y.x, start)
		for p := 0; p < panels(d.cols); p += current.wide {
			part := d
			part.cols = min(current.wide*panel, d.cols-p*panel)
			part.b, part.y = d.b[p*d.bPanel:], y.x[p*panel:]
			if d.bias != nil {
				part.bias = d.bias[p*panel:][:part.cols]
			}
			current.tile(part)
		}
		return []guarded{y}
	})
}

// checkWindowSumsBits sums random parts for some channels, two of them without a pair.
func checkWindowSumsBits(t *testing.T, vectors int) {
	const channels, most = 5, 7
	r := newRand(uint64(vectors))
	s := windowSums{counts: make([]int32, channels), pairs: make([]float32, channels*2*most), x: inGuards(normals(r, 200)),
		pairStep: 2 * most, toStep: vectors*lanes + 3, vectors: vectors}
	for channel := range s.counts {
		s.counts[channel] = int32(2 * channel % (most + 1)) // none, 2, 4, 6, none
		for e := range int(s.counts[channel]) {
			at := channel*s.pairStep + 2*e
			s.pairs[at], integers(s.pairs)[at+1] = float32(r.NormFloat64()), int32(floatBytes*r.IntN(200-vectors*lanes+1))
		}
	}
	start := normals(r, channels*s.toStep)
	sameAsAVX2(t, fmt.Sprint(vectors, " vectors"), func() []guarded {
		to := newGuarded(len(start))
		copy(to.x, start)
		sums := s
		sums.to = to.x
		current.windowSums(sums)
		return []guarded{to}
	})
}

var wideConvs = []Conv{
	{window(6, 14, 32, 5, 1, 2), 64}, // madry_cnn's second, but for the height
	{window(9, 16, 1, 5, 1, 2), 32},
	{window(6, 6, 8, 3, 1, 1), 100},  // seven panels, the last with four columns
	{window(5, 5, 72, 2, 1, 0), 80},  // five panels
	{window(8, 9, 24, 4, 1, 2), 30},  // a panel and a half
	{window(7, 7, 160, 3, 1, 1), 49}, // several blocks of products, and Winograd's form
	{window(6, 7, 20, 4, 1, 1), 100}, // seven panels of each window
	{window(6, 6, 12, 5, 1, 2), 112},
	{window(5, 6, 24, 2, 1, 0), 98},
	{window(8, 8, 16, 3, 2, 1), 40},
	{window(8, 10, 64, 3, 1, 1), 48}, // Winograd's form
	{window(4, 4, 16, 3, 1, 1), 72},  // likewise, and half a wide vector
	{device.Window{H: 7, W: 10, C: 4, KH: 2, KW: 5, Stride: 2, PadTop: 0, PadLeft: 3, PadBottom: 1, PadRight: 1}, 33},
}

// checkConvBits compares all three operations, with lists where the implementations choose them.
func checkConvBits(t *testing.T, c Conv, density float64, seed uint64) {
	const rows = 2
	k := newConvCase(c, rows, seed)
	thin(k.x, density, seed)
	thin(k.dy, density, seed+1)
	if density == .4 {
		k.dy[len(k.dy)/3], k.x[len(k.x)-1] = float32(math.NaN()), float32(math.Inf(-1))
	}
	sameAsAVX2(t, fmt.Sprintf("%+v, density %v", c, density), func() []guarded {
		k.pack(t)
		y, dx, dw, scratch := newGuarded(len(k.dy)), newGuarded(len(k.x)), newGuarded(len(k.w)), newGuarded(c.Scratch())
		c.Forward(y.x, k.x, k.packed, k.bias, rows, true, scratch.x)
		c.InputGrad(dx.x, k.dy, k.flipped, rows, scratch.x)
		shared := newGuarded(c.WeightGradShared(rows))
		for block := range c.WeightGradBlocks(rows) {
			c.PrepareWeightGrad(block, k.x, k.dy, rows, shared.x, scratch.x)
		}
		for unit := range c.WeightGradUnits() {
			c.WeightGrad(unit, dw.x, k.x, k.dy, rows, shared.x, scratch.x)
		}
		scratch.check(t, "scratch")
		shared.check(t, "shared")
		return []guarded{y, dx, dw}
	})
}

func checkDenseBits(t *testing.T, d Dense, rows int, density float64, seed uint64) {
	r := newRand(seed)
	x, w := inGuards(normals(r, rows*d.In)), inGuards(normals(r, d.In*d.Out))
	bias, dy := inGuards(normals(r, d.Out)), inGuards(normals(r, rows*d.Out))
	thin(x, density, seed)
	thin(dy, density, seed+1)
	sameAsAVX2(t, fmt.Sprintf("%+v, %d rows, density %v", d, rows, density), func() []guarded {
		packed, transposed := newGuarded(d.PackedForward()), newGuarded(d.PackedInputGrad())
		d.PackForward(packed.x, w)
		d.PackInputGrad(transposed.x, w)
		y, dx, dw := newGuarded(len(dy)), newGuarded(len(x)), newGuarded(len(w))
		list, scratch := newGuarded(d.ListScratch(rows)), newGuarded(d.Scratch(rows))
		d.Forward(y.x, x, packed.x, bias, rows, true, list.x)
		d.InputGrad(dx.x, dy, transposed.x, rows, list.x)
		shared := newGuarded(d.WeightGradShared(rows))
		denseWeightGrad(d, dw.x, x, dy, rows, shared.x, scratch.x)
		list.check(t, "scratch of the lists")
		scratch.check(t, "scratch")
		shared.check(t, "shared")
		return []guarded{y, dx, dw}
	})
}
