package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rampart/nn/device"
	"rampart/nn/rng"
)

// slowL1 finds the nearest point of L1 ball and box by bisection over the Lagrange multiplier, each
// pixel by a search of its own: it shares no formula with ProjectL1.
func slowL1(adv, x []float32, eps float64) []float64 {
	z := make([]float64, len(adv))
	solve := func(multiplier float64) (norm float64) {
		for i := range z {
			a, c := float64(adv[i]), float64(x[i])
			cost := func(v float64) float64 { return (v-a)*(v-a)/2 + multiplier*math.Abs(v-c) }
			lo, hi := 0.0, 1.0
			for range 120 { // thirds, since the cost is convex
				if l, r := lo+(hi-lo)/3, hi-(hi-lo)/3; cost(l) < cost(r) {
					hi = r
				} else {
					lo = l
				}
			}
			z[i] = (lo + hi) / 2
			norm += math.Abs(z[i] - c)
		}
		return norm
	}
	if solve(0) <= eps {
		return z
	}
	lo, hi := 0.0, 1e3
	for range 80 {
		if mid := (lo + hi) / 2; solve(mid) > eps {
			lo = mid
		} else {
			hi = mid
		}
	}
	solve(hi)
	return z
}

func checkL1(t *testing.T, adv, x []float32, eps float32) {
	t.Helper()
	got := slices.Clone(adv)
	ProjectL1(got, x, eps)
	norm := 0.0
	for i, want := range slowL1(adv, x, float64(eps)) {
		// A search by comparing costs sees half the digits of a float64: fewer, the larger the costs.
		if math.Abs(float64(got[i])-want) > 2e-6 {
			t.Errorf("eps %v, %d pixels: pixel %d from %v around %v to %v, want %v", eps, len(adv), i, adv[i], x[i], got[i], want)
		}
		if !(got[i] >= 0 && got[i] <= 1) {
			t.Errorf("pixel %d is %v", i, got[i])
		}
		norm += math.Abs(float64(got[i]) - float64(x[i]))
	}
	if norm > float64(eps)*(1+1e-6)+float64(len(adv))*0x1p-24 {
		t.Errorf("eps %v: the norm is %v", eps, norm)
	}
	again := slices.Clone(got)
	ProjectL1(again, x, eps)
	for i := range again {
		if math.Abs(float64(again[i]-got[i])) > 2e-7 {
			t.Errorf("projected again, pixel %d goes from %v to %v", i, got[i], again[i])
		}
	}
}

// drawL1 draws an image, walls of the box included, and a point beyond.
func drawL1(r *rand.Rand, n int, spread float64) (adv, x []float32) {
	for range n {
		c := min(max(r.Float64()*1.4-0.2, 0), 1)
		x = append(x, float32(c))
		adv = append(adv, float32(c+spread*r.NormFloat64()))
	}
	return adv, x
}

func TestProjectL1(t *testing.T) {
	r := newRand(41)
	for _, n := range []int{1, 2, 7, 30} {
		for _, spread := range []float64{0.01, 0.3, 4} {
			for _, eps := range []float32{0.05, 0.7, 3} {
				adv, x := drawL1(r, n, spread)
				checkL1(t, adv, x, eps)
			}
		}
	}
	checkL1(t, []float32{0.75, 0.75, 0.75, 0.25}, []float32{0.5, 0.5, 0.5, 0.5}, 0.5) // all alike
	checkL1(t, []float32{1, 0, 1}, []float32{1, 0, 1}, 0.5)                           // at the walls already
}

func FuzzProjectL1(f *testing.F) {
	f.Add(uint8(5), uint64(1), 0.5, float32(1))
	f.Fuzz(func(t *testing.T, n uint8, seed uint64, spread float64, eps float32) {
		if !(math.Abs(spread) <= 3) || !(eps > 1e-3 && eps < 1e3) {
			t.Skip()
		}
		adv, x := drawL1(newRand(seed), int(n%24)+1, spread)
		checkL1(t, adv, x, eps)
	})
}

// TestL1Step: which pixels move, and how far.
func TestL1Step(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name           string
		at, grad, want []float32
		sparsity       float32
	}{
		{"the two largest", []float32{.5, .5, .5, .5}, []float32{3, -1, 2, -4}, []float32{.55, .5, .5, .45}, .5},
		{"at least one", []float32{.5, .5, .5, .5}, []float32{3, -1, 2, -4}, []float32{.5, .5, .5, .4}, .01},
		{"all", []float32{.5, .5, .5, .5}, []float32{3, -1, 2, -4}, []float32{.525, .475, .525, .475}, 1},
		{"all equals at the limit", []float32{.5, .5, .5, .5}, []float32{1, -1, 0, 1}, []float32{.5 + .1/3, .5 - .1/3, .5, .5 + .1/3}, .25},
		{"no zeros", []float32{.5, .5, .5, .5}, []float32{0, 0, 1, 0}, []float32{.5, .5, .6, .5}, 1},
		{"not through a wall", []float32{1, 0, .5, .5}, []float32{9, -9, 2, 1}, []float32{1, 0, .6, .5}, .25},
		{"from a wall inwards", []float32{1, 0, .5, .5}, []float32{-9, 9, 2, 1}, []float32{.95, .05, .5, .5}, .5},
		{"all blocked", []float32{1, 0, 1, 1}, []float32{9, -9, 2, 1}, []float32{1, 0, 1, 1}, 1},
		{"no gradient", []float32{.5, .5, .5, .5}, []float32{0, 0, 0, 0}, []float32{.5, .5, .5, .5}, 1},
		{"no number", []float32{.5, .5, .5, .5}, []float32{nan, 1, 1, 1}, []float32{.5, .5, .5, .5}, 1},
	} {
		got := slices.Clone(c.at)
		new(Ascent).L1Step(got, c.at, c.grad, 0.1, 0.2, c.sparsity)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
	// The ball ends the way.
	x := []float32{.5, .5}
	far := slices.Clone(x)
	var a Ascent
	for range 5 {
		a.Step(far, x, []float32{1, -.5}, &device.Loop{Norm: device.L1, StepSize: .1, Epsilon: .25, Sparsity: .5})
	}
	if math.Abs(float64(far[0])-.75) > 1e-6 || far[1] != .5 {
		t.Errorf("five steps of .1 within .25 lead to %v", far)
	}
}

// TestStartL1: the first of d pixels of a uniform point of the ball has |v|/eps ~ Beta(1, d).
func TestStartL1(t *testing.T) {
	const d, n, eps = 5, 4000, 0.4
	l := &device.Loop{Norm: device.L1, Epsilon: eps, Noise: rng.New(3, "start")}
	clean, adv := make([]float32, d), make([]float32, d)
	for i := range clean {
		clean[i] = 0.5
	}
	var a Ascent
	mean, positive := 0.0, 0
	for i := range n {
		a.Start(adv, clean, l, uint32(i))
		v := float64(adv[0]) - 0.5
		mean += math.Abs(v) / eps / n
		if v > 0 {
			positive++
		}
	}
	// Five standard deviations: Beta(1,5) has mean 1/6 and variance 5/252.
	if bound := 5 * math.Sqrt(5./252/n); math.Abs(mean-1./6) > bound {
		t.Errorf("mean %v, want within %v of 1/6", mean, bound)
	}
	if bound := 5 * math.Sqrt(n) / 2; math.Abs(float64(positive)-n/2) > bound {
		t.Errorf("%d of %d are positive", positive, n)
	}
}
