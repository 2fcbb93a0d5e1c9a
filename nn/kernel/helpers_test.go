package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// eachImplementation runs f with every implementation that this processor can run.
func eachImplementation(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := Current()
	defer Use(before)
	for _, name := range Implementations() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, f)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// normals returns n values of a normal distribution.
func normals(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

const guard = 64

var canary = math.Float32frombits(0x7fc0dead) // a NaN, so that a sum that reads it shows

// guarded is a slice between two guard regions; all of it starts as canaries.
type guarded struct{ all, x []float32 }

func newGuarded(n int) guarded {
	all := make([]float32, n+2*guard)
	for i := range all {
		all[i] = canary
	}
	return guarded{all, all[guard : guard+n : guard+n]}
}

func (g guarded) check(t *testing.T, name string) {
	t.Helper()
	for i, v := range g.all {
		if (i < guard || i >= len(g.all)-guard) && math.Float32bits(v) != math.Float32bits(canary) {
			t.Fatalf("%s: wrote at %d, outside of [0,%d)", name, i-guard, len(g.x))
		}
	}
}

// inGuards copies x between guard regions.
func inGuards(x []float32) []float32 {
	g := newGuarded(len(x))
	copy(g.x, x)
	return g.x
}

// sum64 is a value computed in double precision, with the sum of magnitudes that bounds the
// rounding error of computing it in single precision.
type sum64 struct{ value, magnitude float64 }

func (s *sum64) add(a, b float32) {
	p := float64(a) * float64(b)
	s.value += p
	s.magnitude += math.Abs(p)
}

func compareSums(t *testing.T, name string, got []float32, want []sum64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w.value); !(d <= 1e-6*w.magnitude+1e-30) {
			t.Fatalf("%s[%d] = %v, want %v (sum of magnitudes %v)", name, i, got[i], w.value, w.magnitude)
		}
	}
}

func sameBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i := range want {
		a, b := math.Float32bits(got[i]), math.Float32bits(want[i])
		if a != b && !(got[i] != got[i] && want[i] != want[i]) { // any NaN is as good as another
			t.Fatalf("%s[%d] = %v (%08x), want %v (%08x)", name, i, got[i], a, want[i], b)
		}
	}
}
