package nn

import (
	"math"

	"rampart/nn/device"
)

// recompute trades time for memory (activation recomputation, Chen et al. 2016, section 4): the forward pass
// is cut into segments, and what one leaves inside for the backward pass is forgotten and computed
// anew, by copies of its instructions, right before the backward pass of that segment. What crosses a border
// is kept. The last segment, whose backward pass follows at once, is not computed twice.
//
// The copies see the same inputs and so give the same bits: a dropout's mask depends on the call and the
// layer, and a batch normalisation's copy does not move running statistics again.
func recompute(p *device.Program, segments int) {
	r := newRecomputation(p)
	if segments < 2 || r.loss < 1 {
		return
	}
	hoist(p) // or gradients of weights would hold all values until the end
	r = newRecomputation(p)
	from := 0
	for _, to := range r.cuts(segments) {
		r.segment(from, to)
		from = to
	}
	r.apply()
}

// recomputation knows a program's forward pass, instructions [0,loss).
type recomputation struct {
	p         *device.Program
	loss      int
	producers []int
	// last is the last instruction of the forward pass, loss included, that reads a buffer, and behind the
	// first after it; -1 for none.
	last, behind []int
	copies       [][]device.Instr // by the instruction before which they stand
	renamed      map[int]int      // buffers that the backward pass reads copies of
}

func newRecomputation(p *device.Program) *recomputation {
	r := &recomputation{p: p, loss: -1, producers: producers(p), renamed: map[int]int{}, copies: make([][]device.Instr, len(p.Instrs)),
		last: make([]int, len(p.Buffers)), behind: make([]int, len(p.Buffers))}
	for b := range p.Buffers {
		r.last[b], r.behind[b] = -1, -1
	}
	for i, in := range p.Instrs {
		for _, b := range in.In {
			if r.loss < 0 {
				r.last[b] = i
			} else if r.behind[b] < 0 {
				r.behind[b] = i
			}
		}
		if _, ok := in.Op.(device.ApplyLoss); ok {
			r.loss = i
		}
	}
	return r
}

// cuts places the borders between segments: near even shares of the values that the backward pass reads,
// and where few values cross.
func (r *recomputation) cuts(segments int) (cuts []int) {
	kept, crossing := make([]float64, r.loss+1), make([]float64, r.loss+1) // before each instruction
	for i, in := range r.p.Instrs[:r.loss] {
		kept[i+1] += kept[i]
		for _, b := range in.Out {
			if r.p.Buffers[b].Kind != device.Row {
				continue
			}
			size := float64(r.p.Buffers[b].Size)
			if r.behind[b] >= 0 {
				kept[i+1] += size
			}
			for at := i + 1; at <= r.last[b]; at++ {
				crossing[at] += size
			}
		}
	}
	next := 1
	for s := 1; s < segments; s++ {
		target, best, cost := kept[r.loss]*float64(s)/float64(segments), -1, math.Inf(1)
		for at := next; at < r.loss; at++ {
			if c := math.Abs(kept[at]-target) + crossing[at]; c < cost {
				best, cost = at, c
			}
		}
		if best < 0 {
			break // fewer instructions than segments
		}
		cuts, next = append(cuts, best), best+1
	}
	return cuts
}

// segment copies what instructions [from,to) must compute again.
func (r *recomputation) segment(from, to int) {
	inside := func(b int) bool {
		return r.p.Buffers[b].Kind == device.Row && r.producers[b] >= from && r.producers[b] < to && r.last[b] < to && b != r.p.Logits
	}
	first := len(r.p.Instrs) // of the backward pass that reads what is forgotten
	own := map[int]int{}
	need := func(b int) {
		if _, ok := own[b]; !ok {
			r.p.Buffers = append(r.p.Buffers, r.p.Buffers[b])
			own[b] = len(r.p.Buffers) - 1
		}
	}
	for _, in := range r.p.Instrs[from:to] {
		for _, b := range in.Out {
			if inside(b) && r.behind[b] >= 0 {
				need(b)
				r.renamed[b] = own[b]
				first = min(first, r.behind[b])
			}
		}
	}
	var list []device.Instr // the last first
	for i := to - 1; i >= from; i-- {
		in, wanted := r.p.Instrs[i], false
		for _, b := range in.Out {
			_, ok := own[b]
			wanted = wanted || ok
		}
		if !wanted {
			continue
		}
		c := device.Instr{Op: again(in.Op)}
		for _, b := range in.In {
			if inside(b) {
				need(b)
				b = own[b]
			}
			c.In = append(c.In, b)
		}
		for _, b := range in.Out {
			need(b)
			c.Out = append(c.Out, own[b])
		}
		list = append(list, c)
	}
	for i := len(list) - 1; i >= 0; i-- {
		r.copies[first] = append(r.copies[first], list[i])
	}
}

// again is an op without its effects on anything but its outputs.
func again(o device.Op) device.Op {
	switch norm := o.(type) {
	case device.BatchNormTrain:
		norm.Momentum = 0
		return norm
	case device.BatchNormSplit:
		norm.Momentum = 0
		return norm
	}
	return o
}

// apply puts the copies in their places.
func (r *recomputation) apply() {
	var list []device.Instr
	for i, in := range r.p.Instrs {
		list = append(list, r.copies[i]...)
		if i > r.loss {
			own := in.In
			in.In = nil
			for _, b := range own {
				if copied, ok := r.renamed[b]; ok {
					b = copied
				}
				in.In = append(in.In, b)
			}
		}
		list = append(list, in)
	}
	r.p.Instrs = list
}
