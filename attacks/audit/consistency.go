package audit

import (
	"fmt"
	"math"

	"rampart/attacks"
)

// consistent is check 1: an attack of eps 0 changes nothing, perturbations stay within ball and
// box, and predictions do not depend on how many images are asked about at once.
func consistent(e *examination) (Finding, error) {
	z, _, _, err := e.ask(e.Victim, e.images, e.sub, nil)
	if err != nil {
		return Finding{}, err
	}
	none, err := e.attack(e.Victim, e.pgd.At(1e-9), e.sub)
	if err != nil {
		return Finding{}, err
	}
	k := e.Victim.Classes()
	moved := e.differing(argmaxes(z, k), none.Prediction)
	var outside []int
	size := e.sub.Size()
	for i, at := range e.at {
		if !e.valid(e.base.Adv[i*size:(i+1)*size], e.images[i*size:]) {
			outside = append(outside, at)
		}
	}
	whole, _, _, err := e.ask(e.Victim, e.base.Adv, e.sub, nil)
	if err != nil {
		return Finding{}, err
	}
	single, _, _, err := question(e.Victim, e.base.Adv, e.sub, nil, max(e.Victim.Rows()/3, 1), 0)
	if err != nil {
		return Finding{}, err
	}
	batch := e.differing(argmaxes(whole, k), argmaxes(single, k))
	f := Finding{Verdict: Pass, Examples: union(moved, outside, batch), Text: fmt.Sprintf(
		"%d predictions change at eps 0, %d perturbations leave ball or box, %d predictions depend on the batch size (n = %d)",
		len(moved), len(outside), len(batch), len(e.at))}
	if len(f.Examples) > 0 {
		f.Verdict = Fail
	}
	return f, nil
}

// valid says that an image lies in the ball around clean and in the box, up to rounding.
func (e *examination) valid(adv, clean []float32) bool {
	for _, v := range adv {
		if !(v >= 0 && v <= 1) {
			return false
		}
	}
	eps := float64(e.Threat.Epsilon)
	return e.Threat.Norm.Distance(adv, clean) <= eps*(1+1e-5)+1e-6
}

// outputs is check 11: an attack on probabilities meets a softmax that is flat where the network is
// sure (Carlini and Wagner 2016).
func outputs(e *examination) (Finding, error) {
	z, _, _, err := e.ask(e.Victim, e.images, e.sub, nil)
	if err != nil {
		return Finding{}, err
	}
	k := e.Victim.Classes()
	var list []int
	for i, at := range e.at {
		if isDistribution(z[i*k : (i+1)*k]) {
			list = append(list, at)
		}
	}
	share := points(len(list), len(e.at))
	f := Finding{Verdict: Pass, Text: fmt.Sprintf("the outputs of %.0f %% of the images are positive and add up to 1 (n = %d)", share, len(e.at))}
	if share > 50 {
		f.Verdict, f.Examples = Fail, list
		f.Text += ": these are probabilities; attack the logits before the softmax"
	}
	return f, nil
}

func isDistribution(z []float32) bool {
	sum := 0.0
	for _, v := range z {
		if !(v >= 0 && v <= 1) {
			return false
		}
		sum += float64(v)
	}
	return math.Abs(sum-1) < 1e-3
}

// repeatable is check 12: gradients of a network that draws random numbers are those of one draw;
// only an expectation over many (EOT, Athalye et al. 2018) is an attack on it.
func repeatable(e *examination) (Finding, error) {
	k := e.Victim.Classes()
	first, _, _, err := question(e.Victim, e.images, e.sub, nil, e.Victim.Rows(), 1)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Verdict: Pass}
	largest := 0.0
	var list []int
	for noise := range uint64(3) {
		again, _, _, err := question(e.Victim, e.images, e.sub, nil, e.Victim.Rows(), 2+noise)
		if err != nil {
			return Finding{}, err
		}
		for i, at := range e.at {
			for j := range k {
				if d := math.Abs(float64(first[i*k+j]) - float64(again[i*k+j])); d != 0 {
					largest = max(largest, d)
					list = union(list, []int{at})
				}
			}
		}
	}
	f.Text = fmt.Sprintf("in 4 forward passes the logits of %d of %d images differ, by %.2g at the most", len(list), len(e.at), largest)
	if len(list) == 0 {
		return f, nil
	}
	f.Examples = list
	if e.ran(isExpectation) {
		f.Text += "; attacks took the expectation over such draws"
		return f, nil
	}
	f.Verdict = Fail
	f.Text += `: the network is random, and no attack took an expectation over its draws (attack "eot", or autoattack's version "rand")`
	return f, nil
}

func isExpectation(a attacks.Attack) bool {
	x, ok := a.(attacks.Averaging)
	return ok && x.Draws() > 1
}

// iterates is check 13: an attack must return the adversarial iterate that it saw (Carlini et al.
// 2019, section 4.5; Zimmermann et al. 2022). The same run, once stopped at the first success and
// once carried through with the best iterate kept, must break the same examples.
func iterates(e *examination) (Finding, error) {
	if b := e.Before; b != nil && b.Random {
		return Finding{Verdict: Pass, Text: "the network is random: what breaks one draw need not break the next, and attacks return their last iterate"}, nil
	}
	first := *e.pgd
	first.EarlyStop = true
	res, err := e.attack(e.Victim, &first, e.sub)
	if err != nil {
		return Finding{}, err
	}
	var lost []int
	for i, at := range e.at {
		y := int(e.sub.Label(i))
		if res.Prediction[i] != y && e.base.Prediction[i] == y {
			lost = append(lost, at)
		}
	}
	f := Finding{Verdict: Pass, Examples: lost, Text: fmt.Sprintf("%d examples that an iterate of %s breaks came back benign (n = %d)", len(lost), e.pgd.Label(), len(e.at))}
	if len(lost) > 0 {
		f.Verdict = Fail
	}
	return f, nil
}
