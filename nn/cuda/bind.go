package cuda

import (
	"fmt"

	"rampart/nn/device"
)

// bind prepares an instruction: how to launch it, and how many bytes of workspace that needs.
func (e *executable) bind(instr device.Instr) (s step, workspace int, err error) {
	d, in, out := e.dev, instr.In, instr.Out
	at := func(b int) value { return ptr(e.addr[b]) }
	count := func(b int) int { return e.rows * e.p.Buffers[b].Size }
	simple := func(s step, kernels ...string) (step, int, error) { return s, 0, d.need(kernels...) }
	switch op := instr.Op.(type) {
	case done:
		return simple(func() {})
	case device.Conv, convPool, device.ConvInputGrad, device.ConvWeightGrad:
		return e.bindConv(instr)
	case device.Dense, device.DenseInputGrad, device.DenseWeightGrad:
		return e.bindDense(instr)
	case device.MaxPool, device.MaxPoolGrad, device.AvgPool, device.AvgPoolGrad:
		return e.bindPool(instr)
	case device.BatchNorm, device.BatchNormInputGrad, device.BatchNormGammaGrad,
		device.BatchNormTrain, device.BatchNormTrainInputGrad, device.BatchNormTrainGammaGrad:
		return e.bindNorm(instr)
	case device.BatchNormSplit, device.BatchNormSplitInputGrad, device.BatchNormSplitGammaGrad, device.BatchNormSplitBetaGrad:
		return e.bindSplitNorm(instr)
	case device.GroupConv, device.GroupConvInputGrad, device.GroupConvWeightGrad:
		return e.bindGroupConv(instr)
	case device.GroupNorm, device.GroupNormInputGrad, device.GroupNormGammaGrad:
		return e.bindGroupNorm(instr)
	case device.Activation, device.ActivationGrad:
		return e.bindActivation(instr)
	case device.LogMeanSoftmax, device.LogMeanSoftmaxGrad:
		return e.bindLogMean(instr)
	case device.Vote:
		return e.bindVote(instr, op)
	case device.Stack:
		return simple(func() {
			for m, b := range in {
				e.takePart(at(b), ptr(e.addr[out[0]]+4*ptrInt(m*op.Classes)), op.Classes, op.Members*op.Classes, op.Classes)
			}
		}, "take_part")
	case device.StackGrad:
		return simple(func() {
			e.takePart(ptr(e.addr[in[0]]+4*ptrInt(op.Index*op.Classes)), at(out[0]), op.Members*op.Classes, op.Classes, op.Classes)
		}, "take_part")
	case device.Concat:
		return simple(func() {
			e.takeParts(at(in[0]), at(out[0]), op.A, op.A+op.B, op.A, op.Positions)
			e.takeParts(at(in[1]), ptr(e.addr[out[0]]+4*ptrInt(op.A)), op.B, op.A+op.B, op.B, op.Positions)
		}, "take_part")
	case device.Part:
		return simple(func() {
			e.takeParts(ptr(e.addr[in[0]]+4*ptrInt(op.From)), at(out[0]), op.Channels, op.Out, op.Out, op.Positions)
		}, "take_part")
	case device.BiasGrad:
		return e.bindBiasGrad(instr, op)
	case device.ApplyLoss:
		return func() { e.applyLoss(in[0], out[0], out[1], op.Classes) }, 0, d.need("loss_margin")
	case device.ReLU:
		return simple(func() { n := count(in[0]); d.launch("relu", each(n), at(in[0]), at(out[0]), i(n)) }, "relu")
	case device.ReLUGrad:
		return simple(func() {
			n := count(in[1])
			d.launch("relu_grad", each(n), at(in[0]), at(in[1]), at(out[0]), i(n))
		}, "relu_grad")
	case device.Add:
		return simple(func() { n := count(in[0]); d.launch("add", each(n), at(in[0]), at(in[1]), at(out[0]), i(n)) }, "add")
	case device.Mul:
		return simple(func() {
			n := count(in[0])
			d.launch("mul", each(n), at(in[0]), at(in[1]), at(out[0]), i(op.Size), i(op.Channels), i(n))
		}, "mul")
	case device.Scale:
		return simple(func() { n := count(in[0]); d.launch("scale", each(n), at(in[0]), at(out[0]), f(op.Factor), i(n)) }, "scale")
	case device.Normalize:
		mean, std := device.DecodeFloats(op.Mean), device.DecodeFloats(op.Std)
		return e.bindAffine(instr, mean, std)
	case device.NormalizeGrad:
		std := device.DecodeFloats(op.Std)
		return e.bindAffine(instr, make([]float32, len(std)), std)
	case device.Dropout:
		return simple(func() { e.dropout(in[0], out[0], op.Size, op.Rate, op.Layer) }, "dropout")
	case device.DropoutGrad:
		return simple(func() { e.dropout(in[0], out[0], op.Size, op.Rate, op.Layer) }, "dropout")
	}
	return nil, 0, fmt.Errorf("%T: %w", instr.Op, device.ErrNoKernel)
}

