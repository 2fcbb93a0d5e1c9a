package attacks

import (
	"math"
	"math/rand/v2"
	"testing"
)

// plainToPlane is toPlane written with branches.
func plainToPlane(n Norm, d, point, w []float32, value float64) float64 {
	turn := float32(1)
	if value < 0 {
		turn, value = -1, -value
	}
	all := 0.0
	for i, v := range w {
		d[i] = 0
		switch v *= turn; {
		case v > 0:
			d[i] = point[i]
		case v < 0:
			d[i] = 1 - point[i]
		}
		all += math.Abs(float64(v)) * float64(d[i])
	}
	weight := func(v float32) float64 {
		if n == L2 {
			return math.Abs(float64(v))
		}
		return 1
	}
	length := 0.0
	for walls := -1; all > value; {
		rest, free, count := value, 0.0, 0
		for i, v := range w {
			if size := math.Abs(float64(v)); length*weight(v) >= float64(d[i]) {
				rest -= size * float64(d[i])
				count++
			} else {
				free += size * weight(v)
			}
		}
		if count == walls || !(free > 0) {
			for i, v := range w {
				d[i] = float32(min(length*weight(v), float64(d[i])))
			}
			break
		}
		walls, length = count, max(rest/free, length)
	}
	for i, v := range w {
		if v*turn > 0 {
			d[i] = -d[i]
		}
	}
	return n.length(d)
}

// TestToPlane: the bits are those of the plain form, also for entries at a wall, gradients of zero, and
// planes that lie beyond the box or are met at once.
func TestToPlane(t *testing.T) {
	const size = 61
	draws := rand.New(rand.NewPCG(1, 2))
	d, want, point, w := make([]float32, size), make([]float32, size), make([]float32, size), make([]float32, size)
	beyond, met := 0, 0
	for round := range 400 {
		for i := range point {
			point[i], w[i] = max(min(2*draws.Float32()-0.5, 1), 0), draws.Float32()-0.5
			if draws.IntN(5) == 0 {
				w[i] = float32(math.Copysign(0, float64(w[i])))
			}
		}
		value := 12 * draws.NormFloat64() * float64(round%5) / 4
		for _, norm := range []Norm{Linf, L2} {
			length := plainToPlane(norm, want, point, w, value)
			if got := norm.toPlane(d, point, w, value, make([]float32, 2*size)); got != length {
				t.Errorf("%v, round %d: length %v, want %v", norm, round, got, length)
			}
			if !equal(d, want) {
				t.Fatalf("%v, round %d: %v, want %v", norm, round, d, want)
			}
			gain := value
			for i, v := range w {
				gain += float64(v) * float64(d[i])
			}
			if math.Abs(gain) > 1e-4 {
				beyond++
			} else {
				met++
			}
		}
	}
	if beyond < 20 || met < 100 {
		t.Errorf("%d planes beyond the box, %d met", beyond, met)
	}
}

// equal takes 0 and -0 for the same.
func equal(a, b []float32) bool {
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}
