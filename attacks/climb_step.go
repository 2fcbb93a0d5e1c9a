package attacks

import (
	"math"

	"rampart/nn/kernel"
)

// advance moves a row's iterate by one step of its length along the gradient, and by its momentum,
// inside ball and box.
func (c *climb) advance(r int, epsilon float64, first bool) {
	x, old, clean, grad := c.of(c.x, r), c.of(c.old, r), c.of(c.clean, r), c.of(c.grad, r)
	share := float32(c.Momentum)
	if first {
		share = 1
	}
	switch c.Norm {
	case Linf:
		linfStep(x, old, clean, grad, float32(c.step[r]), float32(epsilon), share)
	case L2:
		l2Step(x, old, clean, grad, c.step[r], epsilon, share)
	default:
		copy(old, x)
		sparseStep(x, grad, c.step[r], c.density[r])
		kernel.ProjectL1(x, clean, float32(epsilon))
	}
}

// linfStep makes one step (Croce and Hein 2020, equation 3): z = P(x + step sign(grad)), then
// P(x + share (z-x) + (1-share)(x-old)). The iterate before moves to old.
func linfStep(x, old, clean, grad []float32, step, eps, share float32) {
	old, clean, grad = old[:len(x)], clean[:len(x)], grad[:len(x)]
	rest := 1 - share
	for i, v := range x {
		lower, upper := max(clean[i]-eps, 0), min(clean[i]+eps, 1)
		z := v
		if g := grad[i]; g > 0 {
			z += step
		} else if g < 0 {
			z -= step
		}
		if z < lower {
			z = lower
		} else if z > upper {
			z = upper
		}
		z = v + float32(share*(z-v)) + float32(rest*(v-old[i]))
		if z < lower {
			z = lower
		} else if z > upper {
			z = upper
		}
		old[i], x[i] = v, z
	}
}

// l2Step is linfStep in L2: along the gradient over its norm.
func l2Step(x, old, clean, grad []float32, step, eps float64, share float32) {
	old, clean, grad = old[:len(x)], clean[:len(x)], grad[:len(x)]
	rest := 1 - share
	z := grad // the gradient is spent once it is here: its memory serves
	if norm := norm2(grad); norm <= math.MaxFloat64 {
		f := step / (norm + 1e-12)
		for i, g := range grad {
			z[i] = x[i] + float32(f*float64(g))
		}
	} else { // not finite: no direction
		copy(z, x)
	}
	intoL2(z, clean, eps)
	for i, v := range x {
		x[i] = v + float32(share*(z[i]-v)) + float32(rest*(v-old[i]))
		old[i] = v
	}
	intoL2(x, clean, eps)
}

// intoL2 scales z - clean to a length of at most eps, and clips to [0,1].
func intoL2(z, clean []float32, eps float64) {
	square := 0.0
	for i, v := range z {
		d := float64(v - clean[i])
		square += float64(d * d)
	}
	scale := 1.0
	if norm := math.Sqrt(square); norm > eps {
		scale = eps / norm
	}
	for i, v := range z {
		if scale < 1 {
			v = clean[i] + float32(scale*float64(v-clean[i]))
		}
		z[i] = min(max(v, 0), 1)
	}
}

// sparseStep moves, by step in all, the pixels whose gradients are the largest: a share of them
// (Croce and Hein 2021, section 3.2).
func sparseStep(x, grad []float32, step, density float64) {
	n := len(x)
	magnitude := make([]float32, n)
	for i, g := range grad {
		magnitude[i] = float32(math.Abs(float64(g)))
	}
	rank := min(max(int((1-density)*float64(n)), 0), n-1)
	least := nth(magnitude, rank)
	moving := 0
	for _, g := range grad {
		if g != 0 && float32(math.Abs(float64(g))) >= least {
			moving++
		}
	}
	if moving == 0 {
		return
	}
	length := float32(step / float64(moving))
	for i, g := range grad {
		switch {
		case g >= least && g > 0:
			x[i] += length
		case -g >= least && g < 0:
			x[i] -= length
		}
	}
}

// sparser sets a row's next share of moving pixels by the sparsity of its best iterate, and its
// step: long again where the iterate has become sparser, else shorter. It reports the former: the
// row then goes on from its best iterate.
func (c *climb) sparser(r int, longest float64) bool {
	moved := differ(c.of(c.best, r), c.of(c.clean, r))
	fell := float64(moved)/float64(c.moved[r]) < 0.95
	c.density[r] = float64(moved) / float64(c.o.size) / 1.5
	if fell {
		c.step[r] = longest
	} else {
		c.step[r] = max(c.step[r]/1.5, longest/10)
	}
	c.moved[r] = moved
	return fell
}

// nth is the value that would stand at place k if v were sorted; it shuffles v (Hoare 1961).
func nth(v []float32, k int) float32 {
	for len(v) > 1 {
		pivot := v[len(v)/2]
		i, j := 0, len(v)-1
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for pivot < v[j] {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			v = v[:j+1]
		case k >= i:
			v, k = v[i:], k-i
		default:
			return v[k]
		}
	}
	return v[0]
}
