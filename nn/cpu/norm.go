package cpu

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// bindNorm prepares the kernels of batch normalisation (Ioffe and Szegedy 2015).
func (e *executable) bindNorm(i int, instr device.Instr) (scratch int) {
	in, out := instr.In, instr.Out
	split := func(channels int, piece func(f *frame, from, to int)) { e.byChannels(i, channels, piece) }
	count := func(op int) int { return e.call.Rows * op }
	switch op := instr.Op.(type) {
	case device.BatchNorm:
		e.kernels[i] = func(f *frame, r, n int) {
			scale, shift := batchNormFactors(f, in, op)
			kernel.Affine(f.at(out[0], r, n), f.at(in[0], r, n), scale, shift)
		}
		return 2 * op.Channels
	case device.BatchNormInputGrad:
		e.kernels[i] = func(f *frame, r, n int) {
			gamma, variance := f.all(in[0]), f.all(in[1])
			scale, shift := f.scratch[:op.Channels], f.scratch[op.Channels:2*op.Channels]
			clear(shift)
			for c := range scale {
				scale[c] = gamma[c] * invStd(float64(variance[c]), op.Epsilon)
			}
			kernel.Affine(f.at(out[0], r, n), f.at(in[2], r, n), scale, shift)
		}
		return 2 * op.Channels
	case device.BatchNormGammaGrad:
		split(op.Channels, func(f *frame, from, to int) {
			x, mean, variance, dy, dgamma := f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(out[0])
			s := &f.norm.sums
			*s = kernel.NormSums{}
			for i, v := range mean[from:to] {
				s.MeanB[i] = float64(v)
			}
			s.Add(dy[from:], x[from:], count(op.Positions), op.Channels, to-from)
			for c := from; c < to; c++ {
				dgamma[c] = float32(s.Dot[c-from] * float64(invStd(float64(variance[c]), op.Epsilon)))
			}
		})
	case device.BatchNormTrain:
		split(op.Channels, func(f *frame, from, to int) {
			f.normTrain(f.all(out[0]), f.all(out[1]), f.all(in[0]), f.branch(in[1:]), from, to, count(op.Positions), op)
		})
	case device.BatchNormTrainInputGrad:
		split(op.Channels, func(f *frame, from, to int) {
			f.normTrainInputGrad(f.all(out[0]), f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(in[3]), from, to, count(op.Positions), op.Channels)
		})
	case device.BatchNormTrainGammaGrad:
		split(op.Channels, func(f *frame, from, to int) {
			f.normTrainGammaGrad(f.all(out[0]), f.all(in[0]), f.all(in[1]), f.all(in[2]), from, to, count(op.Positions), op.Channels)
		})
	}
	return 0
}

func invStd(variance float64, epsilon float32) float32 {
	return float32(1 / math.Sqrt(variance+float64(epsilon)))
}

// byChannels cuts a sum over the batch into pieces of channels.
func (e *executable) byChannels(i, channels int, piece func(f *frame, from, to int)) {
	e.whole[i] = batchKernel{units: (channels + kernel.NormChannels - 1) / kernel.NormChannels, run: func(f *frame, unit int) {
		piece(f, unit*kernel.NormChannels, min((unit+1)*kernel.NormChannels, channels))
	}}
}

// normBranch is what a batch normalisation keeps by channel.
type normBranch struct{ gamma, beta, mean, variance []float32 }

func (f *frame) branch(in []int) normBranch {
	return normBranch{f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(in[3])}
}

// normTrain normalises channels [from,to) of n positions with their own statistics and moves the running
// ones.
func (f *frame) normTrain(y, stats, x []float32, b normBranch, from, to, n int, op device.BatchNormTrain) {
	cols := to - from
	sums, factors := &f.norm.sums, &f.norm.factors
	*sums = kernel.NormSums{}
	sums.Add(x[from:], x[from:], n, op.Channels, cols)
	for i := range cols {
		sums.MeanA[i] = sums.Sum[i] / float64(n)
	}
	sums.MeanB, sums.Dot = sums.MeanA, [kernel.NormChannels]float64{}
	sums.Add(x[from:], x[from:], n, op.Channels, cols)
	for i := range cols {
		c, mean, square := from+i, sums.MeanA[i], sums.Dot[i]
		inv := invStd(square/float64(n), op.Epsilon)
		stats[c], stats[op.Channels+c] = float32(mean), inv
		factors.Mean[i], factors.Scale[i], factors.Shift[i] = float32(mean), b.gamma[c]*inv, b.beta[c]
		b.mean[c] = (1-op.Momentum)*b.mean[c] + op.Momentum*float32(mean)
		b.variance[c] = (1-op.Momentum)*b.variance[c] + op.Momentum*float32(square/float64(max(n-1, 1)))
	}
	factors.Apply(y[from:], x[from:], n, op.Channels, cols)
}

func (f *frame) normTrainInputGrad(dx, x, gamma, dy, stats []float32, from, to, n, channels int) {
	s, factors := f.normSums(x, dy, stats, from, to, n, channels), &f.norm.factors
	for c := from; c < to; c++ {
		i, inv := c-from, float64(stats[channels+c])
		factors.Mean[i] = stats[c]
		factors.Shift[i] = float32(s.Sum[i] / float64(n))
		factors.Slope[i] = float32(s.Dot[i] * inv * inv / float64(n))
		factors.Scale[i] = gamma[c] * float32(inv)
	}
	factors.Gradient(dx[from:], x[from:], dy[from:], n, channels, to-from)
}

func (f *frame) normTrainGammaGrad(dgamma, x, dy, stats []float32, from, to, n, channels int) {
	s := f.normSums(x, dy, stats, from, to, n, channels)
	for c := from; c < to; c++ {
		dgamma[c] = float32(s.Dot[c-from] * float64(stats[channels+c]))
	}
}

// normState is a frame's, so that a run allocates nothing.
type normState struct {
	sums    kernel.NormSums
	factors kernel.NormFactors
}

// normSums sums dy and dy*(x-mean) over channels [from,to).
func (f *frame) normSums(x, dy, stats []float32, from, to, n, channels int) *kernel.NormSums {
	s := &f.norm.sums
	*s = kernel.NormSums{}
	for i, v := range stats[from:to] {
		s.MeanB[i] = float64(v)
	}
	s.Add(dy[from:], x[from:], n, channels, to-from)
	return s
}

// batchNormFactors makes, in scratch, a normalisation with running statistics a factor and a shift by channel.
func batchNormFactors(f *frame, in []int, op device.BatchNorm) (scale, shift []float32) {
	gamma, beta, mean, variance := f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(in[4])
	scale, shift = f.scratch[:op.Channels], f.scratch[op.Channels:2*op.Channels]
	for c := range scale {
		scale[c] = gamma[c] * invStd(float64(variance[c]), op.Epsilon)
		shift[c] = beta[c] - mean[c]*scale[c]
	}
	return scale, shift
}
