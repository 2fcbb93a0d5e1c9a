package cpu

import (
	"fmt"
	"unsafe"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// bind prepares instruction i and returns the scratch that it needs.
func (e *executable) bind(i int, instr device.Instr) (scratch int, err error) {
	in, out := instr.In, instr.Out
	row := func(k rowKernel) { e.kernels[i] = k }
	switch op := instr.Op.(type) {
	case device.Conv, device.ConvInputGrad, device.ConvWeightGrad:
		return e.bindConv(i, instr), nil
	case device.Dense, device.DenseInputGrad, device.DenseWeightGrad:
		return e.bindDense(i, instr), nil
	case device.BatchNorm, device.BatchNormInputGrad, device.BatchNormGammaGrad,
		device.BatchNormTrain, device.BatchNormTrainInputGrad, device.BatchNormTrainGammaGrad:
		return e.bindNorm(i, instr), nil
	case device.BatchNormSplit, device.BatchNormSplitInputGrad, device.BatchNormSplitGammaGrad, device.BatchNormSplitBetaGrad:
		e.bindSplitNorm(i, instr)
	case device.GroupConv, device.GroupConvInputGrad, device.GroupConvWeightGrad:
		return e.bindGroupConv(i, instr), nil
	case device.GroupNorm, device.GroupNormInputGrad, device.GroupNormGammaGrad:
		e.bindGroupNorm(i, instr)
	case device.BiasGrad:
		e.whole[i] = batchKernel{units: 1, run: func(f *frame, _ int) {
			n := e.call.Rows * e.p.Buffers[in[0]].Size
			kernel.BiasGrad(f.all(out[0]), f.all(in[0])[:n], n/op.Channels, op.Channels)
		}}
	case device.MaxPool:
		row(func(f *frame, r, n int) {
			kernel.MaxPool(op.Window, f.at(out[0], r, n), bytes(f.at(out[1], r, n)), f.at(in[0], r, n))
		})
	case device.MaxPoolGrad:
		row(func(f *frame, r, n int) {
			kernel.MaxPoolGrad(op.Window, f.at(out[0], r, n), f.at(in[1], r, n), bytes(f.at(in[0], r, n)))
		})
	case device.AvgPool:
		row(func(f *frame, r, n int) { kernel.AvgPool(op.Window, f.at(out[0], r, n), f.at(in[0], r, n)) })
	case device.AvgPoolGrad:
		row(func(f *frame, r, n int) { kernel.AvgPoolGrad(op.Window, f.at(out[0], r, n), f.at(in[0], r, n)) })
	case device.ReLU:
		row(func(f *frame, r, n int) { kernel.ReLU(f.at(out[0], r, n), f.at(in[0], r, n)) })
	case device.ReLUGrad:
		row(func(f *frame, r, n int) { kernel.ReLUGrad(f.at(out[0], r, n), f.at(in[0], r, n), f.at(in[1], r, n)) })
	case device.Activation:
		row(func(f *frame, r, n int) {
			kernel.Activation(op.Func, op.Slope, f.at(out[0], r, n), f.at(in[0], r, n))
		})
	case device.ActivationGrad:
		row(func(f *frame, r, n int) {
			kernel.ActivationGrad(op.Func, op.Slope, f.at(out[0], r, n), f.at(in[0], r, n), f.at(in[1], r, n))
		})
	case device.Normalize:
		scale, shift := normalization(op)
		row(func(f *frame, r, n int) { kernel.Affine(f.at(out[0], r, n), f.at(in[0], r, n), scale, shift) })
	case device.NormalizeGrad:
		std := device.DecodeFloats(op.Std)
		scale, shift := make([]float32, len(std)), make([]float32, len(std))
		for c := range std {
			scale[c] = 1 / std[c]
		}
		row(func(f *frame, r, n int) { kernel.Affine(f.at(out[0], r, n), f.at(in[0], r, n), scale, shift) })
	case device.Add:
		row(func(f *frame, r, n int) { kernel.Add(f.at(out[0], r, n), f.at(in[0], r, n), f.at(in[1], r, n)) })
	case device.Mul:
		row(func(f *frame, r, n int) {
			kernel.Mul(f.at(out[0], r, n), f.at(in[0], r, n), f.at(in[1], r, n), op.Size, op.Channels)
		})
	case device.Scale:
		row(func(f *frame, r, n int) { kernel.Scale(f.at(out[0], r, n), f.at(in[0], r, n), op.Factor) })
	case device.Dropout:
		row(func(f *frame, r, n int) { dropout(f, out[0], in[0], r, n, op.Rate, op.Layer) })
	case device.DropoutGrad:
		row(func(f *frame, r, n int) { dropout(f, out[0], in[0], r, n, op.Rate, op.Layer) })
	case device.LogMeanSoftmax:
		row(func(f *frame, r, n int) { logMeanSoftmax(f, in, out[0], 0, n, op.Classes) })
		return op.Members * op.Classes, nil
	case device.LogMeanSoftmaxGrad:
		row(func(f *frame, r, n int) { logMeanSoftmaxGrad(f, in, out[0], n, op) })
	case device.Vote:
		row(func(f *frame, r, n int) { vote(f, in, out[0], n) })
		return op.Members * op.Classes, nil
	case device.Stack:
		row(func(f *frame, r, n int) { stack(f, in, out[0], n, op.Classes) })
	case device.StackGrad:
		row(func(f *frame, r, n int) { stackGrad(f, in[0], out[0], n, op) })
	case device.Concat:
		row(func(f *frame, r, n int) {
			y := f.at(out[0], r, n)
			put(y, f.at(in[0], r, n), op.A+op.B, op.A)
			put(y[op.A:], f.at(in[1], r, n), op.A+op.B, op.B)
		})
	case device.Part:
		row(func(f *frame, r, n int) { take(f.at(out[0], r, n), f.at(in[0], r, n)[op.From:], op.Channels, op.Out) })
	case device.ApplyLoss:
		if op.Batch {
			e.whole[i] = batchKernel{units: 1, run: func(f *frame, _ int) {
				e.share(f, e.call.Rows)
				applyLoss(f, in[0], out[0], out[1], e.call.Rows, op.Classes)
			}}
			break
		}
		row(func(f *frame, r, n int) { applyLoss(f, in[0], out[0], out[1], n, op.Classes) })
	case *head:
		return op.bind(e, i), nil
	default:
		return 0, fmt.Errorf("no kernel for %T", op)
	}
	return 0, nil
}

// normalization is Normalize as a factor and a shift by channel.
func normalization(op device.Normalize) (scale, shift []float32) {
	mean, std := device.DecodeFloats(op.Mean), device.DecodeFloats(op.Std)
	scale, shift = make([]float32, len(std)), make([]float32, len(std))
	for c := range std {
		scale[c], shift[c] = 1/std[c], -mean[c]/std[c]
	}
	return scale, shift
}

// bytes views a buffer of indices.
func bytes(v []float32) []uint8 {
	return unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}

func (e *executable) bindConv(i int, instr device.Instr) (scratch int) {
	in, out := instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Conv:
		k := kernel.Conv{Window: op.Window, Out: op.Out}
		relu := op.ReLU
		op.ReLU = false // the packed weights are the same with it and without
		w := e.packed(e.p.Buffers[in[1]].Param, op, k.PackedForward(), k.PackForward)
		e.kernels[i] = func(f *frame, r, n int) {
			k.Forward(f.at(out[0], r, n), f.at(in[0], r, n), w.data, bias(f, in), n, relu, f.scratch)
		}
		return k.Scratch()
	case device.ConvInputGrad:
		k := kernel.Conv{Window: op.Window, Out: op.Out}
		w := e.packed(e.p.Buffers[in[0]].Param, op, k.PackedInputGrad(), k.PackInputGrad)
		e.kernels[i] = func(f *frame, r, n int) {
			k.InputGrad(f.at(out[0], r, n), f.at(in[1], r, n), w.data, n, f.scratch)
		}
		return k.Scratch()
	case device.ConvWeightGrad:
		k := kernel.Conv{Window: op.Window, Out: op.Out}
		e.whole[i] = batchKernel{units: k.WeightGradUnits(), shared: k.WeightGradShared(e.p.Rows), run: func(f *frame, unit int) {
			k.WeightGrad(unit, f.all(out[0]), f.all(in[0]), f.all(in[1]), e.call.Rows, f.shared(i), f.scratch)
		}, blocks: k.WeightGradBlocks, prepare: func(f *frame, block int) {
			k.PrepareWeightGrad(block, f.all(in[0]), f.all(in[1]), e.call.Rows, f.shared(i), f.scratch)
		}}
		return k.Scratch()
	}
	return 0
}

