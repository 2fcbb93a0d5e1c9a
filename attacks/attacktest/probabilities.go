package attacktest

import (
	"math"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
)

// Probabilities returns the softmax of its logits, scale times as large, where a victim should
// return logits: a large scale saturates it, and the gradient vanishes in float32.
func Probabilities(m *nn.Model, scale float64) attacks.Victim { return &probabilities{m, scale} }

type probabilities struct {
	*nn.Model
	scale float64
}

// Logits implements attacks.Victim.
func (v *probabilities) Logits(c *device.Call) error {
	if err := v.Model.Logits(c); err != nil {
		return err
	}
	v.replace(c)
	return nil
}

// InputGrad implements attacks.Victim: the loss is that of the probabilities.
func (v *probabilities) InputGrad(c *device.Call) error {
	through := *c
	through.Loss = throughSoftmax{c.Loss, v.scale}
	if err := v.Model.InputGrad(&through); err != nil {
		return err
	}
	v.replace(c)
	return nil
}

// Iterate implements attacks.Victim.
func (v *probabilities) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return attacks.Iterate(v, c, l)
}

// replace turns the logits in c into probabilities.
func (v *probabilities) replace(c *device.Call) {
	if c.Logits == nil {
		return
	}
	k := v.Classes()
	z := make([]float32, c.Rows*k)
	c.Logits.Download(z, 0)
	for r := range c.Rows {
		softmax(z[r*k:][:k], z[r*k:][:k], v.scale)
	}
	c.Logits.Upload(z, 0)
}

func softmax(p, z []float32, scale float64) {
	top, sum := float64(z[device.Argmax(z)]), 0.0
	for _, v := range z {
		sum += math.Exp(scale * (float64(v) - top))
	}
	for j, v := range z {
		p[j] = float32(math.Exp(scale*(float64(v)-top)) / sum)
	}
}

// throughSoftmax is a loss of probabilities as a loss of the logits.
type throughSoftmax struct {
	of    device.Loss
	scale float64
}

// Rows implements device.Loss.
func (l throughSoftmax) Rows(b *device.Block) {
	k := b.Classes
	p := make([]float32, b.Rows*k)
	for r := range b.Rows {
		softmax(p[r*k:][:k], b.Logits[r*k:][:k], l.scale)
	}
	inner := *b
	inner.Logits = p
	l.of.Rows(&inner)
	for r := range b.Rows {
		p, g := p[r*k:][:k], b.Grad[r*k:][:k]
		var mean float32
		for j := range g {
			mean += p[j] * g[j]
		}
		for j := range g {
			g[j] = float32(l.scale) * p[j] * (g[j] - mean)
		}
	}
}
