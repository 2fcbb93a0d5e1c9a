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
			mean, variance, dgamma := f.all(in[1]), f.all(in[2]), f.all(out[0])
			var inverse [normChannels]float32
			for c := from; c < to; c++ {
				inverse[c-from] = invStd(float64(variance[c]), op.Epsilon)
			}
			b := columns{from, to, op.Channels, count(op.Positions)}
			_, dot := b.gradSums(f.all(in[0]), f.all(in[3]), mean[from:to], inverse[:to-from])
			for c := from; c < to; c++ {
				dgamma[c] = float32(dot[c-from])
			}
		})
	case device.BatchNormTrain:
		split(op.Channels, func(f *frame, from, to int) {
			normTrain(f, in, out, columns{from, to, op.Channels, count(op.Positions)}, op)
		})
	case device.BatchNormTrainInputGrad:
		split(op.Channels, func(f *frame, from, to int) {
			x, gamma, dy, stats, dx := f.all(in[0]), f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(out[0])
			b := columns{from, to, op.Channels, count(op.Positions)}
			mean, inverse := stats[from:to], stats[op.Channels+from:op.Channels+to]
			sum, dot := b.gradSums(x, dy, mean, inverse)
			// dx = a*dy + k*(x-mean) + shift
			var a, k, shift [normChannels]float32
			for i, inv := range inverse {
				scale := float64(gamma[from+i]) * float64(inv)
				a[i], shift[i] = float32(scale), float32(-scale*sum[i]/float64(b.n))
				k[i] = float32(-scale * float64(inv) * dot[i] / float64(b.n))
			}
			for p := range b.n {
				x, dy, dx := b.row(x, p), b.row(dy, p), b.row(dx, p)
				x, dx = x[:len(dy)], dx[:len(dy)]
				for i, d := range dy[:min(len(dy), normChannels)] {
					dx[i] = float32(a[i]*d) + float32(k[i]*(x[i]-mean[i])) + shift[i]
				}
			}
		})
	case device.BatchNormTrainGammaGrad:
		split(op.Channels, func(f *frame, from, to int) {
			stats, dgamma := f.all(in[2]), f.all(out[0])
			b := columns{from, to, op.Channels, count(op.Positions)}
			_, dot := b.gradSums(f.all(in[0]), f.all(in[1]), stats[from:to], stats[op.Channels+from:op.Channels+to])
			for c := from; c < to; c++ {
				dgamma[c] = float32(dot[c-from])
			}
		})
	}
	return 0
}

func invStd(variance float64, epsilon float32) float32 {
	return float32(1 / math.Sqrt(variance+float64(epsilon)))
}

// columns are the channels from..to, at most normChannels, of n positions with stride channels each.
// They are taken position by position, since a position's channels lie on one line of the cache.
type columns struct{ from, to, stride, n int }

func (b columns) row(x []float32, p int) []float32 { return x[p*b.stride+b.from : p*b.stride+b.to] }

// normTrain normalises channels with their own statistics and moves the running ones. One pass in
// double precision gives both moments: the product of two float32 is exact there.
func normTrain(f *frame, in, out []int, b columns, op device.BatchNormTrain) {
	x, y, stats := f.all(in[0]), f.all(out[0]), f.all(out[1])
	gamma, beta, running, runningVar := f.all(in[1]), f.all(in[2]), f.all(in[3]), f.all(in[4])
	var mean, inverse, scale [normChannels]float32
	sum, squares := b.sums(x, x, mean[:])
	for c := b.from; c < b.to; c++ {
		i, n := c-b.from, float64(b.n)
		m := sum[i] / n
		rest := math.Max(squares[i]-m*sum[i], 0) // NaN stays
		mean[i], inverse[i] = float32(m), invStd(rest/n, op.Epsilon)
		scale[i] = inverse[i] * gamma[c]
		stats[c], stats[op.Channels+c] = mean[i], inverse[i]
		running[c] = (1-op.Momentum)*running[c] + op.Momentum*mean[i]
		runningVar[c] = (1-op.Momentum)*runningVar[c] + op.Momentum*float32(rest/math.Max(n-1, 1))
	}
	shift := beta[b.from:b.to]
	for p := range b.n {
		x, y := b.row(x, p), b.row(y, p)
		x, y = x[:len(shift)], y[:len(shift)]
		for i, v := range shift[:min(len(shift), normChannels)] {
			y[i] = float32((x[i]-mean[i])*scale[i]) + v
		}
	}
}

// sumBlock is how many positions are taken together: their channels stay in the first-level cache.
const sumBlock = 64

// sums returns, by channel, the sum of dy and of dy times x-center.
func (b columns) sums(x, dy, center []float32) (sum, dot [normChannels]float64) {
	for first := 0; first < b.n; first += sumBlock {
		n := min(sumBlock, b.n-first)
		i := 0
		for ; i+2 <= b.to-b.from; i += 2 { // two channels at a time, in registers
			at := first*b.stride + b.from + i
			s0, s1, d0, d1 := sum[i], sum[i+1], dot[i], dot[i+1]
			c0, c1 := float64(center[i]), float64(center[i+1])
			for range n {
				x, dy := (*[2]float32)(x[at:]), (*[2]float32)(dy[at:])
				v0, v1 := float64(dy[0]), float64(dy[1])
				s0 += v0
				s1 += v1
				d0 += float64(v0 * (float64(x[0]) - c0))
				d1 += float64(v1 * (float64(x[1]) - c1))
				at += b.stride
			}
			sum[i], sum[i+1], dot[i], dot[i+1] = s0, s1, d0, d1
		}
		for ; i < b.to-b.from; i++ {
			for p := first; p < first+n; p++ {
				v := float64(dy[p*b.stride+b.from+i])
				sum[i] += v
				dot[i] += float64(v * (float64(x[p*b.stride+b.from+i]) - float64(center[i])))
			}
		}
	}
	return sum, dot
}

// gradSums returns, by channel, the sum of dy and of dy times the normalised x.
func (b columns) gradSums(x, dy, mean, inverse []float32) (sum, dot [normChannels]float64) {
	sum, dot = b.sums(x, dy, mean)
	for i, inv := range inverse {
		dot[i] *= float64(inv)
	}
	return sum, dot
}
