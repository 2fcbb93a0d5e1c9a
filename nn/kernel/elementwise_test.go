package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"rampart/nn/device"
)

var (
	nan    = float32(math.NaN())
	inf    = float32(math.Inf(1))
	zeroes = []float32{0, float32(math.Copysign(0, -1)), inf, -inf, nan, 1e-40, -1e-40}
)

// specials returns n values, some of them zeros, infinities, NaN and denormals.
func specials(r *rand.Rand, n int) []float32 {
	x := normals(r, n)
	for i := range x {
		if r.IntN(4) == 0 {
			x[i] = zeroes[r.IntN(len(zeroes))]
		}
	}
	return inGuards(x)
}

// elementwise lists operations on slices of n values: out is written (and may be read), a and b
// are read. Their portable forms are the reference, to the last bit.
var elementwise = []struct {
	name string
	run  func(out, a, b []float32)
	want func(out, a, b float32) float32
}{
	{"ReLU", func(out, a, b []float32) { ReLU(out, a) }, func(_, a, _ float32) float32 {
		if a < 0 {
			return 0
		}
		return a
	}},
	{"ReLUGrad", ReLUGrad, func(_, y, dy float32) float32 {
		if y > 0 {
			return dy
		}
		return 0
	}},
	{"Add", Add, func(_, a, b float32) float32 { return a + b }},
	{"Scale", func(out, a, b []float32) { Scale(out, a, 1.7) }, func(_, a, _ float32) float32 { return 1.7 * a }},
	{"Axpy", func(out, a, b []float32) { Axpy(out, -.3, a) }, func(out, a, _ float32) float32 { return out + float32(-.3*a) }},
	{"Affine", func(out, a, b []float32) { Affine(out, a, []float32{1.5}, []float32{-2}) },
		func(_, a, _ float32) float32 { return float32(a*1.5) - 2 }},
	{"SignStep", func(out, a, b []float32) { SignStep(out, a, b, .25, .5) }, func(adv, x, g float32) float32 {
		switch {
		case g > 0:
			adv += .25
		case g < 0:
			adv -= .25
		}
		for _, bound := range [][2]float32{{x - .5, x + .5}, {0, 1}} {
			if adv < bound[0] {
				adv = bound[0]
			}
			if adv > bound[1] {
				adv = bound[1]
			}
		}
		return adv
	}},
}

func checkElementwise(t *testing.T, n int, seed uint64) {
	r := newRand(seed)
	a, b, start := specials(r, n), specials(r, n), specials(r, n)
	for _, op := range elementwise {
		got := newGuarded(n)
		copy(got.x, start)
		op.run(got.x, a, b)
		got.check(t, op.name)
		want := make([]float32, n)
		for i := range want {
			want[i] = op.want(start[i], a[i], b[i])
			if want[i] == 0 && got.x[i] == 0 {
				want[i] = got.x[i] // zeros of either sign will do
			}
		}
		sameBits(t, op.name, got.x, want)
	}
}

func TestElementwise(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for n := range 70 {
			checkElementwise(t, n, uint64(n))
		}
	})
}

func FuzzElementwise(f *testing.F) {
	f.Add(uint16(33), uint64(1))
	f.Fuzz(func(t *testing.T, n uint16, seed uint64) {
		eachImplementation(t, func(t *testing.T) { checkElementwise(t, int(n%2000), seed) })
	})
}

func TestAffineChannels(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for _, channels := range []int{1, 2, 3, 5, 8, 11, 32} {
			for positions := range 12 {
				t.Run(fmt.Sprint(channels, positions), func(t *testing.T) {
					r := newRand(uint64(channels))
					x, scale, shift := specials(r, positions*channels), normals(r, channels), normals(r, channels)
					got, want := newGuarded(len(x)), make([]float32, len(x))
					for i, v := range x {
						want[i] = float32(v*scale[i%channels]) + shift[i%channels]
					}
					Affine(got.x, x, scale, shift)
					got.check(t, "y")
					sameBits(t, "y", got.x, want)
				})
			}
		}
	})
}

func TestCountNonZeros(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for n := range 40 {
			x, want := specials(newRand(uint64(n)), n), 0
			for _, v := range x {
				if v < 0 || v > 0 || v != v {
					want++
				}
			}
			if got := current.count(x); got != want {
				t.Fatalf("%v of %v are not zero, want %v", got, x, want)
			}
		}
	})
}

// TestTranspose: every value goes to its place, bit by bit, and nothing else is written.
func TestTranspose(t *testing.T) {
	r := newRand(3)
	eachImplementation(t, func(t *testing.T) {
		for range 200 {
			lines, columns := 1+r.IntN(40), 1+r.IntN(40)
			dstStep, step := lines+r.IntN(5), columns+r.IntN(5)
			x, got := specials(r, (lines-1)*step+columns), newGuarded((columns-1)*dstStep+lines)
			current.transpose(got.x, x, lines, columns, dstStep, step)
			got.check(t, "dst")
			for i, v := range got.x {
				want := canary
				if line, column := i%dstStep, i/dstStep; line < lines {
					want = x[line*step+column]
				}
				if math.Float32bits(v) != math.Float32bits(want) {
					t.Fatalf("%d lines of %d, steps %d to %d: %v at %d, want %v", lines, columns, step, dstStep, v, i, want)
				}
			}
		}
	})
}

