package nn

import "math"

func (l *crownLinear) sizes() (in, out int) { return l.in, l.out }

// biases are those of the layer, by channel; zeros of one that has none.
func (l *crownLinear) biases(c *Crown) []float32 {
	if l.bias < 0 {
		return make([]float32, l.channels)
	}
	return c.host[l.bias]
}

// forward is boundsBuilder.affine on the host: W applied to the centre, |W| to the half-width with its
// margin for rounding.
func (l *crownLinear) forward(c *Crown, p *crownPass, n int, lower, upper []float32) error {
	share, bias := float32(rounding(l.fan)), l.biases(c)
	l.centre, l.half = resize(l.centre, n*l.in), resize(l.half, n*l.in)
	l.y, l.radius = resize(l.y, n*l.out), resize(l.radius, n*l.out)
	split(n, func(i int) {
		for at := i * l.in; at < (i+1)*l.in; at++ {
			a, b := p.lower[at], p.upper[at]
			l.centre[at] = 0.5*a + 0.5*b
			l.half[at] = 0.5*b - 0.5*a + share*max(b, -a)
		}
	})
	if err := c.runner.run(l.forwardProgram, n, l.centre, l.y, nil, nil); err != nil {
		return err
	}
	if err := c.runner.run(l.absoluteProgram, n, l.half, l.radius, nil, nil); err != nil {
		return err
	}
	split(n, func(i int) {
		for from := i * l.out; from < (i+1)*l.out; from += l.channels {
			for ch, b := range bias {
				at := from + ch
				y, r := l.y[at]+b, l.radius[at]+share*abs(b)+underflow
				lower[at], upper[at] = y-r, y+r
			}
		}
	})
	return nil
}

func (l *crownLinear) forwardGrad(c *Crown, p *crownPass, n int, dLower, dUpper []float32) error {
	dy, dr := l.y, l.radius // neither is needed any more
	split(n, func(i int) {
		for at := i * l.out; at < (i+1)*l.out; at++ {
			dy[at], dr[at] = dLower[at]+dUpper[at], dUpper[at]-dLower[at]
		}
	})
	l.dCentre, l.dHalf = resize(l.dCentre, n*l.in), resize(l.dHalf, n*l.in)
	if err := c.runner.run(l.intervals, n, l.centre, nil, dy, l.dCentre); err != nil {
		return err
	}
	if err := c.runner.run(l.intervalsAbs, n, l.half, nil, dr, l.dHalf); err != nil {
		return err
	}
	split(n, func(i int) {
		for at := i * l.in; at < (i+1)*l.in; at++ {
			p.dLower[at] += 0.5*l.dCentre[at] - 0.5*l.dHalf[at]
			p.dUpper[at] += 0.5*l.dCentre[at] + 0.5*l.dHalf[at]
		}
	})
	if l.weight < 0 {
		return nil
	}
	sum, w := c.gradOf(l.weight), c.host[l.weight]
	for at, g := range download(l.own.List[0].Grad) {
		sum[at] += float64(g)
	}
	for at, g := range download(l.abs.List[0].Grad) {
		sum[at] += float64(g * sign(w[at]))
	}
	sum = c.gradOf(l.bias)
	for at, g := range dy[:n*l.out] {
		sum[at%l.channels] += float64(g)
	}
	return nil
}

func (l *crownLinear) back(c *Crown, p *crownPass, n int, offset []float64) error {
	if err := c.runner.run(l.transposed, len(offset), p.out, p.in, nil, nil); err != nil {
		return err
	}
	if l.bias < 0 {
		return nil
	}
	bias := c.host[l.bias]
	split(len(offset), func(r int) {
		sum := 0.0
		for from := r * l.out; from < (r+1)*l.out; from += l.channels {
			for ch, a := range p.out[from:][:l.channels] {
				sum += float64(a) * float64(bias[ch])
			}
		}
		offset[r] += sum
	})
	return nil
}

func (l *crownLinear) backGrad(c *Crown, p *crownPass, n int, offset []float64) error {
	if err := c.runner.run(l.outer, len(offset), p.dIn, p.dOut, p.out, nil); err != nil {
		return err
	}
	if l.weight < 0 {
		return nil
	}
	bias := c.host[l.bias]
	split(len(offset), func(r int) {
		g := float32(offset[r])
		for from := r * l.out; from < (r+1)*l.out; from += l.channels {
			row := p.dOut[from:][:l.channels]
			for ch, b := range bias {
				row[ch] += g * b
			}
		}
	})
	sum := c.gradOf(l.weight)
	for at, g := range download(l.own.List[0].Grad) {
		sum[at] += float64(g)
	}
	db := perExample(n, l.channels, func(i int, sum []float64) {
		for r := i * c.margins(); r < (i+1)*c.margins(); r++ {
			for from := r * l.out; from < (r+1)*l.out; from += l.channels {
				for ch, a := range p.out[from:][:l.channels] {
					sum[ch] += offset[r] * float64(a)
				}
			}
		}
	})
	sum = c.gradOf(l.bias)
	for at, g := range db {
		sum[at] += g
	}
	return nil
}

// slack covers, with the share g = rounding(fan), three things for the coefficients A of the result y^ as the
// network evaluates it: y^ itself, which is within the half of g (|W| |x^| + |b|) of W x^ + b; the way back
// from A to fl(A W), which is within as much of A W; and A itself, whose product with a ReLU's slope was
// rounded, within 2u |A| |y^|. Twice the half of g and 2u of |A| (|W| max(|l|,|u|) + |b|) are less than what
// is added, for the reasons that rounding gives. Sums on the host are in float64.
func (l *crownLinear) slack(c *Crown, p *crownPass, n int, offset []float64) error {
	share, bias := rounding(l.fan), l.biases(c)
	size, margins := l.in, c.margins()
	l.half, l.radius = resize(l.half, n*size), resize(l.radius, n*l.out)
	split(n, func(i int) {
		for at := i * size; at < (i+1)*size; at++ {
			l.half[at] = max(p.upper[at], -p.lower[at])
		}
	})
	if err := c.runner.run(l.absoluteProgram, n, l.half, l.radius, nil, nil); err != nil {
		return err
	}
	split(n, func(i int) {
		magnitude := l.radius[i*l.out:][:l.out]
		for r := i * margins; r < (i+1)*margins; r++ {
			sum := 0.0
			for at, a := range p.out[r*l.out:][:l.out] {
				sum += math.Abs(float64(a)) * (share*(float64(magnitude[at])+math.Abs(float64(bias[at%l.channels]))) + underflow)
			}
			offset[r] += sum
		}
	})
	return nil
}

func abs(v float32) float32 {
	if v < 0 {
		return -v
	}
	return v
}