// bindAffine normalises by channel with constants.
func (e *executable) bindAffine(instr device.Instr, mean, std []float32) (step, int, error) {
	coefficients := make([]float32, 2*len(std))
	for c := range std {
		coefficients[c], coefficients[len(std)+c] = 1/std[c], -mean[c]/std[c]
	}
	constants := e.dev.New(len(coefficients))
	constants.Upload(coefficients, 0)
	e.fixed = append(e.fixed, constants)
	return func() {
		n := e.rows * e.p.Buffers[instr.In[0]].Size
		e.dev.launch("affine", each(n), ptr(e.addr[instr.In[0]]), ptr(e.addr[instr.Out[0]]), ptr(address(constants)), i(len(std)), i(n))
	}, 0, e.dev.need("affine")
}

// dropout draws the mask of device.DropoutMask, from the key that begin has uploaded.
func (e *executable) dropout(in, out, size int, rate float32, layer int) {
	n := e.rows * size
	e.dev.launch("dropout", each(n), ptr(e.addr[in]), ptr(e.addr[out]), i(size), f(rate), i(layer), ptr(e.at(e.plan.noise)), i(e.first()), i(n))
}

// columns is a grid for sums over n positions of channels, in chunks.
func columns(n, channels int) (g grid, chunk, chunks int) {
	chunk = max(256, ceil(n, 512))
	chunks = ceil(n, chunk)
	return grid{[3]int{ceil(channels, 32), chunks, 1}, 256}, chunk, chunks
}

func (e *executable) bindBiasGrad(instr device.Instr, op device.BiasGrad) (step, int, error) {
	positions := e.p.Buffers[instr.In[0]].Size / op.Channels
	return func() {
		e.biasGrad(op.Channels, e.rows*positions, ptr(e.addr[instr.In[0]]), ptr(e.addr[instr.Out[0]]))
	}, biasGradBytes(e.p.Rows*positions, op.Channels), e.dev.need("column_sums", "add_parts")
}

// biasGrad adds n positions up by channel.
func (e *executable) biasGrad(channels, n int, dy, db value) {
	g, chunk, chunks := columns(n, channels)
	parts := ptr(e.at(e.plan.workspace))
	e.dev.launch("column_sums", g, dy, parts, i(n), i(channels), i(chunk))
	e.dev.launch("add_parts", each(channels), parts, db, i(chunks), i(channels))
}

func biasGradBytes(n, channels int) int {
	_, _, most := columns(n, channels)
	return 4 * most * channels
}

func (e *executable) bindPool(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	run := func(kernel string, w device.Window, result int, buffers ...value) {
		n := e.rows * result
		p := window(w)
		params := append(append([]value{}, buffers...), p[:]...)
		d.launch(kernel, each(n), append(params, i(n))...)
	}
	at := func(b int) value { return ptr(e.addr[b]) }
	switch op := instr.Op.(type) {
	case device.MaxPool:
		p, result, stride := window(op.Window), op.OutH()*op.OutW()*op.C, 4*e.p.Buffers[out[1]].Size
		return func() {
			n := e.rows * result
			d.launch("max_pool", each(n), append([]value{at(in[0]), at(out[0]), at(out[1])}, append(p[:], i(stride), i(n))...)...)
		}, 0, d.need("max_pool")
	case device.MaxPoolGrad:
		p, result, stride := window(op.Window), op.H*op.W*op.C, 4*e.p.Buffers[in[0]].Size
		return func() {
			n := e.rows * result
			d.launch("max_pool_grad", each(n), append([]value{at(in[0]), at(in[1]), at(out[0])}, append(p[:], i(stride), i(n))...)...)
		}, 0, d.need("max_pool_grad")
	case device.AvgPool:
		return func() { run("avg_pool", op.Window, op.OutH()*op.OutW()*op.C, at(in[0]), at(out[0])) }, 0, d.need("avg_pool")
	case device.AvgPoolGrad:
		return func() { run("avg_pool_grad", op.Window, op.H*op.W*op.C, at(in[0]), at(out[0])) }, 0, d.need("avg_pool_grad")
	}
	return nil, 0, fmt.Errorf("no pooling %T", instr.Op)
}

// bindLogMean: the members' log-softmaxes go to the workspace, then they are combined.
func (e *executable) bindLogMean(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	logs := func(members, classes int) {
		for m, b := range in[:members] {
			d.launch("log_softmax", warps(e.rows), ptr(e.addr[b]), ptr(e.at(e.plan.workspace)+4*ptrInt(m*e.rows*classes)), i(classes), i(e.rows))
		}
	}
	switch op := instr.Op.(type) {
	case device.LogMeanSoftmax:
		return func() {
			logs(op.Members, op.Classes)
			n := e.rows * op.Classes
			d.launch("log_mean", each(n), ptr(e.at(e.plan.workspace)), ptr(e.addr[out[0]]), i(op.Members), i(n))
		}, 4 * op.Members * op.Classes * e.p.Rows, d.need("log_mean")
	case device.LogMeanSoftmaxGrad:
		return func() {
			logs(op.Members, op.Classes)
			d.launch("log_mean_grad", warps(e.rows), ptr(e.at(e.plan.workspace)), ptr(e.addr[in[op.Members]]), ptr(e.addr[out[0]]),
				i(op.Members), i(op.Index), i(op.Classes), i(e.rows))
		}, 4 * op.Members * op.Classes * e.p.Rows, d.need("log_mean_grad")
	}
	return nil, 0, fmt.Errorf("no softmax %T", instr.Op)
}
