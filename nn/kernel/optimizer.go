package kernel

import (
	"math"

	"rampart/nn/device"
)

// SGD updates the weights w by one step of o with the gradient clip*g, as torch.optim.SGD does.
// v holds the momentum, zero before the first step; it is not used where o has none.
func SGD(o device.SGD, w, g, v []float32, lr, clip float32) {
	g = g[:len(w)]
	if o.Momentum == 0 {
		for i, d := range g {
			w[i] -= float32(lr * (float32(clip*d) + float32(o.WeightDecay*w[i])))
		}
		return
	}
	s := momentumStep{clip: clip, decay: o.WeightDecay, momentum: o.Momentum, old: 1, rate: lr}
	if o.Nesterov {
		s.fresh, s.old = 1, o.Momentum
	}
	current.momentum(s, w, g, v[:len(w)])
}

// momentumStep holds the constants of one step of SGD with momentum. The weights move along
// fresh*d + old*v, for the gradient d and the momentum v: v itself, or Nesterov's d + momentum*v.
type momentumStep struct {
	clip, decay, momentum, fresh, old, rate float32
}

func portableMomentum(s momentumStep, w, g, v []float32) {
	g, v = g[:len(w)], v[:len(w)]
	for i, x := range w {
		d := float32(s.clip*g[i]) + float32(s.decay*x)
		v[i] = float32(s.momentum*v[i]) + d
		w[i] = x - float32(s.rate*(float32(s.fresh*d)+float32(s.old*v[i])))
	}
}

// Adam updates the weights w by step number step (from 1 on) of o with the gradient clip*g, as
// torch.optim.Adam does, or AdamW where o is Decoupled. m and v hold the running means of the
// gradient and of its square, zero before the first step.
func Adam(o device.Adam, w, g, m, v []float32, lr, clip float32, step int) {
	a := adamStep{
		clip: clip, decay: o.WeightDecay, shrink: 1,
		mean: float32(1 - float64(o.Beta1)), square: float32(1 - float64(o.Beta2)),
		beta2: o.Beta2, epsilon: o.Epsilon,
		root: float32(math.Sqrt(1 - math.Pow(float64(o.Beta2), float64(step)))),
		rate: float32(float64(lr) / (1 - math.Pow(float64(o.Beta1), float64(step)))),
	}
	if o.Decoupled {
		a.decay, a.shrink = 0, float32(1-float64(lr)*float64(o.WeightDecay))
	}
	current.adam(a, w, g[:len(w)], m[:len(w)], v[:len(w)])
}

// adamStep holds the constants of one step of Adam.
type adamStep struct {
	clip, decay, shrink float32 // gradient clip*g + decay*w; w is multiplied by shrink
	mean, beta2, square float32 // 1-β1, β2, 1-β2
	root, epsilon, rate float32 // √(1-β2^t), ε, lr/(1-β1^t)
}

func portableAdam(a adamStep, w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, x := range w {
		d := float32(a.clip*g[i]) + float32(a.decay*x)
		m[i] += float32(a.mean * (d - m[i]))
		v[i] = float32(a.beta2*v[i]) + float32(float32(a.square*d)*d)
		denominator := float32(math.Sqrt(float64(v[i])))/a.root + a.epsilon
		w[i] = float32(a.shrink*x) - float32(a.rate*m[i])/denominator
	}
}
