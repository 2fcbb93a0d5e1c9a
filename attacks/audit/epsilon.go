package audit

import (
	"fmt"
	"math"
	"slices"

	"rampart/attacks"
)

// sweep measures accuracy under PGD at multiples of the claim's epsilon.
func (e *examination) sweep(eps float64) (float64, []int, error) {
	a := e.pgd.At(eps).(*attacks.PGD)
	a.EarlyStop = true
	if a.Epsilon > e.Threat.Epsilon {
		// Beyond the claim steps that were right for it are small: take the long ones too.
		a.Steps, a.Runs = 2*steps, 2
	}
	res, err := e.attack(e.Victim, a, e.sub)
	if err != nil {
		return 0, nil, err
	}
	var robust []int
	for i, p := range res.Prediction {
		if p == int(e.sub.Label(i)) {
			robust = append(robust, e.at[i])
		}
	}
	return points(len(robust), len(e.at)), robust, nil
}

// unbounded is an epsilon from which every image can be reached, or nearly.
func (e *examination) unbounded() float64 {
	size := float64(e.sub.Size())
	switch e.Threat.Norm {
	case attacks.Linf:
		return 1
	case attacks.L2:
		return 0.99 * math.Sqrt(size)
	}
	return 0.99 * size
}

// half is an epsilon that turns every image into grey.
func (e *examination) half() float64 {
	if e.Threat.Norm == attacks.Linf {
		return 0.5
	}
	return e.unbounded() / 2
}

// epsilonSweep is check 3.
func epsilonSweep(e *examination) (Finding, error) {
	eps := float64(e.Threat.Epsilon)
	grid := []float64{eps / 4, eps / 2, eps}
	for next := 1.5 * eps; next < e.unbounded(); next *= 1.5 {
		grid = append(grid, next)
	}
	grid = append(grid, e.unbounded())
	var before []int
	last, rise, text := 100.0, 0.0, ""
	f := Finding{}
	for i, g := range grid {
		acc, robust, err := e.sweep(g)
		if err != nil {
			return Finding{}, err
		}
		if i > 0 && acc > last {
			rise = max(rise, acc-last)
			f.Examples = union(f.Examples, without(robust, before))
		}
		text += fmt.Sprintf("%.3g: %.1f %%, ", g, acc)
		last, before = acc, robust
	}
	f.Verdict = worse(grade(rise, warnAt, failAt), grade(last, warnAt, 5))
	if last > warnAt {
		f.Examples = union(f.Examples, before)
	}
	f.Text = fmt.Sprintf("accuracy under PGD by eps: %sn = %d", text, len(e.at))
	return f, nil
}

// largeEpsilon is check 4. In Linf an eps of .5 turns every image grey.
func largeEpsilon(e *examination) (Finding, error) {
	half := e.half()
	if float64(e.Threat.Epsilon) > half {
		half = float64(e.Threat.Epsilon)
	}
	acc, robust, err := e.sweep(half)
	if err != nil {
		return Finding{}, err
	}
	chance := 100 / float64(e.Victim.Classes())
	// Two standard deviations of a guess are no defence.
	slack := 2 * math.Sqrt(chance*(100-chance)/float64(len(e.at)))
	f := Finding{Verdict: grade(acc, chance, max(chance+slack, chance+10)), Text: fmt.Sprintf(
		"accuracy %.1f %% at eps %.3g, where every image can become grey; chance is %.1f %% (n = %d)", acc, half, chance, len(e.at))}
	if f.Verdict != Pass {
		f.Examples = robust
	}
	return f, nil
}

// without are the entries of a that are not in b.
func without(a, b []int) (list []int) {
	in := map[int]bool{}
	for _, i := range b {
		in[i] = true
	}
	for _, i := range a {
		if !in[i] {
			list = append(list, i)
		}
	}
	return list
}

// worse is the graver of two verdicts.
func worse(a, b Verdict) Verdict {
	order := []Verdict{Pass, Skip, Warn, Fail}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
