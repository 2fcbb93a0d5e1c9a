package attacks

import (
	"rampart/nn/device"
)

// Step is what a defence does to images before its network sees them, such as quantisation or a
// random shift. Its methods may be called concurrently.
type Step interface {
	// Forward transforms an image [H,W,C] in place. A random step draws by noise, which numbers
	// the question, and example.
	Forward(x []float32, noise uint64, example uint32)
	// Backward turns dx, the gradient at the transformed image, into that at the image x, in
	// place. Where the step has no useful gradient it stands in for one, which makes an attack
	// BPDA (Athalye et al. 2018, section 4.1.1); leaving dx as it is takes the step for the identity.
	Backward(dx, x []float32, noise uint64, example uint32)
}

// Preprocessed is a Victim behind a Step.
type Preprocessed struct {
	Victim
	Step Step
}

// Logits implements Victim, through the step as it is.
func (v Preprocessed) Logits(c *device.Call) error { return v.Through(c, v.Victim.Logits) }

// InputGrad implements Victim, with the step's Backward.
func (v Preprocessed) InputGrad(c *device.Call) error { return v.Through(c, v.Victim.InputGrad) }

// Iterate implements Victim.
func (v Preprocessed) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return Iterate(v, c, l)
}

// Through asks f, a question to the network itself, about the transformed images, and takes the
// gradient in them back to the images.
func (v Preprocessed) Through(c *device.Call, f func(*device.Call) error) error {
	size := v.Input().Size()
	x, moved := make([]float32, c.Rows*size), make([]float32, c.Rows*size)
	c.X.Download(x, 0)
	copy(moved, x)
	eachRow(c.Rows, func(r int) { v.Step.Forward(moved[r*size:][:size], c.Noise, example(c, r)) })
	one := *c
	one.X = v.New(len(moved))
	one.X.Upload(moved, 0)
	if err := f(&one); err != nil || c.InputGrad == nil {
		return err
	}
	dx := moved
	c.InputGrad.Download(dx, 0)
	eachRow(c.Rows, func(r int) { v.Step.Backward(dx[r*size:][:size], x[r*size:][:size], c.Noise, example(c, r)) })
	c.InputGrad.Upload(dx, 0)
	return nil
}

// example is the number of row r, 0 where the call has none.
func example(c *device.Call, r int) uint32 {
	if c.Example == nil {
		return 0
	}
	return c.Example[r]
}
