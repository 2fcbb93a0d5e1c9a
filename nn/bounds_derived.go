package nn

import "math"

// unit32 is the unit roundoff of float32.
const unit32 = 0x1p-24

// underflow covers products that fall below float32's normal range.
const underflow = 1e-30

// rounding is the share of its largest absolute inputs by which the bounds of a layer with n inputs
// are widened, so that they hold for what float32 arithmetic makes of the network.
//
// Let the evaluated input lie in the box with centre m and half-width r, as they are computed. In any
// order, with fused operations or without, a sum of n products and a bias is off by at most
// g = (n+1)u/(1-(n+1)u) times the sum of the absolute values of its terms (Higham 2002, section 3.1),
// u = 2^-24. So the evaluated output differs from the computed centre of the output by at most
//
//	|W| r + g (|W| (|m|+r) + |b|) + g (|W| |m| + |b|),
//
// the second term for the network, the third for the centre. The half-width |W| s + a |b| is a sum of
// positive terms, computed to within a factor 1-g. It covers that for s = r + a max(|l|,|u|) and
// a = 4 g with n+8 for n+1: twice what is needed, and what remains, at least 16u, is more than the
// rounding of m, r and s and of the ends l and u of the layer before, which are within 8u. Evaluation
// that folds a batch normalisation into the layer before rounds each weight and bias three times more,
// which is 3u of a sum that both layers' margins hold, and spares the normalisation's own roundings.
func rounding(n int) float64 {
	g := float64(n+8) * unit32
	return 4 * g / (1 - g)
}

// derived says how a parameter of the bounds depends on parameters of the model.
type derived struct {
	// of is the model's parameter; -1 for constants.
	of int
	// fill computes the values; nil takes the model's own.
	fill func(dst []float32, weights [][]float32)
	// fold adds to sum, the gradient in the model's parameter with values w, what grad, that in the
	// derived one, contributes. It is nil where there is no gradient.
	fold func(sum, grad, w []float32)
}

// itself is the model's own parameter i.
func itself(i int) derived {
	return derived{of: i, fold: func(sum, grad, _ []float32) {
		for j, g := range grad {
			sum[j] += g
		}
	}}
}

// frozenItself is the model's own parameter i, without a gradient.
func frozenItself(i int) derived { return derived{of: i} }

// constant has the same values whatever the weights.
func constant(fill func(dst []float32)) derived {
	return derived{of: -1, fill: func(dst []float32, _ [][]float32) { fill(dst) }}
}

// absolute is |W|; its gradient comes back by the sign of W.
func absolute(i int) derived {
	return derived{of: i, fill: func(dst []float32, weights [][]float32) {
		for j, w := range weights[i] {
			dst[j] = float32(math.Abs(float64(w)))
		}
	}, fold: func(sum, grad, w []float32) {
		for j, g := range grad {
			sum[j] += g * sign(w[j])
		}
	}}
}

// margin is share |b|, what rounding can make of a bias.
func margin(i int, share float64) derived {
	return derived{of: i, fill: func(dst []float32, weights [][]float32) {
		for j, w := range weights[i] {
			dst[j] = float32(share*math.Abs(float64(w)) + underflow)
		}
	}}
}

// differences are, for a weight [.., K], W_k - W_y at y*K+k, or where they are not signed their absolute values.
func differences(i, k int, signed bool) derived {
	return derived{of: i, fill: func(dst []float32, weights [][]float32) {
		classPairs(weights[i], k, func(at, first, second int) {
			dst[at] = weights[i][first] - weights[i][second]
			if !signed && dst[at] < 0 {
				dst[at] = -dst[at]
			}
		})
	}, fold: func(sum, grad, w []float32) {
		classPairs(w, k, func(at, first, second int) {
			g := grad[at]
			if !signed {
				g *= sign(w[first] - w[second])
			}
			sum[first] += g
			sum[second] -= g
		})
	}}
}

// marginDifferences are share (|W_k| + |W_y|) at y*K+k: what rounding can make of two logits.
func marginDifferences(i, k int, share float64) derived {
	return derived{of: i, fill: func(dst []float32, weights [][]float32) {
		w := weights[i]
		classPairs(w, k, func(at, first, second int) {
			dst[at] = float32(share*(math.Abs(float64(w[first]))+math.Abs(float64(w[second]))) + underflow)
		})
	}}
}

// classPairs calls f for each row of a weight [.., k] and each pair of classes with the places of their
// difference and of both.
func classPairs(w []float32, k int, f func(at, first, second int)) {
	for row := range len(w) / k {
		for y := range k {
			for j := range k {
				f((row*k+y)*k+j, row*k+j, row*k+y)
			}
		}
	}
}

// marginNorm is the margin of a batch normalisation's shift: share (|beta| + |gamma mean| / std).
func marginNorm(gamma, beta, mean, variance int, share float64) derived {
	return derived{of: beta, fill: func(dst []float32, w [][]float32) {
		for j := range dst {
			shift := math.Abs(float64(w[gamma][j])*float64(w[mean][j])) / math.Sqrt(float64(w[variance][j])+batchNormEpsilon)
			dst[j] = float32(share*(math.Abs(float64(w[beta][j]))+shift) + underflow)
		}
	}}
}

func sign(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
