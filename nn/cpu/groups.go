package cpu

import (
	"rampart/nn/device"
	"rampart/nn/kernel"
)

// bindGroupConv prepares convolutions in groups.
func (e *executable) bindGroupConv(i int, instr device.Instr) (scratch int) {
	in, out := instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.GroupConv:
		k := kernel.GroupConv(op)
		e.kernels[i] = func(f *frame, r, n int) {
			k.Forward(f.at(out[0], r, n), f.at(in[0], r, n), f.all(in[1]), bias(f, in))
		}
	case device.GroupConvInputGrad:
		k := kernel.GroupConv(op)
		e.kernels[i] = func(f *frame, r, n int) { k.InputGrad(f.at(out[0], r, n), f.at(in[1], r, n), f.all(in[0])) }
	case device.GroupConvWeightGrad:
		k := kernel.GroupConv(op)
		e.whole[i] = batchKernel{units: op.KH * op.KW, run: func(f *frame, tap int) {
			k.WeightGrad(tap, f.all(out[0]), f.all(in[0]), f.all(in[1]), e.call.Rows, f.scratch)
		}}
		return op.C / op.Groups * op.Out
	}
	return 0
}

// bias is a convolution's third input, nil where it has none.
func bias(f *frame, in []int) []float32 {
	if len(in) < 3 {
		return nil
	}
	return f.all(in[2])
}

// bindGroupNorm prepares normalisations by an example's own statistics.
func (e *executable) bindGroupNorm(i int, instr device.Instr) {
	in, out := instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.GroupNorm:
		k := kernel.GroupNorm{GroupNorm: op}
		e.kernels[i] = func(f *frame, r, n int) {
			k.Forward(f.at(out[0], r, n), f.at(in[0], r, n), f.all(in[1]), f.all(in[2]))
		}
	case device.GroupNormInputGrad:
		k := kernel.GroupNorm{GroupNorm: device.GroupNorm(op)}
		e.kernels[i] = func(f *frame, r, n int) {
			k.InputGrad(f.at(out[0], r, n), f.at(in[0], r, n), f.all(in[1]), f.at(in[2], r, n))
		}
	case device.GroupNormGammaGrad:
		k, width := kernel.GroupNorm{GroupNorm: device.GroupNorm(op)}, op.Channels/op.Groups
		all := make([]float64, op.Channels)
		e.whole[i] = batchKernel{units: op.Groups, run: func(f *frame, group int) {
			n := e.call.Rows * e.p.Buffers[in[0]].Size
			sums := all[group*width:][:width]
			clear(sums)
			k.GammaGrad(group, sums, f.all(in[0])[:n], f.all(in[1])[:n])
			for c, sum := range sums {
				f.all(out[0])[group*width+c] = float32(sum)
			}
		}}
	}
}
