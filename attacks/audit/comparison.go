package audit

import (
	"fmt"

	"rampart/attacks"
	"rampart/nn/registry"
)

// Checks that set one attack against another: a gradient that means something makes white-box
// attacks the strongest there are (Athalye et al. 2018, section 3.1; Carlini et al. 2019, section 4).

// singleStep is check 2.
func singleStep(e *examination) (Finding, error) {
	fgsm, err := e.attack(e.Victim, &attacks.FGSM{Bound: attacks.Bound(e.Threat), Loss: "cross_entropy"}, e.sub)
	if err != nil {
		return Finding{}, err
	}
	one, many := accuracy(fgsm, e.sub), accuracy(e.base, e.sub)
	f := Finding{Verdict: grade(many-one, 0, failAt), Text: fmt.Sprintf("FGSM leaves %.1f %%, %s %.1f %% (n = %d)", one, e.pgd.Label(), many, len(e.at))}
	if f.Verdict != Pass {
		f.Examples = e.only(fgsm, e.base)
	}
	return f, nil
}

// only are the examples that the first attack breaks and the second does not.
func (e *examination) only(first, second *attacks.Result) (list []int) {
	for i, at := range e.at {
		if y := int(e.sub.Label(i)); first.Prediction[i] != y && second.Prediction[i] == y {
			list = append(list, at)
		}
	}
	return list
}

// Square's queries where the claim's own attacks hold none.
const squareQueries = 1000

// square is check 7. Both sides are cumulative: what counts is what random search adds to all that
// gradients found. AutoAttack warns from .2 points on.
func square(e *examination) (Finding, error) {
	var broken []int
	n, name := len(e.at), fmt.Sprintf("Square with %d queries", squareQueries)
	if e.ran(isSquare) {
		n, name = e.Data.Len(), "Square"
		white := e.brokenBy(func(a attacks.Attack) bool {
			_, elsewhere := a.(attacks.Sourced) // by another network's gradients
			return a.Gradients() > 0 && !elsewhere
		})
		for i, found := range e.brokenBy(isSquare) {
			if found && !white[i] {
				broken = append(broken, i)
			}
		}
	} else {
		a, err := registry.New[attacks.Attack]("square")
		if err != nil {
			return Finding{}, err
		}
		s := a.(*attacks.Square)
		s.Bound, s.Queries, s.Rescale = attacks.Bound(e.Threat), squareQueries, true
		if broken, err = e.gain(s); err != nil {
			return Finding{}, err
		}
	}
	return Finding{Verdict: gained(len(broken), n, 0.2, failAt), Examples: broken,
		Text: fmt.Sprintf("%s breaks %.1f points that no gradient broke (n = %d)", name, points(len(broken), n), n)}, nil
}

func isSquare(a attacks.Attack) bool {
	_, ok := a.(*attacks.Square)
	return ok
}

// transfer is check 8: examples made on an undefended network, and on the members of an ensemble,
// break nothing that the white-box attacks have not broken.
func transfer(e *examination) (Finding, error) {
	type source struct {
		name string
		v    attacks.Victim
	}
	var sources []source
	if e.Undefended != nil {
		sources = append(sources, source{"an undefended network", e.Undefended})
	}
	for i, m := range e.Members {
		sources = append(sources, source{fmt.Sprintf("member %d", i+1), m})
	}
	d, at := e.survivors()
	f := Finding{Verdict: Pass}
	most := 0
	for _, s := range sources {
		var broken []int
		if d != nil {
			made, err := e.attack(s.v, e.pgd, d)
			if err != nil {
				return Finding{}, err
			}
			z, _, _, err := e.ask(e.Victim, made.Adv, d, nil)
			if err != nil {
				return Finding{}, err
			}
			for i, p := range argmaxes(z, e.Victim.Classes()) {
				if p != int(d.Label(i)) {
					broken = append(broken, at[i])
				}
			}
		}
		most, f.Examples = max(most, len(broken)), union(f.Examples, broken)
		f.Text += fmt.Sprintf("examples made on %s take %.1f points off the worst case, ", s.name, points(len(broken), len(e.at)))
	}
	f.Text += fmt.Sprintf("n = %d", len(e.at))
	f.Verdict = gained(most, len(e.at), warnAt, failAt)
	if e.Undefended == nil {
		f.Verdict = worse(f.Verdict, Skip)
		f.Text = "no undefended network to make examples on: give one (a run keeps its own as baseline.safetensors)"
	}
	return f, nil
}

