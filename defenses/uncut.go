package defenses

import (
	"math"

	"rampart/attacks"
	"rampart/nn/device"
)

// uncut is a victim that takes the gradient of a single step in Linf at its random start as it was drawn,
// where pixels may leave [0,1], as the code of Wong et al. (2020) does on MNIST; only the result is cut. A
// start that is cut before would tell less apart: every pixel at 0, as most are, would come out at 0 or eps,
// whatever was drawn. Other loops pass through.
type uncut struct{ attacks.Victim }

// Iterate implements attacks.Victim.
func (v uncut) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	if l.Steps != 1 || l.Norm != device.Linf || l.Start != device.FromUniform || l.KeepBest {
		return v.Victim.Iterate(c, l)
	}
	size := v.Input().Size()
	x, delta, moved := make([]float32, c.Rows*size), make([]float32, c.Rows*size), make([]float32, c.Rows*size)
	c.X.Download(x, 0)
	for r := range c.Rows {
		l.Noise.Uniform(delta[r*size:][:size], -l.Epsilon, l.Epsilon, l.Example[r], l.Restart, 0)
	}
	for i, d := range delta {
		moved[i] = x[i] + d
	}
	call := *c
	call.X, call.InputGrad, call.Scale = v.New(len(x)), v.New(len(x)), 1
	call.X.Upload(moved, 0)
	if err := v.InputGrad(&call); err != nil {
		return device.Counts{}, err
	}
	grad := moved
	call.InputGrad.Download(grad, 0)
	counts := device.Counts{Gradients: c.Rows}
	for r := range c.Rows {
		zero, finite := true, true
		for i, g := range grad[r*size:][:size] {
			zero = zero && g == 0
			finite = finite && !math.IsNaN(float64(g)) && !math.IsInf(float64(g), 0)
			at := r*size + i
			switch {
			case g > 0:
				delta[at] += l.StepSize
			case g < 0:
				delta[at] -= l.StepSize
			}
			delta[at] = min(max(delta[at], -l.Epsilon), l.Epsilon)
			x[at] = min(max(x[at]+delta[at], 0), 1)
		}
		if zero {
			counts.Zero++
		}
		if !finite {
			counts.NonFinite++
		}
	}
	l.Adv.Upload(x, 0)
	return counts, nil
}
