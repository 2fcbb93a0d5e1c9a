package kernel

import "math"

// SignStep moves adv by step along the sign of the gradient, projects it onto the L∞ ball of
// radius eps around x and onto the pixel range [0,1] (Madry et al. 2018, section 2.1). A gradient
// of 0 or NaN moves nothing.
func SignStep(adv, x, grad []float32, step, eps float32) {
	current.signStep(adv, x[:len(adv)], grad[:len(adv)], step, eps)
}

func portableSignStep(adv, x, grad []float32, step, eps float32) {
	x, grad = x[:len(adv)], grad[:len(adv)]
	for i, g := range grad {
		var move float32
		if g > 0 {
			move = step
		} else if g < 0 {
			move = -step
		}
		adv[i] = clamp(clamp(adv[i]+move, x[i]-eps, x[i]+eps), 0, 1)
	}
}

// clamp returns v within [lower, upper], and NaN for NaN.
func clamp(v, lower, upper float32) float32 {
	if v < lower {
		v = lower
	}
	if v > upper {
		v = upper
	}
	return v
}

// L2Step moves one example adv by step along its normalised gradient, projects it onto the L2
// ball of radius eps around x, and clips it to [0,1]; clipping towards an x in [0,1] does not leave
// the ball. A gradient that is zero everywhere, or whose norm is not finite, moves nothing.
func L2Step(adv, x, grad []float32, step, eps float32) {
	x, grad = x[:len(adv)], grad[:len(adv)]
	norm := math.Sqrt(SumSquares(grad))
	if norm > 0 && !math.IsInf(norm, 0) {
		f := float64(step) / norm // float64: the norm of a vanishing gradient has no float32 inverse
		for i, g := range grad {
			adv[i] += float32(f * float64(g))
		}
	}
	square := 0.0
	for i, v := range adv {
		d := float64(v) - float64(x[i])
		square += float64(d * d)
	}
	shrink := 1.0
	if distance := math.Sqrt(square); distance > float64(eps) {
		shrink = float64(eps) / distance
	}
	for i, v := range adv {
		if shrink < 1 {
			d := float64(v) - float64(x[i])
			v = float32(float64(x[i]) + float64(shrink*d))
		}
		adv[i] = clamp(v, 0, 1)
	}
}
