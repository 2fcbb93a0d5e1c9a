package rng

import (
	"math"
	"slices"
	"testing"
)

// TestGolden holds every kind of draw to values that an independent program computed.
func TestGolden(t *testing.T) {
	s := New(7, "test")
	for _, c := range []struct {
		name string
		draw func(dst []float32)
		want []float32
		tol  float64
	}{
		{"uniform", func(dst []float32) { s.Uniform(dst, -0.25, 0.5, 3, 1, 2) },
			[]float32{0.1612689197063446, 0.4330410957336426, -0.2442561835050583, 0.016427308320999146, -0.0986354798078537, -0.018458932638168335}, 0},
		{"normal", func(dst []float32) { s.Normal(dst, 1, 2, 3, 1, 2) },
			[]float32{2.8564083576202393, -0.16634242236614227, -2.8337273597717285, 5.927279949188232, -0.2904316782951355, 4.337340831756592}, 1e-6},
		{"truncated normal", func(dst []float32) { s.TruncatedNormal(dst, 1, 2, 3, 1, 2) },
			[]float32{2.8564083576202393, -0.2904316782951355, 2.7608630657196045, 4.4296441078186035}, 1e-6},
	} {
		got := make([]float32, len(c.want))
		c.draw(got)
		for i, want := range c.want {
			if math.Abs(float64(got[i]-want)) > c.tol {
				t.Errorf("%s: element %d is %v, want %v", c.name, i, got[i], want)
			}
		}
	}
	if got, want := s.Perm(10, 4), []int{8, 9, 6, 1, 2, 0, 3, 4, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("permutation: got %v, want %v", got, want)
	}
}

// TestTruncatedRedraws holds two elements that are redrawn: one within its block, and one, rare,
// whose whole block lies beyond two standard deviations.
func TestTruncatedRedraws(t *testing.T) {
	s := New(7, "test")
	for block, want := range map[uint32]float64{8: 0.7132305006602994, 422036: 0.6383984365455975} {
		if got := s.truncated(3, 1, 2, block); math.Abs(got-want) > 1e-12 {
			t.Errorf("block %d: got %v, want %v", block, got, want)
		}
	}
}

// TestPrefix: an element depends on its place alone, not on how many are drawn with it.
func TestPrefix(t *testing.T) {
	s := New(3, "prefix")
	draws := map[string]func([]float32){
		"uniform":          func(dst []float32) { s.Uniform(dst, 0, 1, 1, 2, 3) },
		"normal":           func(dst []float32) { s.Normal(dst, 0, 1, 1, 2, 3) },
		"truncated normal": func(dst []float32) { s.TruncatedNormal(dst, 0, 1, 1, 2, 3) },
	}
	for name, draw := range draws {
		all := make([]float32, 21)
		draw(all)
		for n := range all {
			part := make([]float32, n)
			draw(part)
			if !slices.Equal(part, all[:n]) {
				t.Errorf("%s: %d values are not the first %[2]d of %d", name, n, len(all))
			}
		}
	}
}

// TestUniformBounds: words of all ones and all zeros give values within [lo,hi].
func TestUniformBounds(t *testing.T) {
	if u := unit(0); u != 0 {
		t.Errorf("lowest unit value is %v", u)
	}
	if u := unit(math.MaxUint32); u != 1-0x1p-24 {
		t.Errorf("highest unit value is %v", u)
	}
	s := New(5, "bounds")
	dst := make([]float32, 4096)
	for example, b := range [][2]float32{{-0.3, 0.3}, {1 - 0x1p-24, 3}, {-0x1p-20, 1}, {-7, -6.9999995}, {0.5, 0.5}, {-1e-45, 1e-45}} {
		s.Uniform(dst, b[0], b[1], uint32(example), 0, 0)
		if low, high := slices.Min(dst), slices.Max(dst); low < b[0] || high > b[1] {
			t.Errorf("uniform on %v reaches %v to %v", b, low, high)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	s := New(1, "allocation")
	dst := make([]float32, 37)
	perm := make([]int, 37)
	for name, f := range map[string]func(){
		"Uniform":         func() { s.Uniform(dst, 0, 1, 1, 2, 3) },
		"Normal":          func() { s.Normal(dst, 0, 1, 1, 2, 3) },
		"TruncatedNormal": func() { s.TruncatedNormal(dst, 0, 1, 1, 2, 3) },
		"PermInto":        func() { s.PermInto(perm, 1) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkUniform784(b *testing.B) {
	s := New(1, "bench")
	dst := make([]float32, 784)
	b.SetBytes(4 * 784)
	for i := range b.N {
		s.Uniform(dst, -0.3, 0.3, uint32(i), 0, 0)
	}
}

func BenchmarkNormal784(b *testing.B) {
	s := New(1, "bench")
	dst := make([]float32, 784)
	b.SetBytes(4 * 784)
	for i := range b.N {
		s.Normal(dst, 0, 1, uint32(i), 0, 0)
	}
}
