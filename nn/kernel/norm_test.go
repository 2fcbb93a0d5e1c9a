package kernel

import (
	"fmt"
	"math"
	"testing"
)

// normCase is some positions of more channels than are taken.
type normCase struct {
	a, b              []float32
	sums              NormSums
	factors           NormFactors
	n, channels, cols int
}

func newNormCase(n, channels, cols int, seed uint64) normCase {
	r := newRand(seed)
	k := normCase{a: normals(r, n*channels), b: normals(r, n*channels), n: n, channels: channels, cols: cols}
	for c := range NormChannels {
		k.sums.Sum[c], k.sums.Dot[c] = r.NormFloat64(), r.NormFloat64()
		k.sums.MeanA[c], k.sums.MeanB[c] = r.NormFloat64(), r.NormFloat64()
	}
	for _, f := range []*[NormChannels]float32{&k.factors.Mean, &k.factors.Scale, &k.factors.Shift, &k.factors.Slope} {
		copy(f[:], normals(r, NormChannels))
	}
	return k
}

// run returns the sums, then what Apply and Gradient write from a channel on, the rest as it was.
func (k *normCase) run(from int) (s NormSums, y, dx []float32) {
	s = k.sums
	s.Add(k.a[from:], k.b[from:], k.n, k.channels, k.cols)
	y, dx = make([]float32, len(k.a)), make([]float32, len(k.a))
	k.factors.Apply(y[from:], k.a[from:], k.n, k.channels, k.cols)
	k.factors.Gradient(dx[from:], k.a[from:], k.b[from:], k.n, k.channels, k.cols)
	return s, y, dx
}

// TestNorm compares with the formulas in double precision, and the implementations bit by bit.
func TestNorm(t *testing.T) {
	for i, test := range []struct{ n, channels, cols, from int }{
		{1, 16, 16, 0}, {7, 16, 16, 0}, {300, 64, 16, 48}, {5, 40, 8, 32}, {9, 3, 3, 0}, {0, 16, 16, 0}, {4, 33, 1, 32},
	} {
		k := newNormCase(test.n, test.channels, test.cols, uint64(i))
		if test.n > 4 {
			k.a[test.channels+test.from], k.b[2*test.channels+test.from] = float32(math.Inf(1)), float32(math.NaN())
		}
		var want [3]any
		eachImplementation(t, func(t *testing.T) {
			s, y, dx := k.run(test.from)
			k.check(t, test.from, s, y, dx)
			got := [3]any{fmt.Sprint(s), fmt.Sprint(y), fmt.Sprint(dx)} // any NaN is as good as another
			if want[0] != nil && got != want {
				t.Errorf("%+v: differs from %s", test, Implementations()[0])
			}
			want = got
		})
	}
}

func (k *normCase) check(t *testing.T, from int, s NormSums, y, dx []float32) {
	t.Helper()
	differ := func(got, want, scale float64) bool {
		return got != want && !(math.IsNaN(got) && math.IsNaN(want)) && !(math.Abs(got-want) <= 1e-6*scale)
	}
	want := k.sums
	for i := range k.n * k.channels {
		c := i%k.channels - from
		if c < 0 || c >= k.cols {
			if y[i] != 0 || dx[i] != 0 {
				t.Fatalf("wrote channel %d of [%d,%d)", c+from, from, from+k.cols)
			}
			continue
		}
		a, b, f := float64(k.a[i]), float64(k.b[i]), k.factors
		want.Sum[c] += a
		want.Dot[c] += (a - want.MeanA[c]) * (b - want.MeanB[c])
		centred := a - float64(f.Mean[c])
		wantY, wantX := centred*float64(f.Scale[c])+float64(f.Shift[c]), (b-float64(f.Shift[c])-centred*float64(f.Slope[c]))*float64(f.Scale[c])
		if differ(float64(y[i]), wantY, 10) || differ(float64(dx[i]), wantX, 100) {
			t.Fatalf("at %d: %v and %v, want %v and %v", i, y[i], dx[i], wantY, wantX)
		}
	}
	for c := range NormChannels {
		if differ(s.Sum[c], want.Sum[c], 1e-6) || differ(s.Dot[c], want.Dot[c], 1e-6) {
			t.Fatalf("sums of channel %d: %v and %v, want %v and %v", c, s.Sum[c], s.Dot[c], want.Sum[c], want.Dot[c])
		}
	}
}

func BenchmarkNorm(b *testing.B) {
	const n, channels = 1 << 12, 64
	k := newNormCase(n, channels, NormChannels, 1)
	y := make([]float32, len(k.a))
	for name, f := range map[string]func(c int){
		"sums":     func(c int) { k.sums.Add(k.a[c:], k.b[c:], n, channels, NormChannels) },
		"apply":    func(c int) { k.factors.Apply(y[c:], k.a[c:], n, channels, NormChannels) },
		"gradient": func(c int) { k.factors.Gradient(y[c:], k.a[c:], k.b[c:], n, channels, NormChannels) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n * channels)
			for b.Loop() {
				for c := 0; c < channels; c += NormChannels {
					f(c)
				}
			}
		})
	}
}
