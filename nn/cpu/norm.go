package cpu

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// normChannels is how many channels one worker takes in the sums of batch normalisation.
const normChannels = 16

// bindNorm prepares the kernels of batch normalisation (Ioffe and Szegedy 2015).
func (e *executable) bindNorm(i int, instr device.Instr) (scratch int) {
	in, out := instr.In, instr.Out
	split := func(channels int, piece func(f *frame, from, to int)) {
		e.whole[i] = batchKernel{units: (channels + normChannels - 1) / normChannels, run: func(f *frame, unit int) {
			piece(f, unit*normChannels, min((unit+1)*normChannels, channels))
		}}
	}
	count := func(op int) int { return e.call.Rows * op }
	switch op := instr.Op.(type) {
	case device.BatchNorm:
		e.kernels[i] = func(f *frame, r, n int) {
			gamma, beta, mean, variance := f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(in[4])
			scale, shift := f.scratch[:op.Channels], f.scratch[op.Channels:2*op.Channels]
			for c := range scale {
				scale[c] = gamma[c] * invStd(float64(variance[c]), op.Epsilon)
				shift[c] = beta[c] - mean[c]*scale[c]
			}
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
			for c := from; c < to; c++ {
				sum := 0.0
				for p := c; p < count(op.Positions)*op.Channels; p += op.Channels {
					sum += float64(dy[p]) * float64(x[p]-mean[c])
				}
				dgamma[c] = float32(sum * float64(invStd(float64(variance[c]), op.Epsilon)))
			}
		})
	case device.BatchNormTrain:
		split(op.Channels, func(f *frame, from, to int) {
			for c := from; c < to; c++ {
				normTrain(f, in, out, c, count(op.Positions), op)
			}
		})
	case device.BatchNormTrainInputGrad:
		split(op.Channels, func(f *frame, from, to int) {
			x, gamma, dy, stats, dx := f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(out[0])
			for c := from; c < to; c++ {
				n := count(op.Positions)
				sum, dot := normSums(x, dy, stats[c], stats[op.Channels+c], c, n, op.Channels)
				mean, inv := float64(stats[c]), float64(stats[op.Channels+c])
				for p := c; p < n*op.Channels; p += op.Channels {
					hat := (float64(x[p]) - mean) * inv
					dx[p] = float32(float64(gamma[c]) * inv * (float64(dy[p]) - (sum+hat*dot)/float64(n)))
				}
			}
		})
	case device.BatchNormTrainGammaGrad:
		split(op.Channels, func(f *frame, from, to int) {
			x, dy, stats, dgamma := f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(out[0])
			for c := from; c < to; c++ {
				_, dot := normSums(x, dy, stats[c], stats[op.Channels+c], c, count(op.Positions), op.Channels)
				dgamma[c] = float32(dot)
			}
		})
	}
	return 0
}

func invStd(variance float64, epsilon float32) float32 {
	return float32(1 / math.Sqrt(variance+float64(epsilon)))
}

// normTrain normalises one channel with its own statistics and moves the running ones.
func normTrain(f *frame, in, out []int, c, n int, op device.BatchNormTrain) {
	x, y, stats := f.all(in[0]), f.all(out[0]), f.all(out[1])
	gamma, beta, running, runningVar := f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(in[4])
	sum := 0.0
	for p := c; p < n*op.Channels; p += op.Channels {
		sum += float64(x[p])
	}
	mean := sum / float64(n)
	squares := 0.0
	for p := c; p < n*op.Channels; p += op.Channels {
		d := float64(x[p]) - mean
		squares += d * d
	}
	inv := invStd(squares/float64(n), op.Epsilon)
	stats[c], stats[op.Channels+c] = float32(mean), inv
	for p := c; p < n*op.Channels; p += op.Channels {
		y[p] = float32((float64(x[p])-mean)*float64(inv))*gamma[c] + beta[c]
	}
	running[c] = (1-op.Momentum)*running[c] + op.Momentum*float32(mean)
	runningVar[c] = (1-op.Momentum)*runningVar[c] + op.Momentum*float32(squares/float64(max(n-1, 1)))
}

// normSums returns the sum of dy and of dy times the normalised x, over one channel.
func normSums(x, dy []float32, mean, inv float32, c, n, channels int) (sum, dot float64) {
	for p := c; p < n*channels; p += channels {
		sum += float64(dy[p])
		dot += float64(dy[p]) * (float64(x[p]) - float64(mean)) * float64(inv)
	}
	return sum, dot
}
