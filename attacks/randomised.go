package attacks

import (
	"rampart/nn/device"
)

// EOT is a randomised Victim seen in expectation (Athalye et al. 2018, section 4.1.2): logits, loss
// and gradient are means over Samples forward passes, each with noise of its own.
type EOT struct {
	Victim
	Samples int
}

// Logits implements Victim.
func (v EOT) Logits(c *device.Call) error { return v.mean(c, v.Victim.Logits) }

// InputGrad implements Victim.
func (v EOT) InputGrad(c *device.Call) error { return v.mean(c, v.Victim.InputGrad) }

// Iterate implements Victim.
func (v EOT) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return Iterate(v, c, l)
}

// passes are the single passes behind a count of means.
func (v EOT) passes(c device.Counts) device.Counts {
	return device.Counts{Forwards: c.Forwards * v.Samples, Gradients: c.Gradients * v.Samples, Zero: c.Zero * v.Samples, NonFinite: c.NonFinite * v.Samples}
}

// mean runs f on each draw and averages what it writes.
func (v EOT) mean(c *device.Call, f func(*device.Call) error) error {
	one := *c
	outputs := []*average{newAverage(c.Logits, c.Rows*v.Classes()), newAverage(c.Value, c.Rows), newAverage(c.InputGrad, c.Rows*v.Input().Size())}
	for s := range v.Samples {
		one.Noise = c.Noise*uint64(v.Samples) + uint64(s) // no two samples of a run share it
		if err := f(&one); err != nil {
			return err
		}
		for _, o := range outputs {
			o.add()
		}
	}
	for _, o := range outputs {
		o.write(v.Samples)
	}
	return nil
}

// average sums what a tensor holds at different times; nil does nothing.
type average struct {
	t    device.Tensor
	now  []float32
	sums []float64
}

func newAverage(t device.Tensor, n int) *average {
	if t == nil {
		return nil
	}
	return &average{t, make([]float32, n), make([]float64, n)}
}

func (a *average) add() {
	if a == nil {
		return
	}
	a.t.Download(a.now, 0)
	for i, v := range a.now {
		a.sums[i] += float64(v)
	}
}

func (a *average) write(samples int) {
	if a == nil {
		return
	}
	for i, sum := range a.sums {
		a.now[i] = float32(sum / float64(samples))
	}
	a.t.Upload(a.now, 0)
}
