package nn

import (
	"fmt"
	"runtime"
	"sync"
)

// AddGrad adds to the gradient of the model's last ParamGrad scale times that of the training loss of Zhang
// et al. (2020, equation 9): the sum over examples of the cross-entropy of the worst logits, 0 for the label
// and for each other class 1-beta times the bound of its difference by intervals and beta times that by
// CROWN-IBP. It returns the sum of the losses. Margins for rounding count as constants.
func (c *Crown) AddGrad(images []float32, labels []int32, eps, beta, scale float64) (float64, error) {
	if err := c.check(images, labels); err != nil {
		return 0, err
	}
	n := len(labels)
	if err := c.intervals(images, n, eps); err != nil {
		return 0, err
	}
	clear(c.grads)
	bounds := c.last.intervals(c, labels)
	if beta > 0 {
		crown, err := c.linear(labels, false)
		if err != nil {
			return 0, err
		}
		for r, v := range crown {
			bounds[r] = (1-beta)*bounds[r] + beta*v
		}
	}
	loss, grad := c.worst(labels, bounds)
	interval, linear := make([]float64, len(grad)), make([]float64, len(grad))
	for r, g := range grad {
		interval[r], linear[r] = scale*(1-beta)*g, scale*beta*g
	}
	for i, l := range c.layers {
		in, _ := l.sizes()
		p := &c.passes[i]
		p.dLower, p.dUpper = zeros(p.dLower, n*in), zeros(p.dUpper, n*in)
	}
	c.last.intervalsGrad(c, labels, interval)
	if beta > 0 {
		if err := c.linearGrad(labels, linear); err != nil {
			return 0, fmt.Errorf("gradient of CROWN-IBP bounds: %w", err)
		}
	}
	for i := len(c.layers) - 1; i >= 0; i-- {
		next := c.pass(i + 1)
		if err := c.layers[i].forwardGrad(c, c.pass(i), n, next.dLower, next.dUpper); err != nil {
			return 0, fmt.Errorf("gradient of CROWN-IBP bounds: %w", err)
		}
	}
	c.addGrads()
	return loss, nil
}

// worst is the cross-entropy of the worst logits: its sum, and its gradient in each bound.
func (c *Crown) worst(labels []int32, bounds []float64) (loss float64, grad []float64) {
	k := c.model.Spec.Classes
	grad = make([]float64, len(bounds))
	logits, p := make([]float32, k), make([]float64, k)
	for i, y := range labels {
		c.difference(labels, i, func(r, k, _ int) { logits[k] = float32(bounds[r]) })
		logits[y] = 0
		top, rest := softmax(p, logits, 1)
		loss += top + rest
		c.difference(labels, i, func(r, k, _ int) { grad[r] = p[k] })
	}
	return loss, grad
}

// linearGrad takes the gradient in the bounds to that in the weights and in the intervals of each ReLU.
func (c *Crown) linearGrad(labels []int32, grad []float64) error {
	box, size, margins := c.pass(0), c.model.Spec.Input.Size(), c.margins()
	dIn := make([]float32, len(grad)*size)
	in := c.ends.in // of a network of one layer
	if len(c.layers) > 0 {
		in = c.passes[0].in
	}
	split(len(labels), func(i int) {
		for r := i * margins; r < (i+1)*margins; r++ {
			for at, a := range in[r*size:][:size] {
				end := box.lower[i*size+at]
				if a > 0 {
					end = box.upper[i*size+at]
				}
				dIn[r*size+at] = float32(grad[r]) * end
			}
		}
	})
	for i, l := range c.layers {
		p := &c.passes[i]
		_, out := l.sizes()
		p.dIn, p.dOut = dIn, resize(p.dOut, len(grad)*out)
		if err := l.backGrad(c, p, len(labels), grad); err != nil {
			return err
		}
		dIn = p.dOut
	}
	c.last.startGrad(c, labels, dIn, grad)
	return nil
}

// gradOf is the sum of gradients in the model's parameter i.
func (c *Crown) gradOf(i int) []float64 {
	if c.grads[i] == nil {
		c.grads[i] = make([]float64, len(c.host[i]))
	}
	return c.grads[i]
}

// addGrads adds the sums to the model's gradient.
func (c *Crown) addGrads() {
	for i, sum := range c.grads {
		if sum == nil {
			continue
		}
		p := c.model.params.List[i]
		total := download(p.Grad)
		for at, g := range sum {
			total[at] += float32(g)
		}
		p.Grad.Upload(total, 0)
	}
}

// perExample adds up what each of n examples contributes to m sums, in their order, whatever the threads.
func perExample(n, m int, example func(i int, sum []float64)) []float64 {
	parts := make([]float64, n*m)
	split(n, func(i int) { example(i, parts[i*m:][:m]) })
	total := make([]float64, m)
	for i := range n {
		for at, v := range parts[i*m:][:m] {
			total[at] += v
		}
	}
	return total
}

// split calls f for 0 to n-1, shared among the cores.
func split(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	all.Wait()
}

// zeros is cleared memory for n values.
func zeros(v []float32, n int) []float32 {
	v = resize(v, n)
	clear(v)
	return v
}
