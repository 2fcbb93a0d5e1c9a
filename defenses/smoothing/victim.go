package smoothing

import (
	"fmt"
	"math"

	"rampart/attacks"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Victim is a smoothed classifier as an attack sees it: its logits are the log of the mean of the
// softmaxes over Samples draws of noise, and its gradient is theirs (Salman et al. 2019, equation 6).
// The draws of an image are the same at every question, so that an attack climbs one function.
type Victim struct {
	attacks.Victim
	Sigma   float64
	Samples int
	Noise   rng.Stream
}

// Logits implements attacks.Victim.
func (v Victim) Logits(c *device.Call) error {
	z, _, err := v.mean(c)
	if err == nil && c.Logits != nil {
		c.Logits.Upload(z, 0)
	}
	return err
}

// InputGrad implements attacks.Victim.
func (v Victim) InputGrad(c *device.Call) error {
	z, each, err := v.mean(c)
	if err != nil {
		return err
	}
	n, k := c.Rows, v.Classes()
	b := &device.Block{Rows: n, Classes: k, Logits: z, Labels: c.Labels, Value: make([]float32, n), Grad: make([]float32, n*k)}
	if c.Soft != nil {
		b.Soft = make([]float32, n*k)
		c.Soft.Download(b.Soft, 0)
	}
	c.Loss.Rows(b)
	if c.Logits != nil {
		c.Logits.Upload(z, 0)
	}
	if c.Value != nil {
		c.Value.Upload(b.Value, 0)
	}
	if c.InputGrad == nil {
		return nil
	}
	scale := float64(c.Scale)
	for r := range n {
		for s := range v.Samples {
			spread(each[(r*v.Samples+s)*k:][:k], z[r*k:][:k], b.Grad[r*k:][:k], scale/float64(v.Samples))
		}
	}
	return v.backward(c, each)
}

// Iterate implements attacks.Victim.
func (v Victim) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return attacks.Iterate(v, c, l)
}

// spread turns the softmax p of one draw into the gradient in its logits, of a loss whose gradient in
// the log of the mean softmax is g: scale * p_j (h_j - sum_k p_k h_k) with h = g/exp(z).
func spread(p, z, g []float32, scale float64) {
	mean := 0.0
	h := func(j int) float64 {
		if g[j] == 0 {
			return 0
		}
		return float64(g[j]) / math.Exp(float64(z[j]))
	}
	for j, v := range p {
		mean += float64(v) * h(j)
	}
	for j, v := range p {
		p[j] = float32(scale * float64(v) * (h(j) - mean))
	}
}

// mean is the log of the mean softmax of each row, and the softmax of each draw.
func (v Victim) mean(c *device.Call) (z, each []float32, err error) {
	n, k := c.Rows, v.Classes()
	each, z = make([]float32, n*v.Samples*k), make([]float32, n*k)
	err = v.draws(c, func(first, rows int, x device.Tensor) error {
		out := v.New(rows * k)
		if err := v.Victim.Logits(&device.Call{Rows: rows, X: x, Logits: out}); err != nil {
			return err
		}
		out.Download(each[first*k:][:rows*k], 0)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("smoothing: %w", err)
	}
	sums := make([]float64, k)
	for r := range n {
		clear(sums)
		for s := range v.Samples {
			p := each[(r*v.Samples+s)*k:][:k]
			softmax(p)
			for j, q := range p {
				sums[j] += float64(q)
			}
		}
		for j, sum := range sums {
			// Far below what a float32 softmax can hold, so that the log is finite.
			z[r*k+j] = float32(math.Log(max(sum/float64(v.Samples), 1e-38)))
		}
	}
	return z, each, nil
}

// backward adds up what each draw's gradient in its logits gives in the image.
func (v Victim) backward(c *device.Call, each []float32) error {
	size, k := v.Input().Size(), v.Classes()
	sums := make([]float64, c.Rows*size)
	err := v.draws(c, func(first, rows int, x device.Tensor) error {
		soft, dx := v.New(rows*k), v.New(rows*size)
		soft.Upload(each[first*k:][:rows*k], 0)
		labels := make([]int32, rows)
		if err := v.Victim.InputGrad(&device.Call{Rows: rows, X: x, Labels: labels, Soft: soft, Loss: linear{}, Scale: 1, InputGrad: dx}); err != nil {
			return err
		}
		grad := make([]float32, rows*size)
		dx.Download(grad, 0)
		for i := range rows {
			sum := sums[(first+i)/v.Samples*size:][:size]
			for j, g := range grad[i*size:][:size] {
				sum[j] += float64(g)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("smoothing: %w", err)
	}
	grad := make([]float32, len(sums))
	for i, s := range sums {
		grad[i] = float32(s)
	}
	c.InputGrad.Upload(grad, 0)
	return nil
}

// draws lays the noisy copies of all rows side by side, Samples of each, and calls f for as many at a
// time as the network takes; first numbers the first copy.
func (v Victim) draws(c *device.Call, f func(first, rows int, x device.Tensor) error) error {
	size, total := v.Input().Size(), c.Rows*v.Samples
	images := make([]float32, c.Rows*size)
	c.X.Download(images, 0)
	noisy := make([]float32, total*size)
	for r := range c.Rows {
		example := uint32(0)
		if c.Example != nil {
			example = c.Example[r]
		}
		addNoise(noisy[r*v.Samples*size:][:v.Samples*size], images[r*size:][:size], v.Sigma, v.Noise, example, 0, 0)
	}
	rows := v.Victim.Rows()
	x := v.New(rows * size)
	for at := 0; at < total; at += rows {
		n := min(rows, total-at)
		x.Upload(noisy[at*size:(at+n)*size], 0)
		if err := f(at, n, x); err != nil {
			return err
		}
	}
	return nil
}

func softmax(z []float32) {
	top, sum := z[device.Argmax(z)], 0.0
	for _, v := range z {
		sum += math.Exp(float64(v - top))
	}
	for j, v := range z {
		z[j] = float32(math.Exp(float64(v-top)) / sum)
	}
}

// linear is the loss whose gradient in the logits is Soft.
type linear struct{}

// Rows implements device.Loss.
func (linear) Rows(b *device.Block) {
	copy(b.Grad[:b.Rows*b.Classes], b.Soft)
	for r := range b.Rows {
		sum := 0.0
		for j, g := range b.Soft[r*b.Classes:][:b.Classes] {
			sum += float64(g) * float64(b.Logits[r*b.Classes+j])
		}
		b.Value[r] = float32(sum)
	}
}
