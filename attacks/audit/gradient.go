package audit

import (
	"fmt"
	"math"
	"slices"

	"rampart/attacks"
	"rampart/nn"
)

// Check 10. A gradient that vanishes, is no number, or is not that of the loss masks a network
// instead of hardening it (Athalye et al. 2018, section 3).
func gradients(e *examination) (Finding, error) {
	zero, bad, err := e.useless()
	if err != nil {
		return Finding{}, err
	}
	miss, err := e.slopes()
	if err != nil {
		return Finding{}, err
	}
	margin := *e.pgd
	margin.Loss = "margin"
	res, err := e.attack(e.Victim, &margin, e.sub)
	if err != nil {
		return Finding{}, err
	}
	n := len(e.at)
	byEntropy, byMargin := accuracy(e.base, e.sub), accuracy(res, e.sub)
	f := Finding{Examples: union(zero, bad), Text: fmt.Sprintf(
		"of %d images %d have a gradient of zero and %d one that is not finite; along random directions the loss misses the gradient's forecast by %.0f %%; PGD with cross-entropy leaves %.1f %%, with the margin loss %.1f %%",
		n, len(zero), len(bad), 100*miss, byEntropy, byMargin)}
	f.Verdict = worse(grade(points(len(zero), n), 1, 5), grade(points(len(bad), n), 0, 1e-9))
	if e.Before != nil && e.Before.Substituted {
		f.Text += "; the gradient is a stand-in (BPDA), which no forecast has to meet"
	} else {
		f.Verdict = worse(f.Verdict, grade(miss, 0.1, 0.3))
	}
	f.Verdict = worse(f.Verdict, grade(math.Abs(byEntropy-byMargin), failAt, 10))
	return f, nil
}

// useless are the examples whose gradient of the cross-entropy, at a random point of the ball, is
// zero everywhere or not finite.
func (e *examination) useless() (zero, bad []int, err error) {
	near, err := e.attack(e.Victim, &attacks.Noise{Bound: attacks.Bound(e.Threat), Runs: 1}, e.sub)
	if err != nil {
		return nil, nil, err
	}
	_, _, dx, err := e.ask(e.Victim, near.Adv, e.sub, nn.CrossEntropy{})
	if err != nil {
		return nil, nil, err
	}
	size := e.sub.Size()
	for i, at := range e.at {
		sum := 0.0
		for _, g := range dx[i*size : (i+1)*size] {
			sum += math.Abs(float64(g))
		}
		switch {
		case sum == 0:
			zero = append(zero, at)
		case math.IsNaN(sum) || math.IsInf(sum, 0):
			bad = append(bad, at)
		}
	}
	return zero, bad, nil
}

// slopes compares the gradient of the margin loss with finite differences: along a random direction,
// by how much of its forecast the loss misses it, in the middle of all examples. A true gradient
// gives nearly 0, but for the kinks of ReLU. It looks inside the box, at images with some noise:
// on flat black there is a tie in each window of a max pooling, and no gradient at all.
func (e *examination) slopes() (float64, error) {
	const length = 1e-3
	size := e.sub.Size()
	inside := make([]float32, len(e.images))
	for i := range e.at {
		x := inside[i*size : (i+1)*size]
		e.Noise.Uniform(x, 0.03, 0.07, e.sub.Index(i), 0, 1<<21)
		for j := range x {
			x[j] += 0.9 * e.images[i*size+j]
		}
	}
	_, value, dx, err := e.ask(e.Victim, inside, e.sub, nn.Margin{})
	if err != nil {
		return 0, err
	}
	moved := slices.Clone(inside)
	promised := make([]float64, len(e.at))
	direction := make([]float32, size)
	for i := range e.at {
		e.Noise.Uniform(direction, 0, length, e.sub.Index(i), 0, 1<<21+1)
		x, g := moved[i*size:(i+1)*size], dx[i*size:]
		for j, d := range direction {
			if g[j] < 0 {
				d = -d // up the gradient, so that the terms do not cancel
			}
			before := x[j]
			x[j] += d
			promised[i] += (float64(x[j]) - float64(before)) * float64(g[j])
		}
	}
	_, after, _, err := e.ask(e.Victim, moved, e.sub, nn.Margin{})
	if err != nil {
		return 0, err
	}
	misses := make([]float64, len(e.at))
	for i, p := range promised {
		change := float64(after[i]) - float64(value[i])
		if change != p {
			misses[i] = math.Abs(change-p) / max(math.Abs(p), math.Abs(change))
		}
	}
	slices.Sort(misses)
	return misses[len(misses)/2], nil
}
