package audit

import (
	"fmt"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn"
)

// Checks 5 and 6: an attack that has converged finds no more when it is given more, and none of
// its options was chosen badly. They count against the claim's headline: an example that another
// attack of the claim breaks already is no news.

// Points of the headline that more effort may take: up to warnAt nothing is said, from failAt on
// the claim does not hold.
const (
	warnAt = 0.5
	failAt = 2
)

func effort(e *examination) (Finding, error) {
	length, most := e.strongest()
	twice, more := e.longer(2*length), e.longer(length)
	more.Runs = most // with draws of their own, beside those that have run: twice as many
	iterations, err := e.gain(twice)
	if err != nil {
		return Finding{}, err
	}
	restarts, err := e.gain(more)
	if err != nil {
		return Finding{}, err
	}
	rise, err := e.lateRise()
	if err != nil {
		return Finding{}, err
	}
	n := len(e.at)
	f := Finding{Verdict: gained(max(len(iterations), len(restarts)), n, warnAt, failAt), Examples: union(iterations, restarts),
		Text: fmt.Sprintf("%s takes %.1f points more off the worst case, %d more starts of PGD-%d %.1f; the loss rises by %.1f %% of its gain in the last tenth of the steps (n = %d)",
			twice.Label(), points(len(iterations), n), more.Runs, more.Steps, points(len(restarts), n), 100*rise, n)}
	if f.Verdict == Pass && rise > 0.1 {
		f.Verdict = Warn
		f.Text += ": it has not flattened"
	}
	return f, nil
}

// strongest is the number of steps of the claim's longest PGD, and the most restarts of any.
func (e *examination) strongest() (length, restarts int) {
	length, restarts = steps, 1
	for _, r := range e.Results {
		if p, ok := r.Attack.(*attacks.PGD); ok {
			length, restarts = max(length, p.Steps), max(restarts, p.Runs)
		}
	}
	return length, restarts
}

// longer is the audit's own PGD with another number of steps, which reach as far, up to the first
// success.
func (e *examination) longer(n int) *attacks.PGD {
	a := *e.pgd
	a.Steps, a.EarlyStop = n, true
	a.StepSize *= steps / configs.Number(n)
	return &a
}

// lateRise is the share of the mean loss's gain that the last tenth of the steps of the audit's own
// PGD brings.
func (e *examination) lateRise() (float64, error) {
	a := *e.pgd
	a.RandomStart, a.KeepBest = false, false
	mean := func(n int) (float64, error) {
		x := e.images
		if n > 0 {
			c := a
			c.Steps = n
			res, err := e.attack(e.Victim, &c, e.sub)
			if err != nil {
				return 0, err
			}
			x = res.Adv
		}
		_, value, _, err := e.ask(e.Victim, x, e.sub, nn.Margin{})
		if err != nil {
			return 0, err
		}
		sum := 0.0
		for _, v := range value {
			sum += float64(v)
		}
		return sum / float64(len(value)), nil
	}
	var at [3]float64
	for i, n := range []int{0, steps * 9 / 10, steps} {
		var err error
		if at[i], err = mean(n); err != nil {
			return 0, err
		}
	}
	if at[2] <= at[0] {
		return 0, nil // no gain at all: the other checks speak of that
	}
	return max(0, (at[2]-at[1])/(at[2]-at[0])), nil
}

func stepSize(e *examination) (Finding, error) {
	var all []int
	text, most := "", 0
	length, _ := e.strongest()
	for _, factor := range []configs.Number{0.5, 2, 4, 8} {
		a := e.longer(length)
		a.StepSize *= factor
		broken, err := e.gain(a)
		if err != nil {
			return Finding{}, err
		}
		most, all = max(most, len(broken)), union(all, broken)
		text += fmt.Sprintf("%.3g takes %.1f, ", float64(a.StepSize), points(len(broken), len(e.at)))
	}
	return Finding{Verdict: gained(most, len(e.at), warnAt, failAt), Examples: all,
		Text: fmt.Sprintf("points off the worst case by the step size of PGD-%d: %sn = %d", length, text, len(e.at))}, nil
}
