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
	positions, channels := 0, 0 // of one row
	var run step
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
		run = func() {
			n := e.rows * positions
			_, _, chunks := columns(n, channels)
			stats := ptr(e.normSpace(chunks, channels).stats)
			d.launch("norm_running", each(channels), at(in[1]), at(in[2]), stats, f(op.Epsilon), i(channels))
			e.normGammaGrad(channels, n, at(in[0]), at(in[3]), stats, at(out[0]))
		}
	case device.BatchNormTrain:
		positions, channels = op.Positions, op.Channels
		run = func() {
			e.normTrain(op, e.rows*positions, e.total()*positions, at(in[0]), at(in[1]), at(in[2]), at(in[3]), at(in[4]), at(out[0]), at(out[1]))
		}
	case device.BatchNormTrainInputGrad:
		positions, channels = op.Positions, op.Channels
		run = func() {
			e.normInputGrad(channels, e.rows*positions, e.total()*positions, at(in[0]), at(in[1]), at(in[2]), at(in[3]), at(out[0]))
		}
	case device.BatchNormTrainGammaGrad:
		positions, channels = op.Positions, op.Channels
		run = func() { e.normGammaGrad(channels, e.rows*positions, at(in[0]), at(in[1]), at(in[2]), at(out[0])) }
	default:
		return nil, 0, fmt.Errorf("no normalisation %T", instr.Op)
	}
	return run, e.normBytes(positions, channels), d.need("norm_moments", "norm_raw_sums")
}

// normBytes is the workspace of a batch normalisation for a program's rows.
func (e *executable) normBytes(positions, channels int) int {
	_, _, most := columns(e.p.Rows*positions, channels)
	return (16*(most+1)+16+8)*channels + 64
}

// normTrain normalises n positions with the statistics of all positions, those of other devices too, which
// it leaves in stats.
func (e *executable) normTrain(op device.BatchNormTrain, n, all int, x, gamma, beta, mean, variance, y, stats value) {
	d, channels := e.dev, op.Channels
	g, chunk, chunks := columns(n, channels)
	s := e.normSpace(chunks, channels)
	d.launch("norm_moments", g, x, ptr(s.parts), i(n), i(channels), i(chunk))
	if e.share != nil {
		e.statsOfAll(op, s, n, all, x, stats, mean, variance, chunks)
	} else {
		d.launch("norm_stats", each(channels), x, ptr(s.parts), i(chunks), i(n), i(channels), f(op.Epsilon), f(op.Momentum), stats, mean, variance)
	}
	d.launch("norm_train", each(n*channels), x, gamma, beta, stats, y, i(channels), i(n*channels))
}

// normInputGrad is the gradient of normTrain in x.
func (e *executable) normInputGrad(channels, n, all int, x, gamma, dy, stats, dx value) {
	d := e.dev
	s, chunks := e.normGradSums(channels, n, x, dy, stats)
	d.launch("norm_add_sums", each(channels), ptr(s.parts), i(chunks), i(channels), ptr(s.sums))
	if e.share != nil {
		d.allReduce(s.sums, 2*channels, nccl.Float64)
	}
	d.launch("norm_input_grad", each(n*channels), x, gamma, dy, stats, ptr(s.sums), dx, i(all), i(channels), i(n*channels))
}

func (e *executable) normGammaGrad(channels, n int, x, dy, stats, dgamma value) {
	s, chunks := e.normGradSums(channels, n, x, dy, stats)
	e.dev.launch("norm_gamma_grad", each(channels), ptr(s.parts), i(chunks), i(channels), dgamma)
}

// normGradSums leaves chunks of the sums that both gradients take.
func (e *executable) normGradSums(channels, n int, x, dy, stats value) (s normSpace, chunks int) {
	g, chunk, chunks := columns(n, channels)
	s = e.normSpace(chunks, channels)
	e.dev.launch("norm_grad_sums", g, x, dy, stats, ptr(s.parts), i(n), i(channels), i(chunk))
	return s, chunks
}

// affineNorm normalises with running statistics, or multiplies a gradient by the same scales.
func (e *executable) affineNorm(gamma, beta, mean, variance value, epsilon float32, channels, in, out int) {
	coefficients := ptr(e.at(e.plan.workspace))
	e.dev.launch("norm_coefficients", each(channels), gamma, beta, mean, variance, coefficients, f(epsilon), i(channels))
	n := e.rows * e.p.Buffers[in].Size
	e.dev.launch("affine", each(n), ptr(e.addr[in]), ptr(e.addr[out]), coefficients, i(channels), i(n))
}
