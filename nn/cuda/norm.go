package cuda

import (
	"fmt"

	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
	"rampart/nn/device"
)

// normSpace is the workspace of a batch normalisation: chunks of two sums in double precision, their
// totals, and two values for each channel.
type normSpace struct{ parts, sums, stats driver.Pointer }

func (e *executable) normSpace(chunks, channels int) normSpace {
	at := e.at(e.plan.workspace)
	s := normSpace{parts: at, sums: at + ptrInt(16*chunks*channels)}
	s.stats = s.sums + ptrInt(16*channels)
	return s
}

// bindNorm prepares the kernels of batch normalisation.
func (e *executable) bindNorm(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	at := func(b int) value { return ptr(e.addr[b]) }
	var positions, channels int // of one row
	switch op := instr.Op.(type) {
	case device.BatchNorm:
		return func() {
			e.affineNorm(at(in[1]), at(in[2]), at(in[3]), at(in[4]), op.Epsilon, op.Channels, in[0], out[0])
		}, 8 * op.Channels, d.need("norm_coefficients", "affine")
	case device.BatchNormInputGrad:
		return func() {
			e.affineNorm(at(in[0]), ptr(0), ptr(0), at(in[1]), op.Epsilon, op.Channels, in[2], out[0])
		}, 8 * op.Channels, d.need("norm_coefficients", "affine")
	case device.BatchNormGammaGrad:
		positions, channels = op.Positions, op.Channels
	case device.BatchNormTrain:
		positions, channels = op.Positions, op.Channels
	case device.BatchNormTrainInputGrad:
		positions, channels = op.Positions, op.Channels
	case device.BatchNormTrainGammaGrad:
		positions, channels = op.Positions, op.Channels
	default:
		return nil, 0, fmt.Errorf("no normalisation %T", instr.Op)
	}
	_, _, most := columns(e.p.Rows*positions, channels)
	return func() {
		n := e.rows * positions
		g, chunk, chunks := columns(n, channels)
		s := e.normSpace(chunks, channels)
		parts := ptr(s.parts)
		gradSums := func(x, dy, stats value) {
			d.launch("norm_grad_sums", g, x, dy, stats, parts, i(n), i(channels), i(chunk))
		}
		gammaGrad := func() { d.launch("norm_gamma_grad", each(channels), parts, i(chunks), i(channels), at(out[0])) }
		switch op := instr.Op.(type) {
		case device.BatchNormGammaGrad:
			d.launch("norm_running", each(channels), at(in[1]), at(in[2]), ptr(s.stats), f(op.Epsilon), i(channels))
			gradSums(at(in[0]), at(in[3]), ptr(s.stats))
			gammaGrad()
		case device.BatchNormTrain:
			d.launch("norm_moments", g, at(in[0]), parts, i(n), i(channels), i(chunk))
			if e.share != nil {
				e.statsOfAll(op, s, at(in[0]), at(out[1]), at(in[3]), at(in[4]), chunks)
			} else {
				d.launch("norm_stats", each(channels), at(in[0]), parts, i(chunks), i(n), i(channels), f(op.Epsilon), f(op.Momentum),
					at(out[1]), at(in[3]), at(in[4]))
			}
			d.launch("norm_train", each(n*channels), at(in[0]), at(in[1]), at(in[2]), at(out[1]), at(out[0]), i(channels), i(n*channels))
		case device.BatchNormTrainInputGrad:
			gradSums(at(in[0]), at(in[2]), at(in[3]))
			d.launch("norm_add_sums", each(channels), parts, i(chunks), i(channels), ptr(s.sums))
			all := n
			if e.share != nil {
				d.allReduce(s.sums, 2*channels, nccl.Float64)
				all = e.share.all * positions
			}
			d.launch("norm_input_grad", each(n*channels), at(in[0]), at(in[1]), at(in[2]), at(in[3]), ptr(s.sums), at(out[0]),
				i(all), i(channels), i(n*channels))
		case device.BatchNormTrainGammaGrad:
			gradSums(at(in[0]), at(in[1]), at(in[2]))
			gammaGrad()
		}
	}, (16*(most+1)+16+8)*channels + 64, d.need("norm_moments", "norm_raw_sums")
}

// affineNorm normalises with running statistics, or multiplies a gradient by the same scales.
func (e *executable) affineNorm(gamma, beta, mean, variance value, epsilon float32, channels, in, out int) {
	coefficients := ptr(e.at(e.plan.workspace))
	e.dev.launch("norm_coefficients", each(channels), gamma, beta, mean, variance, coefficients, f(epsilon), i(channels))
	n := e.rows * e.p.Buffers[in].Size
	e.dev.launch("affine", each(n), ptr(e.addr[in]), ptr(e.addr[out]), coefficients, i(channels), i(n))
}
