package cuda

import (
	"slices"

	"rampart/nn/device"
)

// convPool is a convolution with the maximum pooling of 2x2 that alone reads it: x, w, b -> y, index. What lies
// between is not kept, and positions that no window covers are not computed.
type convPool struct{ device.Conv }

// done stands where an instruction was that an earlier one does as well: the others keep their numbers.
type done struct{}

// Rowwise implements device.Op.
func (done) Rowwise() bool { return true }

// halves reports whether a window is the common one: 2x2 elements, side by side.
func halves(w device.Window) bool {
	return w.KH == 2 && w.KW == 2 && w.Stride == 2 && w.PadTop|w.PadLeft|w.PadBottom|w.PadRight == 0
}

// fuse is a program whose convolutions pool where they can.
func fuse(p *device.Program) *device.Program {
	readers := make([][]int, len(p.Buffers))
	for i, in := range p.Instrs {
		for _, b := range in.In {
			readers[b] = append(readers[b], i)
		}
	}
	q := *p
	q.Instrs = slices.Clone(p.Instrs)
	for i, in := range q.Instrs {
		conv, ok := in.Op.(device.Conv)
		if !ok || len(readers[in.Out[0]]) != 1 || slices.Contains([]int{p.Logits, p.Seed, p.Value, p.InputGrad}, in.Out[0]) {
			continue
		}
		at := readers[in.Out[0]][0]
		if pool, ok := q.Instrs[at].Op.(device.MaxPool); ok && halves(pool.Window) {
			q.Instrs[i] = device.Instr{Op: convPool{conv}, In: in.In, Out: q.Instrs[at].Out}
			q.Instrs[at] = device.Instr{Op: done{}}
		}
	}
	return &q
}
