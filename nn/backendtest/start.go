package backendtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rampart/nn/device"
)

// randomStart: a row's random numbers come from the seed, its example's number and the restart only.
func (s suite) randomStart(t *testing.T) {
	const rows = 33
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	order := rand.New(rand.NewPCG(1, 2)).Perm(rows)
	permuted := s.victim(t, 2, rows)
	example, from := make([]uint32, rows), make([]uint32, rows)
	for i := range rows {
		example[i] = uint32(500 + 3*i)
	}
	for i, o := range order {
		from[i] = example[o]
		permuted.labels[i] = n.labels[o]
		copy(permuted.x[i*size:][:size], n.x[o*size:][:size])
	}
	for _, norm := range norms {
		l := device.Loop{Steps: 2, Norm: norm, Epsilon: 0.2, StepSize: 0.05, Sparsity: 0.1, Start: device.FromUniform, Restart: 4, Example: example}
		want, _ := n.attack(t, rows, l)
		again, _ := n.attack(t, rows, l)
		same(t, "second run", again, want)
		l.Example = from
		got, _ := permuted.attack(t, rows, l)
		for i, o := range order {
			same(t, "permuted row", got[i*size:][:size], want[o*size:][:size])
		}
		l.Example, l.Restart = example, 5
		if other, _ := n.attack(t, rows, l); slices.Equal(other, want) {
			t.Errorf("%s: two restarts give the same result", normName(norm))
		}
	}
}

// normalStart: N(0, StartStd) on each pixel, and never outside of the ball.
func (s suite) normalStart(t *testing.T) {
	const rows, std = 200, 0.05
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	for i := range n.x {
		n.x[i] = 0.5
	}
	for _, norm := range norms {
		l := device.Loop{Norm: norm, Epsilon: 0.6, Start: device.FromNormal, StartStd: std}
		if norm == device.L1 {
			l.Epsilon = 6 // far beyond the draws' length of about 36 x .04
		}
		adv, _ := n.attack(t, rows, l)
		mean, square, count := 0.0, 0.0, float64(len(adv))
		for _, v := range adv {
			d := (float64(v) - 0.5) / std
			mean, square = mean+d/count, square+d*d/count
		}
		// Five standard deviations of the moments of a standard normal.
		if math.Abs(mean) > 5/math.Sqrt(count) || math.Abs(square-1) > 5*math.Sqrt(2/count) {
			t.Errorf("%s: mean %v and square %v, want 0 and 1", normName(norm), mean, square)
		}
		l.Epsilon = 0.02
		near, _ := n.attack(t, rows, l)
		for r := range rows {
			top, square, sum := 0.0, 0.0, 0.0
			for _, v := range near[r*size:][:size] {
				d := math.Abs(float64(v) - 0.5)
				top, square, sum = max(top, d), square+d*d, sum+d
			}
			switch norm {
			case device.L2:
				top = math.Sqrt(square)
			case device.L1:
				top = sum
			}
			if math.Abs(top-0.02) > 1e-6 { // std is larger: each start is projected onto the sphere
				t.Fatalf("%s: row %d starts at a distance of %v, eps is 0.02", normName(norm), r, top)
			}
		}
	}
}

// startDistribution: uniform in the cube, or in the volume of the ball of L2 or L1. x is .5 everywhere, so nothing is clipped.
func (s suite) startDistribution(t *testing.T) {
	const rows, eps = 400, 0.3
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	for i := range n.x {
		n.x[i] = 0.5
	}
	for _, norm := range norms {
		adv, _ := n.attack(t, rows, device.Loop{Norm: norm, Epsilon: eps, Start: device.FromUniform})
		var u []float64 // uniform in [0,1) if the start is as it should be
		side := 0.0     // of all perturbations; its mean is 0
		for r := range rows {
			square, sum := 0.0, 0.0
			for _, v := range adv[r*size:][:size] {
				d := float64(v) - 0.5
				side += math.Copysign(1, d)
				square, sum = square+d*d, sum+math.Abs(d)
				if norm == device.Linf {
					u = append(u, (d/eps+1)/2)
				}
			}
			switch norm {
			case device.L2:
				u = append(u, math.Pow(math.Sqrt(square)/eps, float64(size)))
			case device.L1:
				u = append(u, math.Pow(sum/eps, float64(size)))
			}
		}
		// Bounds of five standard deviations: a uniform's is 1/sqrt(12), its square's 0.298.
		mean, meanSquare, count := 0.0, 0.0, float64(len(u))
		for _, v := range u {
			mean, meanSquare = mean+v/count, meanSquare+v*v/count
		}
		if math.Abs(mean-1./2) > 5*0.289/math.Sqrt(count) || math.Abs(meanSquare-1./3) > 5*0.298/math.Sqrt(count) {
			t.Errorf("%s: moments %v and %v, want 1/2 and 1/3", normName(norm), mean, meanSquare)
		}
		if bound := 5 * math.Sqrt(float64(rows*size)); math.Abs(side) > bound {
			t.Errorf("%s: positive less negative perturbations are %v, want within %v of 0", normName(norm), side, bound)
		}
	}
}
