package kernel

import (
	"math"

	"rampart/nn/device"
)

// GroupNorm normalises examples by their own statistics; see device.GroupNorm.
type GroupNorm struct{ device.GroupNorm }

// part is the values that share statistics: runs of width, stride apart, from the first on.
type part struct{ width, stride, runs int }

func (g GroupNorm) part() part { return part{g.Channels / g.Groups, g.Channels, g.Positions} }

// moments are mean and 1/std of a part, in double precision.
func (p part) moments(x []float32, epsilon float32) (mean, inverse float64) {
	count := float64(p.width * p.runs)
	sum := 0.0
	for r := range p.runs {
		for _, v := range x[r*p.stride:][:p.width] {
			sum += float64(v)
		}
	}
	mean = sum / count
	squares := 0.0
	for r := range p.runs {
		for _, v := range x[r*p.stride:][:p.width] {
			d := float64(v) - mean
			squares += d * d
		}
	}
	return mean, 1 / math.Sqrt(squares/count+float64(epsilon))
}

// Forward computes y from any number of blocks x [Positions,Channels].
func (g GroupNorm) Forward(y, x, gamma, beta []float32) {
	p := g.part()
	for first := 0; first < len(x); first += g.Positions * g.Channels {
		for c := 0; c < g.Channels; c += p.width {
			y, x, gamma, beta := y[first+c:], x[first+c:], gamma[c:][:p.width], beta[c:][:p.width]
			mean, inverse := p.moments(x, g.Epsilon)
			for r := range p.runs {
				y, x := y[r*p.stride:][:p.width], x[r*p.stride:][:p.width]
				for i, v := range x {
					y[i] = float32((float64(v)-mean)*inverse)*gamma[i] + beta[i]
				}
			}
		}
	}
}

// InputGrad computes dx: with n = (x-mean)/std, the mean of g = dy*gamma and that of g*n taken away
// along 1 and n (Ioffe and Szegedy 2015, section 3, for other sets of values).
func (g GroupNorm) InputGrad(dx, x, gamma, dy []float32) {
	p := g.part()
	count := float64(p.width * p.runs)
	for first := 0; first < len(x); first += g.Positions * g.Channels {
		for c := 0; c < g.Channels; c += p.width {
			dx, x, dy, gamma := dx[first+c:], x[first+c:], dy[first+c:], gamma[c:][:p.width]
			mean, inverse := p.moments(x, g.Epsilon)
			sum, dot := 0.0, 0.0
			for r := range p.runs {
				x := x[r*p.stride:][:p.width]
				for i, d := range dy[r*p.stride:][:p.width] {
					v := float64(d) * float64(gamma[i])
					sum += v
					dot += v * (float64(x[i]) - mean) * inverse
				}
			}
			sum, dot = sum/count, dot/count
			for r := range p.runs {
				dx, x := dx[r*p.stride:][:p.width], x[r*p.stride:][:p.width]
				for i, d := range dy[r*p.stride:][:p.width] {
					dx[i] = float32(inverse * (float64(d)*float64(gamma[i]) - sum - (float64(x[i])-mean)*inverse*dot))
				}
			}
		}
	}
}

// GammaGrad adds to sums [Channels/Groups] the gradient in the scales of one group, over all blocks.
func (g GroupNorm) GammaGrad(group int, sums []float64, x, dy []float32) {
	p := g.part()
	for first := group * p.width; first < len(x); first += g.Positions * g.Channels {
		x, dy := x[first:], dy[first:]
		mean, inverse := p.moments(x, g.Epsilon)
		for r := range p.runs {
			x := x[r*p.stride:][:p.width]
			for i, d := range dy[r*p.stride:][:p.width] {
				sums[i] += float64(d) * (float64(x[i]) - mean) * inverse
			}
		}
	}
}
