package rng

import (
	"math"
	"slices"
	"testing"
)

// falseAlarm is the probability with which each single check in this file fails for a perfect
// generator and a random seed. The bounds hold for every sample size. Seeds are fixed, so a
// failure can be repeated; it means that the generator, or the formula on top of it, is wrong.
const falseAlarm = 1e-9

// dkw bounds sup|F_n - F| for n independent values: P(sup > t) <= 2 exp(-2 n t^2) (Dvoretzky,
// Kiefer and Wolfowitz 1956, with Massart's constant, 1990).
func dkw(n int) float64 { return math.Sqrt(math.Log(2/falseAlarm) / (2 * float64(n))) }

// hoeffding bounds |mean| of n independent values in [-1,1] with expectation 0, for `checks`
// such means together: P(|mean| > t) <= 2 exp(-n t^2/2), times checks.
func hoeffding(n, checks int) float64 {
	return math.Sqrt(2 * math.Log(2*float64(checks)/falseAlarm) / float64(n))
}

func TestDistributions(t *testing.T) {
	const n = 1 << 17
	s := New(11, "distributions")
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	for name, c := range map[string]struct {
		draw func(dst []float32)
		cdf  func(x float64) float64
	}{
		"uniform": {func(dst []float32) { s.Uniform(dst, -1, 3, 1, 0, 0) }, func(x float64) float64 { return (x + 1) / 4 }},
		"uniform over examples": {func(dst []float32) {
			for i := range dst {
				s.Uniform(dst[i:i+1], 0, 1, uint32(i), 0, 0)
			}
		}, func(x float64) float64 { return x }},
		"normal": {func(dst []float32) { s.Normal(dst, 2, 0.5, 2, 0, 0) }, func(x float64) float64 { return phi((x - 2) / 0.5) }},
		"truncated normal": {func(dst []float32) { s.TruncatedNormal(dst, 0, 1, 3, 0, 0) }, func(x float64) float64 {
			return (phi(min(max(x, -2), 2)) - phi(-2)) / (phi(2) - phi(-2))
		}},
	} {
		dst := make([]float32, n)
		c.draw(dst)
		slices.Sort(dst)
		var worst float64
		for i, x := range dst {
			f := c.cdf(float64(x))
			worst = max(worst, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
		}
		// Rounding to float32 moves the distribution by less than 1e-6.
		if bound := dkw(n) + 1e-6; worst > bound {
			t.Errorf("%s: distance to the distribution function is %.2g, bound %.2g", name, worst, bound)
		}
	}
}

// TestIndependence: neighbours in each place of the counter, in the seed and in the purpose are
// uncorrelated. Pairs do not overlap, so that their products are independent.
func TestIndependence(t *testing.T) {
	const n = 1 << 16
	draw := func(seed uint64, purpose string, example, restart, step, block uint32) float64 {
		return 2*float64(unit(New(seed, purpose).Block(example, restart, step, block)[0])) - 1 + 0x1p-24
	}
	for name, pair := range map[string]func(i uint32) (a, b float64){
		"example": func(i uint32) (a, b float64) { return draw(1, "a", 2*i, 0, 0, 0), draw(1, "a", 2*i+1, 0, 0, 0) },
		"restart": func(i uint32) (a, b float64) { return draw(1, "a", 0, 2*i, 0, 0), draw(1, "a", 0, 2*i+1, 0, 0) },
		"step":    func(i uint32) (a, b float64) { return draw(1, "a", 0, 0, 2*i, 0), draw(1, "a", 0, 0, 2*i+1, 0) },
		"block":   func(i uint32) (a, b float64) { return draw(1, "a", 0, 0, 0, 2*i), draw(1, "a", 0, 0, 0, 2*i+1) },
		"swapped": func(i uint32) (a, b float64) { return draw(1, "a", i, i+1, 0, 0), draw(1, "a", i+1, i, 0, 0) },
		"seed": func(i uint32) (a, b float64) {
			return draw(2*uint64(i), "a", 0, 0, 0, 0), draw(2*uint64(i)+1, "a", 0, 0, 0, 0)
		},
		"purpose": func(i uint32) (a, b float64) { return draw(1, "a", i, 0, 0, 0), draw(1, "b", i, 0, 0, 0) },
		"derived": func(i uint32) (a, b float64) {
			s := New(1, "a")
			return draw(1, "a", i, 0, 0, 0), 2*float64(unit(s.derive(1).Block(i, 0, 0, 0)[0])) - 1 + 0x1p-24
		},
	} {
		var sum float64
		for i := range uint32(n) {
			a, b := pair(i)
			sum += a * b
		}
		if mean, bound := sum/n, hoeffding(n, 1); math.Abs(mean) > bound {
			t.Errorf("%s: neighbours correlate: mean product %.2g, bound %.2g", name, mean, bound)
		}
	}
}

func TestBits(t *testing.T) {
	const n = 1 << 16
	s := New(12, "bits")
	var ones [4][32]int
	for i := range uint32(n) {
		for w, word := range s.Block(i, 0, 0, 0) {
			for b := range 32 {
				ones[w][b] += int(word >> b & 1)
			}
		}
	}
	bound := hoeffding(n, 4*32)
	for w := range ones {
		for b, k := range ones[w] {
			if mean := 2*float64(k)/n - 1; math.Abs(mean) > bound {
				t.Errorf("word %d, bit %d: mean of +-1 is %.2g, bound %.2g", w, b, mean, bound)
			}
		}
	}
}

// TestUint32nUnbiased uses 3*2^30, for which the method without its rejection gives multiples of
// three half of the time.
func TestUint32nUnbiased(t *testing.T) {
	const n = 1 << 16
	q := New(13, "uint32n").Sequence(0, 0, 0)
	var counts [3]int
	for range n {
		k := q.Uint32n(3 << 30)
		if k >= 3<<30 {
			t.Fatalf("%d is out of range", k)
		}
		counts[k%3]++
	}
	for r, k := range counts {
		if d, bound := float64(k)/n-1.0/3, hoeffding(n, 3); math.Abs(d) > bound {
			t.Errorf("residue %d: frequency is off by %.2g, bound %.2g", r, d, bound)
		}
	}
}

func TestFloat64(t *testing.T) {
	const n = 1 << 16
	q := New(14, "float64").Sequence(1, 2, 3)
	values := make([]float64, n)
	for i := range values {
		values[i] = q.Float64()
	}
	slices.Sort(values)
	if values[0] < 0 || values[n-1] >= 1 {
		t.Errorf("values reach from %v to %v, want [0,1)", values[0], values[n-1])
	}
	for i, x := range values {
		if d := math.Abs(x - float64(i)/n); d > dkw(n)+1.0/n {
			t.Fatalf("distance to the distribution function is %.2g, bound %.2g", d, dkw(n))
		}
	}
}

// TestPermUniform counts all 120 permutations of five. Chernoff: a count of expectation m is off by
// more than d*m with probability at most 2 exp(-d^2 m/3), for d <= 1, times 120.
func TestPermUniform(t *testing.T) {
	const mean = 1000
	s := New(15, "perm")
	counts := map[[5]int]int{}
	for step := range uint32(120 * mean) {
		var p [5]int
		s.PermInto(p[:], step)
		counts[p]++
	}
	if len(counts) != 120 {
		t.Fatalf("%d different permutations of 5, want 120", len(counts))
	}
	bound := math.Sqrt(3 * math.Log(2*120/falseAlarm) / mean)
	for p, k := range counts {
		if d := float64(k)/mean - 1; math.Abs(d) > bound {
			t.Errorf("permutation %v: frequency is off by %.2g of it, bound %.2g", p, d, bound)
		}
	}
}

func TestPermSizes(t *testing.T) {
	s := New(16, "sizes")
	for _, n := range []int{0, 1, 2, 3, 1000} {
		p := s.Perm(n, 9)
		slices.Sort(p)
		for i, k := range p {
			if i != k {
				t.Fatalf("n = %d: sorted, place %d holds %d", n, i, k)
			}
		}
		if len(p) != n {
			t.Errorf("got %d of %d", len(p), n)
		}
	}
}

func TestUint32nZero(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Uint32n(0) did not panic")
		}
	}()
	q := New(1, "").Sequence(0, 0, 0)
	q.Uint32n(0)
}
