package attacks

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// climb is APGD at work on a batch. Slices are by row of the batch: images [n, size], or a value
// for each row; live are the rows that are not yet broken.
type climb struct {
	*APGD
	o    *oracle
	goal objective
	live []int

	clean, x, old, best, grad, bestGrad []float32
	out                                 []float32
	loss, bestLoss                      []float32
	lossBefore, bestBefore              []float32 // at the last step, at the last checkpoint
	step                                []float64
	rises                               []int // of the loss since the last checkpoint
	reduced                             []bool
	density                             []float64 // L1: share of the pixels that a step moves
	moved                               []int     // L1: pixels in which best differed from clean at the last checkpoint

	ask    []float32 // the question's images, by position in live
	labels []int32
	soft   []float32
}

func newClimb(a *APGD, o *oracle, goal objective, clean []float32) *climb {
	n := len(o.b.Labels)
	images := func() []float32 { return make([]float32, len(clean)) }
	values := func() []float32 { return make([]float32, n) }
	c := &climb{APGD: a, o: o, goal: goal, live: count(n), clean: clean, x: images(), old: images(), best: images(), grad: images(), bestGrad: images(),
		out: images(), loss: values(), bestLoss: values(), lossBefore: values(), bestBefore: values(), step: make([]float64, n), rises: make([]int, n), reduced: make([]bool, n),
		density: make([]float64, n), moved: make([]int, n), ask: images(), labels: make([]int32, n)}
	if goal.soft != nil {
		c.soft = make([]float32, n*o.classes)
	}
	return c
}

// of is a row's image.
func (c *climb) of(images []float32, r int) []float32 { return images[r*c.o.size:][:c.o.size] }

// run makes the steps of a phase from c.x on. proceed says that c.x comes from elsewhere than a
// random start of this phase; in the last phase broken rows leave and the others end at the best
// iterate, where a next phase would begin.
func (c *climb) run(p phase, proceed, last bool) error {
	if proceed {
		eachRow(len(c.live), func(i int) {
			r := c.live[i]
			kernel.ProjectL1(c.of(c.x, r), c.of(c.clean, r), float32(p.epsilon))
		})
	}
	if err := c.question(last, false); err != nil {
		return err
	}
	longest := 2 * p.epsilon
	if c.Norm == L1 {
		longest = p.epsilon
	}
	for _, r := range c.live {
		c.keep(r)
		copy(c.of(c.old, r), c.of(c.x, r))
		c.bestBefore[r], c.step[r], c.rises[r], c.reduced[r] = c.loss[r], longest, 0, true
		c.density[r], c.moved[r] = 0.2, c.o.size
		if proceed {
			c.moved[r] = differ(c.of(c.x, r), c.of(c.clean, r))
			c.density[r] = float64(c.moved[r]) / float64(c.o.size) / 1.5
		}
		// The first rise is counted from 0, as in the authors' implementation.
		c.loss[r] = 0
	}
	// The share of the steps up to the first checkpoint, by which the next ones come sooner, and at least.
	share := func(part float64, steps int) int { return max(int(part*float64(steps)), 1) }
	window, decrease, least := share(0.22, c.Steps), share(0.03, c.Steps), share(0.06, c.Steps)
	if c.Norm == L1 {
		window, decrease = share(0.04, p.steps), 0
	}
	since := 0
	for k := range p.steps {
		eachRow(len(c.live), func(i int) { c.advance(c.live[i], p.epsilon, k == 0) })
		copy(c.lossBefore, c.loss)
		if err := c.question(last, k == p.steps-1); err != nil {
			return err
		}
		since++
		for _, r := range c.live {
			if c.loss[r] > c.lossBefore[r] {
				c.rises[r]++
			}
			if c.loss[r] > c.bestLoss[r] {
				c.keep(r)
			}
			if since == window {
				c.checkpoint(r, window, longest)
			}
		}
		if since == window {
			since, window = 0, max(window-decrease, min(least, window))
		}
	}
	for _, r := range c.live {
		copy(c.of(c.x, r), c.of(c.best, r))
		copy(c.of(c.out, r), c.of(c.best, r))
	}
	return nil
}

// keep makes the current iterate the best one.
func (c *climb) keep(r int) {
	c.bestLoss[r] = c.loss[r]
	copy(c.of(c.best, r), c.of(c.x, r))
	copy(c.of(c.bestGrad, r), c.of(c.grad, r))
}

// checkpoint shortens a row's step where the last window of steps has not paid, and takes the row
// back to its best iterate (Croce and Hein 2020, section 3.2).
func (c *climb) checkpoint(r, window int, longest float64) {
	back := false
	if c.Norm == L1 {
		back = c.sparser(r, longest)
	} else {
		back = float64(c.rises[r]) <= float64(window)*c.Rho || !c.reduced[r] && c.bestBefore[r] >= c.bestLoss[r]
		c.reduced[r], c.bestBefore[r], c.rises[r] = back, c.bestLoss[r], 0
		if back {
			c.step[r] /= 2
		}
	}
	if back {
		copy(c.of(c.x, r), c.of(c.best, r))
		copy(c.of(c.grad, r), c.of(c.bestGrad, r))
	}
}

// question asks for loss and gradient of the live rows at c.x, or after the last step for the loss
// alone. With leave, the rows that are misclassified end there.
func (c *climb) question(leave, lossOnly bool) error {
	n, size, k := len(c.live), c.o.size, c.o.classes
	for i, r := range c.live {
		copy(c.ask[i*size:][:size], c.of(c.x, r))
		c.labels[i] = c.goal.labels[r]
		if c.soft != nil {
			copy(c.soft[i*k:][:k], c.goal.soft[r*k:])
		}
		c.loss[r] = 0
	}
	var z []float32
	for sample := range c.Samples {
		var value, dx []float32
		var err error
		if lossOnly {
			z, err = c.o.logits(c.ask, c.live)
			value = c.values(z)
		} else {
			z, value, dx, err = c.o.gradient(c.ask, c.live, c.labels, c.soft, c.goal.loss)
		}
		if err != nil {
			return err
		}
		for i, r := range c.live {
			c.loss[r] += value[i]
			if dx == nil {
				continue
			}
			if grad := c.of(c.grad, r); sample == 0 {
				copy(grad, dx[i*size:])
			} else {
				for j, g := range dx[i*size:][:size] {
					grad[j] += g
				}
			}
		}
	}
	for _, r := range c.live {
		c.loss[r] /= float32(c.Samples) // a sum of gradients does: steps have a length of their own
	}
	if !leave {
		return nil
	}
	live := c.live[:0]
	for i, r := range c.live[:n] {
		if device.Argmax(z[i*k:][:k]) == int(c.o.b.Labels[r]) {
			live = append(live, r)
		} else {
			copy(c.of(c.out, r), c.of(c.x, r))
		}
	}
	c.live = live
	return nil
}

// values computes the losses of logits on the host.
func (c *climb) values(z []float32) []float32 {
	n := len(z) / c.o.classes
	if n == 0 {
		return nil
	}
	b := device.Block{Rows: n, Classes: c.o.classes, Logits: z, Labels: c.labels[:n], Soft: c.soft, Value: make([]float32, n), Grad: make([]float32, len(z))}
	c.goal.loss.Rows(&b)
	return b.Value
}

// differ counts the entries in which two rows differ.
func differ(a, b []float32) (n int) {
	for i, v := range a {
		if v != b[i] {
			n++
		}
	}
	return n
}

// norm2 is the L2 norm of a row.
func norm2(v []float32) float64 { return math.Sqrt(kernel.SumSquares(v)) }