func TestAllFinite(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for n := range 40 {
			x := normals(newRand(uint64(n)), n)
			if !AllFinite(x) {
				t.Fatalf("finite values of length %d are not", n)
			}
			for i := range x {
				for _, bad := range []float32{nan, inf, -inf} {
					before := x[i]
					if x[i] = bad; AllFinite(x) {
						t.Fatalf("%v at %d of %d went unseen", bad, i, n)
					}
					x[i] = before
				}
			}
			if n > 0 {
				if x[0] = math.MaxFloat32; !AllFinite(x) {
					t.Fatal("the largest number is finite")
				}
			}
		}
	})
}

func TestBiasGrad(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for _, c := range []struct{ n, channels int }{{0, 3}, {1, 1}, {7, 8}, {300, 10}, {513, 75}, {1000, 32}} {
			dy := inGuards(normals(newRand(1), c.n*c.channels))
			want := make([]sum64, c.channels)
			for i, v := range dy {
				want[i%c.channels].add(v, 1)
			}
			got := newGuarded(c.channels)
			BiasGrad(got.x, dy, c.n, c.channels)
			got.check(t, "db")
			compareSums(t, "db", got.x, want)
		}
	})
}

func TestDot(t *testing.T) {
	for n := range 50 {
		r := newRand(uint64(n))
		a, b := normals(r, n), normals(r, n)
		var want, squares float64
		for i := range a {
			want += float64(a[i]) * float64(b[i])
			squares += float64(a[i]) * float64(a[i])
		}
		if got := Dot(a, b); math.Abs(got-want) > 1e-12 {
			t.Errorf("Dot of %d values = %v, want %v", n, got, want)
		}
		if got := SumSquares(a); math.Abs(got-squares) > 1e-12 {
			t.Errorf("SumSquares of %d values = %v, want %v", n, got, squares)
		}
	}
}

func TestL2Step(t *testing.T) {
	distance := func(a, b []float32) float64 {
		d := make([]float32, len(a))
		for i := range d {
			d[i] = a[i] - b[i]
		}
		return math.Sqrt(SumSquares(d))
	}
	x := make([]float32, 100)
	for i := range x {
		x[i] = .5
	}
	g := normals(newRand(1), len(x))
	for _, scale := range []float32{1, 1e-30, 1e-44} { // tiny gradients have a direction too
		small := make([]float32, len(g))
		Scale(small, g, scale)
		adv := append([]float32(nil), x...)
		L2Step(adv, x, small, .1, 2)
		if d := distance(adv, x); math.Abs(d-.1) > 1e-6 {
			t.Errorf("gradient times %v: moved by %v, want 0.1", scale, d)
		}
		d := make([]float32, len(x))
		for i := range d {
			d[i] = adv[i] - x[i]
		}
		if along := Dot(d, small) / math.Sqrt(SumSquares(d)*SumSquares(small)); along < .9999 {
			t.Errorf("gradient times %v: moved at cosine %v to it", scale, along)
		}
	}
	adv := append([]float32(nil), x...)
	for range 50 {
		L2Step(adv, x, g, .1, 1)
	}
	if d := distance(adv, x); math.Abs(d-1) > 1e-6 {
		t.Errorf("ended at distance %v, want 1", d)
	}
	L2Step(adv, x, g, 100, 100)
	for i, v := range adv {
		if want := float32(.5 + math.Copysign(.5, float64(g[i]))); math.Abs(float64(g[i])) > .1 && v != want {
			t.Fatalf("adv[%d] = %v, want it clipped to %v", i, v, want)
		}
	}
	for _, bad := range []float32{0, nan, inf} {
		copy(adv, x)
		L2Step(adv, x, append(make([]float32, len(x)-1), bad), .1, 1)
		sameBits(t, "adv", adv, x)
	}
}

func TestNothingAllocates(t *testing.T) {
	k := newConvCase(convs[1], 2, 1)
	k.pack(t)
	scratch, y, dx, dw := make([]float32, k.Scratch()), make([]float32, len(k.dy)), make([]float32, len(k.x)), make([]float32, len(k.w))
	pool := device.Window{H: 14, W: 14, C: 32, KH: 2, KW: 2, Stride: 2}
	index := make([]uint8, len(k.x))
	eachImplementation(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(4, func() {
			k.Forward(y, k.x, k.packed, k.bias, 1, true, scratch)
			k.InputGrad(dx, k.dy, k.flipped, 1, scratch)
			k.WeightGrad(0, dw, k.x, k.dy, 2, nil, scratch)
			Dense{20, 30}.Forward(y, k.x, k.packed, nil, 5, true, scratch)
			Dense{20, 30}.PrepareWeightGrad(0, k.dy, 5, y)
			Dense{20, 30}.WeightGrad(0, dw, k.x, 5, y, scratch)
			MaxPool(pool, y, index, k.x)
			SignStep(dx, k.x, k.x, .1, .3)
			Adam(device.Adam{Beta1: .9, Beta2: .999, Epsilon: 1e-8}, dx, k.x, y, dw, 1e-3, 1, 1)
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
