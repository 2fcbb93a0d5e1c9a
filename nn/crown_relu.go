package nn

// crownReLU bounds max(x, 0) by lines on the interval of x: from above by the chord; from below, where the
// interval has both signs, by 0 or x, whichever is nearer (Zhang et al. 2018, section 3.3: CROWN-Ada).
type crownReLU struct {
	size int
	// slope and intercept are those of the chords, by example; floor is the slope from below: 0 or 1.
	slope, floor []float32
	intercept    []float64
}

// chord is the line above max(x, 0) for x in [lower, upper], and the slope of the line from below.
// The intercept is such that the line with the rounded slope holds.
func chord(lower, upper float32) (slope float32, intercept float64, floor float32) {
	switch {
	case upper <= 0:
		return 0, 0, 0
	case lower >= 0:
		return 1, 0, 1
	}
	l, u := float64(lower), float64(upper)
	slope = float32(u / (u - l))
	s := float64(slope)
	if s > 0.5 {
		floor = 1
	}
	return slope, max(-s*l, (1-s)*u), floor
}

func (l *crownReLU) sizes() (in, out int)                           { return l.size, l.size }
func (l *crownReLU) load(*Model, int, int) error                    { return nil }
func (l *crownReLU) refresh([][]float32)                            {}
func (l *crownReLU) slack(*Crown, *crownPass, int, []float64) error { return nil } // see crownLinear.slack

func (l *crownReLU) forward(_ *Crown, p *crownPass, n int, lower, upper []float32) error {
	for at := range n * l.size {
		lower[at], upper[at] = max(p.lower[at], 0), max(p.upper[at], 0)
	}
	return nil
}

func (l *crownReLU) forwardGrad(_ *Crown, p *crownPass, n int, dLower, dUpper []float32) error {
	for at := range n * l.size {
		if p.lower[at] > 0 {
			p.dLower[at] += dLower[at]
		}
		if p.upper[at] > 0 {
			p.dUpper[at] += dUpper[at]
		}
	}
	return nil
}

func (l *crownReLU) back(c *Crown, p *crownPass, n int, offset []float64) error {
	l.slope, l.floor = resize(l.slope, n*l.size), resize(l.floor, n*l.size)
	if cap(l.intercept) < n*l.size {
		l.intercept = make([]float64, n*l.size)
	}
	l.intercept = l.intercept[:n*l.size]
	split(n, func(i int) {
		first := i * l.size
		for at := first; at < first+l.size; at++ {
			l.slope[at], l.intercept[at], l.floor[at] = chord(p.lower[at], p.upper[at])
		}
		slope, intercept, floor := l.slope[first:][:l.size], l.intercept[first:][:l.size], l.floor[first:][:l.size]
		for r := i * c.margins(); r < (i+1)*c.margins(); r++ {
			in, sum := p.in[r*l.size:][:l.size], 0.0
			for at, a := range p.out[r*l.size:][:l.size] {
				if a > 0 {
					in[at] = a * slope[at]
					sum += float64(a) * intercept[at]
				} else {
					in[at] = a * floor[at]
				}
			}
			offset[r] += sum
		}
	})
	return nil
}

func (l *crownReLU) backGrad(c *Crown, p *crownPass, n int, offset []float64) error {
	split(n, func(i int) {
		first := i * l.size
		slope, intercept, floor := l.slope[first:][:l.size], l.intercept[first:][:l.size], l.floor[first:][:l.size]
		dSlope, dIntercept := make([]float32, l.size), make([]float32, l.size)
		for r := i * c.margins(); r < (i+1)*c.margins(); r++ {
			dIn, dOut, g := p.dIn[r*l.size:][:l.size], p.dOut[r*l.size:][:l.size], float32(offset[r])
			for at, a := range p.out[r*l.size:][:l.size] {
				if a > 0 {
					dOut[at] = slope[at]*dIn[at] + float32(intercept[at])*g
					dSlope[at] += a * dIn[at]
					dIntercept[at] += a * g
				} else {
					dOut[at] = floor[at] * dIn[at]
				}
			}
		}
		for at := range dSlope {
			lower, upper := float64(p.lower[first+at]), float64(p.upper[first+at])
			if lower >= 0 || upper <= 0 {
				continue
			}
			// slope u/(u-l), intercept -l u/(u-l)
			ds, di, w := float64(dSlope[at]), float64(dIntercept[at]), 1/((upper-lower)*(upper-lower))
			p.dLower[first+at] += float32((ds*upper - di*upper*upper) * w)
			p.dUpper[first+at] += float32((di*lower*lower - ds*lower) * w)
		}
	})
	return nil
}
