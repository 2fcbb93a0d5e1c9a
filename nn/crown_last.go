package nn

import "math"

// crownLast is the last dense layer, whose differences of outputs are bounded.
type crownLast struct {
	features, classes int
	weight, bias      int // the model's parameters
}

// difference calls f for each margin r of example i with its classes.
func (c *Crown) difference(labels []int32, i int, f func(r, k, y int)) {
	y := int(labels[i])
	for j := range c.margins() {
		f(i*c.margins()+j, other(y, j), y)
	}
}

// intervals are the upper bounds by intervals of all differences, as in boundsBuilder.last.
func (l *crownLast) intervals(c *Crown, labels []int32) []float64 {
	w, bias, p := c.host[l.weight], c.host[l.bias], &c.ends
	share := rounding(l.features + 1)
	upper := make([]float64, len(labels)*c.margins())
	split(len(labels), func(i int) {
		c.difference(labels, i, func(r, k, y int) {
			sum := float64(bias[k]) - float64(bias[y]) + share*(math.Abs(float64(bias[k]))+math.Abs(float64(bias[y])))
			for f := range l.features {
				a, b := float64(w[f*l.classes+k]), float64(w[f*l.classes+y])
				low, high := float64(p.lower[i*l.features+f]), float64(p.upper[i*l.features+f])
				end := low
				if a > b {
					end = high
				}
				sum += (a-b)*end + share*(math.Abs(a)+math.Abs(b))*max(high, -low)
			}
			upper[r] = sum + underflow
		})
	})
	return upper
}

// intervalsGrad takes the gradient in those bounds to that in the weights and in the ends.
func (l *crownLast) intervalsGrad(c *Crown, labels []int32, grad []float64) {
	w, p := c.host[l.weight], &c.ends
	p.dLower, p.dUpper = zeros(p.dLower, len(labels)*l.features), zeros(p.dUpper, len(labels)*l.features)
	dw, db := c.gradOf(l.weight), c.gradOf(l.bias)
	for i := range labels {
		c.difference(labels, i, func(r, k, y int) {
			g := grad[r]
			db[k] += g
			db[y] -= g
			for f := range l.features {
				at, d := i*l.features+f, float64(w[f*l.classes+k])-float64(w[f*l.classes+y])
				end := p.lower[at]
				if d > 0 {
					end = p.upper[at]
					p.dUpper[at] += float32(g * d)
				} else {
					p.dLower[at] += float32(g * d)
				}
				dw[f*l.classes+k] += g * float64(end)
				dw[f*l.classes+y] -= g * float64(end)
			}
		})
	}
}

// start gives the coefficients of all differences in the layer's input, and their offsets.
func (l *crownLast) start(c *Crown, labels []int32, offset []float64) []float32 {
	w, bias, p := c.host[l.weight], c.host[l.bias], &c.ends
	p.in = resize(p.in, len(offset)*l.features)
	split(len(labels), func(i int) {
		c.difference(labels, i, func(r, k, y int) {
			offset[r] = float64(bias[k]) - float64(bias[y])
			for f, in := 0, p.in[r*l.features:]; f < l.features; f++ {
				in[f] = w[f*l.classes+k] - w[f*l.classes+y]
			}
		})
	})
	return p.in
}

// slack adds what rounding can make of two logits.
func (l *crownLast) slack(c *Crown, labels []int32, offset []float64) {
	w, bias, p := c.host[l.weight], c.host[l.bias], &c.ends
	share := rounding(l.features + 1)
	split(len(labels), func(i int) {
		c.difference(labels, i, func(r, k, y int) {
			sum := math.Abs(float64(bias[k])) + math.Abs(float64(bias[y]))
			for f := range l.features {
				at := i*l.features + f
				sum += float64(abs(w[f*l.classes+k])+abs(w[f*l.classes+y])) * float64(max(p.upper[at], -p.lower[at]))
			}
			offset[r] += share*sum + underflow
		})
	})
}

// startGrad takes the gradient in the coefficients and offsets to that in the weights.
func (l *crownLast) startGrad(c *Crown, labels []int32, dIn []float32, offset []float64) {
	dw, db := c.gradOf(l.weight), c.gradOf(l.bias)
	for i := range labels {
		c.difference(labels, i, func(r, k, y int) {
			db[k] += offset[r]
			db[y] -= offset[r]
			for f, g := range dIn[r*l.features:][:l.features] {
				dw[f*l.classes+k] += float64(g)
				dw[f*l.classes+y] -= float64(g)
			}
		})
	}
}
