package nn

import (
	"math"

	"rampart/nn/device"
)

// pairs calls f for each example of a block of two row groups, with the numbers of its
// adversarial and of its clean row, and scratch for four rows of probabilities.
func pairs(b *device.Block, f func(adversarial, clean int, scratch [4][]float64)) {
	var stack [4][maxStackClasses]float64
	var scratch [4][]float64
	for i := range scratch {
		scratch[i] = probabilities(stack[i][:], b.Classes)
	}
	n := b.Rows / 2
	for i := range n {
		f(i, n+i, scratch)
	}
}

// scale multiplies a row's gradient.
func scale(g []float32, by float64) {
	for j, v := range g {
		g[j] = float32(by * float64(v))
	}
}

// divergence returns KL(softmax(target/t) || softmax(z/t)) and writes its gradient in z; p and q are
// scratch and hold the softmaxes of z and target afterwards.
func divergence(g, z, target []float32, p, q []float64, t float64) float64 {
	top, rest := softmax(p, z, t)
	topTarget, restTarget := softmax(q, target, t)
	sum := 0.0
	for j := range g {
		sum += q[j] * ((float64(target[j])-topTarget)/t - restTarget - (float64(z[j])-top)/t + rest)
		g[j] = float32((p[j] - q[j]) / t)
	}
	return sum
}

// Mixed is a weighted cross-entropy of two row groups, adversarial and clean:
// a CE(x', y) + (1-a) CE(x, y) (Goodfellow et al. 2015, section 6, with a = 0.5).
type Mixed struct{ Adversarial, Smoothing float32 }

// Groups implements device.Tied.
func (Mixed) Groups() int { return 2 }

// Rows implements device.Loss.
func (l Mixed) Rows(b *device.Block) {
	CrossEntropy{Smoothing: l.Smoothing}.Rows(b)
	for i := range b.Rows {
		share := float64(l.Adversarial)
		if i >= b.Rows/2 {
			share = 1 - share
		}
		b.Value[i] = float32(share * float64(b.Value[i]))
		scale(row(b.Grad, i, b.Classes), share)
	}
}

// TRADES is CE(x, y) + Beta KL(softmax f(x) || softmax f(x')) (Zhang et al. 2019, equation 5), the
// first in the clean row's value, the second in the adversarial one's. Gradients flow through both.
type TRADES struct{ Beta, Smoothing float32 }

// Groups implements device.Tied.
func (TRADES) Groups() int { return 2 }

// Rows implements device.Loss.
func (l TRADES) Rows(b *device.Block) {
	beta := float64(l.Beta)
	pairs(b, func(adv, clean int, scratch [4][]float64) {
		zAdv, z := row(b.Logits, adv, b.Classes), row(b.Logits, clean, b.Classes)
		gAdv, g := row(b.Grad, adv, b.Classes), row(b.Grad, clean, b.Classes)
		b.Value[clean] = float32(crossEntropy(g, z, scratch[0], b.Labels[clean], 1, float64(l.Smoothing)))
		kl := divergence(gAdv, zAdv, z, scratch[0], scratch[1], 1)
		b.Value[adv] = float32(beta * kl)
		scale(gAdv, beta)
		addTargetGrad(g, z, zAdv, scratch[0], scratch[1], kl, beta)
	})
}

// addTargetGrad adds weight times the gradient of KL(p || q) in the logits z of p: p (log p - log q - KL).
func addTargetGrad(g, z, zAdv []float32, p, q []float64, kl, weight float64) {
	top, rest := softmax(p, z, 1)
	topAdv, restAdv := softmax(q, zAdv, 1)
	for j := range g {
		ratio := float64(z[j]) - top - rest - (float64(zAdv[j]) - topAdv - restAdv)
		g[j] = float32(float64(g[j]) + weight*p[j]*(ratio-kl))
	}
}

// LogitPairing is (CE(x', y) + CE(x, y))/2 + Weight times the mean squared difference of the logits
// (Kannan et al. 2018, section 3.1).
type LogitPairing struct{ Weight, Smoothing float32 }

// Groups implements device.Tied.
func (LogitPairing) Groups() int { return 2 }

// Rows implements device.Loss.
func (l LogitPairing) Rows(b *device.Block) {
	Mixed{Adversarial: 0.5, Smoothing: l.Smoothing}.Rows(b)
	weight := float64(l.Weight) / float64(b.Classes)
	pairs(b, func(adv, clean int, _ [4][]float64) {
		zAdv, z := row(b.Logits, adv, b.Classes), row(b.Logits, clean, b.Classes)
		gAdv, g := row(b.Grad, adv, b.Classes), row(b.Grad, clean, b.Classes)
		sum := 0.0
		for j := range z {
			d := float64(zAdv[j]) - float64(z[j])
			sum += d * d
			gAdv[j] = float32(float64(gAdv[j]) + 2*weight*d)
			g[j] = float32(float64(g[j]) - 2*weight*d)
		}
		b.Value[adv] = float32(float64(b.Value[adv]) + weight*sum)
	})
}

// MART is BCE(x', y) + Beta KL(f(x) || f(x')) (1 - p(x)[y]), with the boosted cross-entropy
// BCE = -log p(x')[y] - log(1 - max of the others) (Wang et al. 2020, equations 8 to 11), and the
// constants with which the authors' code keeps logarithms finite.
type MART struct{ Beta float32 }

// The constants of the authors' code.
const (
	martMargin = 1.0001    // instead of 1 in log(1 - p)
	martWeight = 1.0000001 // instead of 1 in 1 - p(x)[y]
	martTiny   = 1e-12     // in logarithms
)

// Groups implements device.Tied.
func (MART) Groups() int { return 2 }

// Rows implements device.Loss.
func (l MART) Rows(b *device.Block) {
	beta := float64(l.Beta)
	pairs(b, func(adv, clean int, scratch [4][]float64) {
		zAdv, z := row(b.Logits, adv, b.Classes), row(b.Logits, clean, b.Classes)
		gAdv, g := row(b.Grad, adv, b.Classes), row(b.Grad, clean, b.Classes)
		p, q, dp, dq := scratch[0], scratch[1], scratch[2], scratch[3]
		y := int(b.Labels[adv])
		value := crossEntropy(gAdv, zAdv, q, b.Labels[adv], 1, 0)
		softmax(q, zAdv, 1)
		top, rest := softmax(p, z, 1)

		other := -1 // the likeliest wrong class
		for j := range q {
			if j != y && (other < 0 || q[j] > q[other]) {
				other = j
			}
		}
		margin := martMargin - q[other] + martTiny
		value -= math.Log(margin)

		weight, kl := martWeight-p[y], 0.0
		for j := range p {
			ratio := float64(z[j]) - top - rest - math.Log(q[j]+martTiny)
			kl += p[j] * ratio
			dp[j] = beta * weight * ratio
			dq[j] = -beta * weight * p[j] / (q[j] + martTiny)
		}
		dq[other] += 1 / margin
		dp[y] -= beta * kl
		clear(g)
		softmaxGrad(gAdv, q, dq)
		softmaxGrad(g, p, dp)
		b.Value[adv], b.Value[clean] = float32(value), float32(beta*weight*kl)
	})
}

// softmaxGrad adds the gradient in the logits to g, where d is that in their softmax p.
func softmaxGrad(g []float32, p, d []float64) {
	mean := 0.0
	for j := range p {
		mean += p[j] * d[j]
	}
	for j := range p {
		g[j] = float32(float64(g[j]) + p[j]*(d[j]-mean))
	}
}