func (e *executable) bindDense(i int, instr device.Instr) (scratch int) {
	in, out := instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Dense:
		k := kernel.Dense{In: op.In, Out: op.Out}
		relu := op.ReLU
		op.ReLU = false // the packed weights are the same with it and without
		w := e.packed(e.p.Buffers[in[1]].Param, op, k.PackedForward(), k.PackForward)
		e.kernels[i] = func(f *frame, r, n int) {
			k.Forward(f.at(out[0], r, n), f.at(in[0], r, n), w.data, f.all(in[2]), n, relu, f.scratch)
		}
		return k.ListScratch(maxTile)
	case device.DenseInputGrad:
		k := kernel.Dense{In: op.In, Out: op.Out}
		w := e.packed(e.p.Buffers[in[0]].Param, op, k.PackedInputGrad(), k.PackInputGrad)
		e.kernels[i] = func(f *frame, r, n int) {
			k.InputGrad(f.at(out[0], r, n), f.at(in[1], r, n), w.data, n, f.scratch)
		}
		return k.ListScratch(maxTile)
	case device.DenseWeightGrad:
		k := kernel.Dense{In: op.In, Out: op.Out}
		e.whole[i] = batchKernel{units: k.WeightGradUnits(), shared: k.WeightGradShared(e.p.Rows), run: func(f *frame, unit int) {
			k.WeightGrad(unit, f.all(out[0]), f.all(in[0]), e.call.Rows, f.shared(i), f.scratch)
		}, blocks: k.WeightGradBlocks, prepare: func(f *frame, block int) {
			k.PrepareWeightGrad(block, f.all(in[1]), e.call.Rows, f.shared(i))
		}}
		return k.Scratch(e.p.Rows)
	}
	return 0
}