// noise is check 9.
func noise(e *examination) (Finding, error) {
	res, err := e.attack(e.Victim, &attacks.Noise{Bound: attacks.Bound(e.Threat), Runs: 10}, e.sub)
	if err != nil {
		return Finding{}, err
	}
	byNoise, byPGD := accuracy(res, e.sub), accuracy(e.base, e.sub)
	f := Finding{Verdict: grade(byPGD-byNoise, 0, failAt), Text: fmt.Sprintf("10 random points of the ball leave %.1f %%, %s %.1f %% (n = %d)", byNoise, e.pgd.Label(), byPGD, len(e.at))}
	if f.Verdict != Pass {
		f.Examples = e.only(res, e.base)
	}
	return f, nil
}

// undefended is check 14.
func undefended(e *examination) (Finding, error) {
	if e.Undefended == nil {
		return Finding{Verdict: Skip, Text: "no undefended network to attack: give one (a run keeps its own as baseline.safetensors)"}, nil
	}
	res, err := e.attack(e.Undefended, e.pgd, e.sub)
	if err != nil {
		return Finding{}, err
	}
	left, here := accuracy(res, e.sub), accuracy(e.base, e.sub)
	f := Finding{Verdict: Pass, Text: fmt.Sprintf("%s leaves %.1f %% of an undefended network, %.1f %% of this one (n = %d)", e.pgd.Label(), left, here, len(e.at))}
	switch {
	case left > 10 && left >= here:
		f.Verdict = Fail
		f.Text += ": the attack is no stronger against a network without a defence"
	case left > 10:
		f.Verdict = Warn
		f.Text += ": so small an eps asks little of a network"
	}
	if f.Verdict != Pass {
		for i, p := range res.Prediction {
			if p == int(e.sub.Label(i)) {
				f.Examples = append(f.Examples, e.at[i])
			}
		}
	}
	return f, nil
}

// Check 15: points between the accuracy under the training attack and under one that the network
// has not met. Networks that have learnt their attack by heart lose nearly all (Wong et al. 2020,
// section 5.4: catastrophic overfitting); honest ones some points.
const (
	unseenWarn = 10
	unseenFail = 25
)

func unseen(e *examination) (Finding, error) {
	if e.Training == nil {
		return Finding{Verdict: Pass, Text: "the network was trained against no attack, or none that is known"}, nil
	}
	a := e.Training.At(float64(e.Threat.Epsilon))
	if a.Threat().Norm != e.Threat.Norm {
		return Finding{Verdict: Pass, Text: fmt.Sprintf("the network was trained in %v, and is attacked in %v: nothing to learn by heart", a.Threat().Norm, e.Threat.Norm)}, nil
	}
	res, err := e.attack(e.Victim, a, e.sub)
	if err != nil {
		return Finding{}, err
	}
	_, at := e.survivors()
	seen, worst := accuracy(res, e.sub), points(len(at), len(e.at))
	f := Finding{Verdict: grade(seen-worst, unseenWarn, unseenFail), Text: fmt.Sprintf("the training attack (%s) leaves %.1f %%, the worst case is %.1f %% (n = %d)", a.Label(), seen, worst, len(e.at))}
	if f.Verdict != Pass {
		for i, p := range res.Prediction {
			if p == int(e.sub.Label(i)) && e.broken[e.at[i]] {
				f.Examples = append(f.Examples, e.at[i])
			}
		}
	}
	return f, nil
}
