package defenses

import (
	"math"

	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
)

// What takes mixed examples (data.Mix) has a loss that is linear in the label: then that of two labels with
// weights is the weighted sum, and cross-entropy that with a soft label. An attack that ascends cross-entropy
// ascends the mixed one; any other goes by the label of greater weight, which is Batch.Labels.

// TakesMix implements data.MixTaker.
func (*Natural) TakesMix() {}

// TakesMix implements data.MixTaker.
func (*PGDAT) TakesMix() {}

// TakesMix implements data.MixTaker.
func (*FGSMRS) TakesMix() {}

// TakesMix implements data.MixTaker.
func (*TRADES) TakesMix() {}

// TakesMix implements data.MixTaker.
func (*ALP) TakesMix() {}

// TakesMix reports whether a defence, or what it wraps, can be trained with mixed examples.
func TakesMix(d Defense) bool {
	_, ok := as[data.MixTaker](d)
	return ok
}

// never is the logit of a class of probability 0.
const never = -1e30

// targets puts the logits of the batch's mixed labels into s.soft, such that their softmax at a temperature
// is the label, with a share spread evenly over all classes.
func (s *Session) targets(b *data.Batch, temperature, smoothing float32) {
	k := s.Model.Classes()
	if temperature == 0 {
		temperature = 1
	}
	soft := s.hostLogits[:len(b.Labels)*k]
	for r, y := range b.Labels {
		target := soft[r*k:][:k]
		for j := range target {
			target[j] = smoothing / float32(k)
		}
		target[y] += (1 - smoothing) * b.Mix.Weight[r]
		target[b.Mix.Labels[r]] += (1 - smoothing) * (1 - b.Mix.Weight[r])
		for j, p := range target {
			target[j] = never
			if p > 0 {
				target[j] = temperature * float32(math.Log(float64(p)))
			}
		}
	}
	s.soft.Upload(soft, 0)
}

// towards lets an attack that ascends cross-entropy ascend that with soft labels.
func towards(soft device.Tensor) bend {
	return func(c *device.Call, _ *device.Loop) {
		if _, ok := c.Loss.(nn.CrossEntropy); ok {
			c.Loss, c.Soft = nn.Distill{Temperature: 1}, soft
		}
	}
}
