package attacks

import (
	"math"
	"slices"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// Iterate runs a device.Loop on the host: the Iterate of a Victim whose gradient is not that of one
// program on one device, and the loop of an attack whose direction is not the gradient's. On a
// plain model it does, to the bit, what the model's own Iterate does. A randomised victim draws
// anew for each step.
func Iterate(v Victim, c *device.Call, l *device.Loop) (device.Counts, error) {
	return iterate(v, c, l, nil)
}

// iterate lets turn, where not nil, replace the gradient of row r before the step.
func iterate(v Victim, c *device.Call, l *device.Loop, turn func(r int, gradient []float32)) (device.Counts, error) {
	h := newHostLoop(v, c, l)
	rows := count(c.Rows)
	for step := 0; len(rows) > 0 && (step < l.Steps || l.KeepBest); step++ {
		var z, dx []float32
		var err error
		x, labels, soft := h.gather(rows)
		if step < l.Steps {
			z, _, dx, err = h.o.gradient(x, rows, labels, soft, c.Loss)
		} else {
			z, err = h.o.logits(x, rows)
		}
		if err != nil {
			return h.o.counts, err
		}
		alive := h.judge(rows, z, labels, soft)
		if step == l.Steps {
			break
		}
		for k, r := range rows {
			if !alive[k] {
				continue
			}
			gradient := dx[k*h.o.size:][:h.o.size]
			if turn != nil {
				turn(r, gradient)
			}
			h.ascent.Step(h.row(h.adv, r), h.row(h.clean, r), gradient, l)
		}
		rows = slices.DeleteFunc(rows, func(r int) bool { return h.done[r] })
	}
	h.finish()
	return h.o.counts, nil
}

// hostLoop is a loop in progress. Slices are by row of the call.
type hostLoop struct {
	c                *device.Call
	l                *device.Loop
	o                *oracle
	clean, adv, best []float32
	soft             []float32 // nil where the loss needs none
	bestValue        []float32
	found, done      []bool
	tau              []int // of Loop, what is left of it
	ascent           kernel.Ascent

	// of the rows at work
	x, softs, grad, value []float32
	labels                []int32
	alive                 []bool
}

func newHostLoop(v Victim, c *device.Call, l *device.Loop) *hostLoop {
	n, k := c.Rows, v.Classes()
	b := &Batch{X: c.X, Labels: make([]int32, n), Index: l.Example}
	copy(b.Labels, c.Labels)
	if b.Index == nil {
		b.Index = make([]uint32, n)
	}
	h := &hostLoop{c: c, l: l, o: newOracle(v, b, Draw{Stream: l.Noise, Restart: l.Restart}), bestValue: make([]float32, n), found: make([]bool, n), tau: slices.Repeat([]int{l.Tau}, n),
		done: make([]bool, n), x: make([]float32, n*v.Input().Size()), grad: make([]float32, n*k), value: make([]float32, n), labels: make([]int32, n), alive: make([]bool, n)}
	h.clean = h.o.clean()
	h.adv, h.best = slices.Clone(h.clean), slices.Clone(h.clean)
	if c.Soft != nil {
		h.soft, h.softs = make([]float32, n*k), make([]float32, n*k)
		c.Soft.Download(h.soft, 0)
	}
	for r := range n {
		h.bestValue[r] = float32(math.Inf(-1))
		if l.Start != device.FromClean {
			h.ascent.Start(h.row(h.adv, r), h.row(h.clean, r), l, b.Index[r])
		}
	}
	return h
}

func (h *hostLoop) row(images []float32, r int) []float32 {
	return images[r*h.o.size:][:h.o.size]
}

// gather lays what belongs to some rows side by side.
func (h *hostLoop) gather(rows []int) (x []float32, labels []int32, soft []float32) {
	k := h.o.classes
	for i, r := range rows {
		copy(h.row(h.x, i), h.row(h.adv, r))
		h.labels[i] = h.o.b.Labels[r]
		if h.soft != nil {
			copy(h.softs[i*k:][:k], h.soft[r*k:][:k])
		}
	}
	return h.x, h.labels[:len(rows)], h.softs
}

// judge keeps the best iterates and, with early stop, lets go of the rows that succeed. It says
// which of rows go on.
func (h *hostLoop) judge(rows []int, z []float32, labels []int32, soft []float32) []bool {
	n, k := len(rows), h.o.classes
	// Values come from the logits in hand, the last iterate's too, so that all compare.
	h.c.Loss.Rows(&device.Block{Rows: n, Classes: k, Logits: z, Labels: labels, Soft: soft, Value: h.value[:n], Grad: h.grad[:n*k]})
	for i, r := range rows {
		hit := (device.Argmax(z[i*k:][:k]) == int(labels[i])) == h.l.Targeted
		if h.l.KeepBest {
			if hit && !h.found[r] || hit == h.found[r] && h.value[i] > h.bestValue[r] {
				h.found[r], h.bestValue[r] = hit, h.value[i]
				copy(h.row(h.best, r), h.row(h.adv, r))
			}
		}
		if hit && h.l.EarlyStop && h.tau[r] > 0 {
			h.tau[r]--
			hit = false // not yet
		}
		h.done[r] = hit && h.l.EarlyStop
		h.alive[i] = !h.done[r]
	}
	return h.alive[:n]
}

// finish hands over the results.
func (h *hostLoop) finish() {
	for r := range h.c.Rows {
		row := h.adv
		if h.l.KeepBest {
			row = h.best
		}
		h.l.Adv.Upload(h.row(row, r), r*h.o.size)
	}
}
