package nn

import "math"

// crownDiagonal scales and shifts each channel: the normalisation of the input, or a batch normalisation
// by its running statistics.
type crownDiagonal struct {
	size, channels int
	// gamma is the model's first of four parameters (gamma, beta, mean, variance); -1 of a normalisation
	// of the input, whose scale and shift are constant.
	gamma        int
	scale, shift []float64
	// weight is a bound of what is added up to shift: its terms may cancel.
	weight []float64
	inv    []float64 // 1/std
}

func newCrownNormalize(spec Spec) *crownDiagonal {
	l := &crownDiagonal{size: spec.Input.Size(), channels: spec.Input.C, gamma: -1}
	for c, mean := range spec.Mean {
		l.append(1/float64(spec.Std[c]), float64(mean), 1, 0)
	}
	return l
}

// append adds the channel gamma (x-mean) inv + beta.
func (l *crownDiagonal) append(inv, mean, gamma, beta float64) {
	scale := gamma * inv
	l.scale, l.shift = append(l.scale, scale), append(l.shift, beta-mean*scale)
	l.weight, l.inv = append(l.weight, math.Abs(beta)+math.Abs(mean*scale)), append(l.inv, inv)
}

func (l *crownDiagonal) sizes() (in, out int)        { return l.size, l.size }
func (l *crownDiagonal) load(*Model, int, int) error { return nil }

func (l *crownDiagonal) refresh(host [][]float32) {
	if l.gamma < 0 {
		return
	}
	l.scale, l.shift, l.weight, l.inv = l.scale[:0], l.shift[:0], l.weight[:0], l.inv[:0]
	for c, variance := range host[l.gamma+3] {
		l.append(1/math.Sqrt(float64(variance)+batchNormEpsilon), float64(host[l.gamma+2][c]), float64(host[l.gamma][c]), float64(host[l.gamma+1][c]))
	}
}

// margin is what rounding can make of the result for an input of an absolute value.
func (l *crownDiagonal) margin(channel int, largest float64) float64 {
	return rounding(1)*(math.Abs(l.scale[channel])*largest+l.weight[channel]) + underflow
}

func (l *crownDiagonal) forward(_ *Crown, p *crownPass, n int, lower, upper []float32) error {
	split(n, func(i int) {
		for at := i * l.size; at < (i+1)*l.size; at++ {
			c := at % l.channels
			a, b := l.scale[c]*float64(p.lower[at])+l.shift[c], l.scale[c]*float64(p.upper[at])+l.shift[c]
			margin := l.margin(c, float64(max(p.upper[at], -p.lower[at])))
			lower[at], upper[at] = float32(min(a, b)-margin), float32(max(a, b)+margin)
		}
	})
	return nil
}

func (l *crownDiagonal) forwardGrad(c *Crown, p *crownPass, n int, dLower, dUpper []float32) error {
	c.diagonalGrad(l, n, func(i int, dScale, dShift []float64) {
		for at := i * l.size; at < (i+1)*l.size; at++ {
			ch := at % l.channels
			s, da, db := l.scale[ch], float64(dLower[at]), float64(dUpper[at])
			if s < 0 { // the ends change places
				da, db = db, da
			}
			p.dLower[at] += float32(s * da)
			p.dUpper[at] += float32(s * db)
			dScale[ch] += da*float64(p.lower[at]) + db*float64(p.upper[at])
			dShift[ch] += da + db
		}
	})
	return nil
}

func (l *crownDiagonal) back(c *Crown, p *crownPass, n int, offset []float64) error {
	split(len(offset), func(r int) {
		in := p.in[r*l.size:][:l.size]
		for at, a := range p.out[r*l.size:][:l.size] {
			in[at] = float32(l.scale[at%l.channels] * float64(a))
			offset[r] += l.shift[at%l.channels] * float64(a)
		}
	})
	return nil
}

func (l *crownDiagonal) backGrad(c *Crown, p *crownPass, n int, offset []float64) error {
	c.diagonalGrad(l, n, func(i int, dScale, dShift []float64) {
		for r := i * c.margins(); r < (i+1)*c.margins(); r++ {
			dIn, dOut := p.dIn[r*l.size:][:l.size], p.dOut[r*l.size:][:l.size]
			for at, a := range p.out[r*l.size:][:l.size] {
				ch := at % l.channels
				dOut[at] = float32(l.scale[ch]*float64(dIn[at]) + l.shift[ch]*offset[r])
				dScale[ch] += float64(a) * float64(dIn[at])
				dShift[ch] += float64(a) * offset[r]
			}
		}
	})
	return nil
}

// slack is that of crownLinear for sums of one product.
func (l *crownDiagonal) slack(c *Crown, p *crownPass, n int, offset []float64) error {
	split(n, func(i int) {
		for r := i * c.margins(); r < (i+1)*c.margins(); r++ {
			for at, a := range p.out[r*l.size:][:l.size] {
				in := i*l.size + at
				offset[r] += math.Abs(float64(a)) * l.margin(at%l.channels, float64(max(p.upper[in], -p.lower[in])))
			}
		}
	})
	return nil
}

// diagonalGrad adds up the gradients in scale and shift and brings them to gamma and beta: scale is
// gamma inv, shift beta - mean scale.
func (c *Crown) diagonalGrad(l *crownDiagonal, n int, example func(i int, dScale, dShift []float64)) {
	sums := perExample(n, 2*l.channels, func(i int, sum []float64) { example(i, sum[:l.channels], sum[l.channels:]) })
	if l.gamma < 0 {
		return
	}
	gamma, beta := c.gradOf(l.gamma), c.gradOf(l.gamma+1)
	for ch := range gamma {
		mean := float64(c.host[l.gamma+2][ch])
		gamma[ch] += l.inv[ch] * (sums[ch] - mean*sums[l.channels+ch])
		beta[ch] += sums[l.channels+ch]
	}
}
