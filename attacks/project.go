package attacks

import (
	"math"

	"rampart/nn/kernel"
)

// Distance is the norm of a - b; b may be longer.
func (n Norm) Distance(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		d := math.Abs(float64(v) - float64(b[i]))
		switch n {
		case Linf:
			sum = max(sum, d)
		case L2:
			sum += d * d
		default:
			sum += d
		}
	}
	if n == L2 {
		return math.Sqrt(sum)
	}
	return sum
}

// Project moves an image into ball and box: in Linf and L1 to the nearest point of both (L1: Croce
// and Hein 2021, section 3.1), in L2 to the nearest of the ball, then clips it to [0,1]: clean lies
// in [0,1], so clipping only brings it nearer. What is no number becomes clean, and an infinity
// the largest number.
func (t Threat) Project(moved, clean []float32) {
	eps := float32(t.Epsilon)
	for i, v := range moved {
		if v != v {
			v = clean[i]
		}
		moved[i] = min(max(v, -math.MaxFloat32), math.MaxFloat32)
	}
	switch t.Norm {
	case Linf:
		for i, v := range moved {
			moved[i] = min(max(v, clean[i]-eps, 0), clean[i]+eps, 1)
		}
	case L1:
		kernel.ProjectL1(moved, clean, eps)
	default:
		scale := 1.0
		if norm := L2.Distance(moved, clean); norm > float64(t.Epsilon) {
			scale = float64(t.Epsilon) / norm
		}
		for i, v := range moved {
			if scale < 1 {
				v = float32(float64(clean[i]) + (float64(v)-float64(clean[i]))*scale)
			}
			moved[i] = min(max(v, 0), 1)
		}
	}
}

// toBox clips an image to [0,1]; what is no number becomes clean.
func toBox(moved, clean []float32) {
	for i, v := range moved {
		if v != v {
			v = clean[i]
		}
		moved[i] = min(max(v, 0), 1)
	}
}
