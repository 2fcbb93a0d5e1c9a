package nn

import (
	"math"
	"slices"

	"rampart/nn/device"
)

// detOffset is added to the diagonal before the determinant, as in the authors' code.
const detOffset = 1e-6

// ADP is the loss of jointly trained members with adaptive diversity promoting (Pang et al. 2019,
// section 3.2): the sum of their cross-entropies, less Alpha times the entropy of their mean
// prediction, less Beta times the log of the ensemble diversity. That is the squared volume which
// the members' normalised predictions span, the true class left out of each. The logits are those
// of a Stacked ensemble, [Members*classes].
type ADP struct {
	Members     int
	Alpha, Beta float32
}

// Rows implements device.Loss.
func (l ADP) Rows(b *device.Block) {
	classes := b.Classes / l.Members
	s := newADPScratch(l.Members, classes)
	for i := range b.Rows {
		b.Value[i] = float32(l.row(s, b.Grad[i*b.Classes:][:b.Classes], b.Logits[i*b.Classes:][:b.Classes], int(b.Labels[i])))
	}
}

type adpScratch struct {
	p, v, inverse [][]float64 // softmax and direction by member; of the Gram matrix
	mean, g       []float64
}

func newADPScratch(members, classes int) *adpScratch {
	s := &adpScratch{mean: make([]float64, classes), g: make([]float64, classes)}
	for range members {
		s.p, s.v = append(s.p, make([]float64, classes)), append(s.v, make([]float64, classes))
		s.inverse = append(s.inverse, make([]float64, members))
	}
	return s
}

func (l ADP) row(s *adpScratch, grad, logits []float32, y int) float64 {
	classes := len(s.mean)
	value := 0.0
	clear(s.mean)
	for m := range l.Members {
		z := logits[m*classes:][:classes]
		softmax(s.p[m], z, 1)
		value += crossEntropyOf(z, y)
		for c, p := range s.p[m] {
			s.mean[c] += p / float64(l.Members)
		}
		direction(s.v[m], z, y)
	}
	entropy := 0.0
	for _, p := range s.mean {
		if p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	value -= float64(l.Alpha)*entropy + float64(l.Beta)*gramInverse(s.inverse, s.v)
	for m := range l.Members {
		l.memberGrad(s, grad[m*classes:][:classes], m, y)
	}
	return value
}

// memberGrad is the gradient in the logits of member m.
func (l ADP) memberGrad(s *adpScratch, grad []float32, m, y int) {
	p, v := s.p[m], s.v[m]
	dot := 0.0 // of p and the entropy's gradient in it
	for c := range s.g {
		s.g[c] = 0
		if s.mean[c] > 0 {
			s.g[c] = float64(l.Alpha) * (math.Log(s.mean[c]) + 1) / float64(l.Members)
		}
		dot += p[c] * s.g[c]
	}
	for c := range grad {
		grad[c] = float32(p[c] * (1 + s.g[c] - dot))
	}
	grad[y]--
	// d log det(V V')/dV = 2 inverse V, and v[j] = exp(z[j])/norm: dz[j] = d[j] v[j] - v[j]² sum(d v).
	along := 0.0
	for c := range s.g {
		s.g[c] = 0
		for k, other := range s.v {
			s.g[c] += 2 * s.inverse[m][k] * other[c]
		}
		along += s.g[c] * v[c]
	}
	for c := range grad {
		grad[c] -= l.Beta * float32(s.g[c]*v[c]-v[c]*v[c]*along)
	}
}

// crossEntropyOf is log(sum(exp(z))) - z[y].
func crossEntropyOf(z []float32, y int) float64 {
	top, sum := float64(slices.Max(z)), 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(z[y])
}

// direction is the prediction without class y, at length 1: it depends on the other logits alone,
// and so is exact where their probabilities underflow.
func direction(v []float64, z []float32, y int) {
	top := math.Inf(-1)
	for c, x := range z {
		if c != y {
			top = max(top, float64(x))
		}
	}
	norm := 0.0
	for c, x := range z {
		if v[c] = 0; c != y {
			v[c] = math.Exp(float64(x) - top)
		}
		norm += v[c] * v[c]
	}
	for c := range v {
		v[c] /= math.Sqrt(norm)
	}
}

// gramInverse inverts G = V V' + detOffset I, and returns log(det(G)), by elimination: G is
// positive definite, so that no pivoting is needed.
func gramInverse(inverse, v [][]float64) (logDet float64) {
	n := len(v)
	g := make([][]float64, n)
	for i := range g {
		g[i] = make([]float64, n)
		for j := range g[i] {
			for c := range v[i] {
				g[i][j] += v[i][c] * v[j][c]
			}
			inverse[i][j] = 0
		}
		g[i][i] += detOffset
		inverse[i][i] = 1
	}
	for k := range n {
		pivot := g[k][k]
		logDet += math.Log(pivot)
		for j := range n {
			g[k][j] /= pivot
			inverse[k][j] /= pivot
		}
		for i := range n {
			if i == k {
				continue
			}
			f := g[i][k]
			for j := range n {
				g[i][j] -= f * g[k][j]
				inverse[i][j] -= f * inverse[k][j]
			}
		}
	}
	return logDet
}
