package transform

import (
	"fmt"
	"math"

	"rampart/nn"
	"rampart/nn/registry"
)

// TotalVariation drops random pixels and rebuilds the image z of least total variation that fits the
// others (Guo et al. 2018, section 4): it minimises
//
//	1/2 sum over kept pixels (z-x)^2 + Weight * sum of |gradient of z|
//
// in each channel, by Iterations of Chambolle and Pock's algorithm (2011, algorithm 1). The variation
// is the isotropic one of Rudin, Osher and Fatemi (1992).
type TotalVariation struct {
	Placed
	anyShape
	straight
	// Drop is the share of pixels that are dropped.
	Drop       float64 `toml:"drop"`
	Weight     float64 `toml:"weight"`
	Iterations int     `toml:"iterations"`
}

// Validate implements Transform.
func (t *TotalVariation) Validate() error {
	if !(t.Drop >= 0 && t.Drop < 1) {
		return registry.Errorf("drop", "%v must be at least 0 and below 1", t.Drop)
	}
	if !(t.Weight > 0) {
		return registry.Errorf("weight", "%v must be above 0", t.Weight)
	}
	if t.Iterations < 1 {
		return registry.Errorf("iterations", "%d must be at least 1", t.Iterations)
	}
	return t.Placed.Validate()
}

// Label implements Transform.
func (t *TotalVariation) Label() string {
	return fmt.Sprintf("total variation (weight %.3g, %.3g %% of the pixels dropped)", t.Weight, 100*t.Drop)
}

// Random implements Transform.
func (t *TotalVariation) Random() bool { return t.Drop > 0 }

// Forward implements Transform.
func (t *TotalVariation) Forward(v *View) {
	keep := make([]bool, v.In.H*v.In.W)
	q := v.Sequence()
	for i := range keep {
		keep[i] = q.Float64() >= t.Drop
	}
	plane := make([]float64, len(keep))
	for c := range v.In.C {
		for i := range plane {
			plane[i] = float64(v.X[i*v.In.C+c])
		}
		z := leastVariation(plane, keep, v.In, t.Weight, t.Iterations)
		for i := range plane {
			v.X[i*v.In.C+c] = float32(z[i])
		}
	}
}

// leastVariation solves the problem for one channel. What is not kept of x has no influence.
func leastVariation(x []float64, keep []bool, in nn.Shape, weight float64, iterations int) []float64 {
	step := 1 / math.Sqrt(8) // the gradient's norm is at most sqrt(8)
	mean, kept := 0.0, 0.0
	for i, k := range keep {
		if k {
			mean, kept = mean+x[i], kept+1
		}
	}
	n := len(x)
	z, ahead := make([]float64, n), make([]float64, n)
	for i, k := range keep {
		if z[i] = mean / max(kept, 1); k {
			z[i] = x[i]
		}
	}
	copy(ahead, z)
	down, right := make([]float64, n), make([]float64, n) // the dual, zero across the borders
	for range iterations {
		for i := range n {
			if i/in.W < in.H-1 {
				down[i] += step * (ahead[i+in.W] - ahead[i])
			}
			if i%in.W < in.W-1 {
				right[i] += step * (ahead[i+1] - ahead[i])
			}
			if length := math.Hypot(down[i], right[i]); length > weight {
				down[i] *= weight / length
				right[i] *= weight / length
			}
		}
		for i := range n {
			divergence := down[i] + right[i]
			if i >= in.W {
				divergence -= down[i-in.W]
			}
			if i%in.W > 0 {
				divergence -= right[i-1]
			}
			next := z[i] + step*divergence
			if keep[i] {
				next = (next + step*x[i]) / (1 + step)
			}
			ahead[i] = 2*next - z[i]
			z[i] = next
		}
	}
	return z
}

func init() {
	registry.Register("total_variation", func() Transform {
		return &TotalVariation{Placed: deployed, Drop: 0.5, Weight: 0.03, Iterations: 100}
	})
}
