// Package audit examines a claim of robustness: it runs the checks that such a claim has to survive
// (Carlini et al. 2019, "On evaluating adversarial robustness"; Athalye et al. 2018; Croce et al.
// 2020 and 2022) and says PASS, WARN, FAIL or SKIP to each, with the figures and the examples that
// show it. A FAIL means that the accuracy under attack is not to be believed.
package audit

import (
	"fmt"
	"math"
	"slices"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn/rng"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts, from the best to the worst.
const (
	Pass Verdict = "PASS"
	Skip Verdict = "SKIP" // the check could not run: the text says what it needs
	Warn Verdict = "WARN"
	Fail Verdict = "FAIL"
)

// Finding is what a check found.
type Finding struct {
	Number   int
	Name     string
	Verdict  Verdict
	Text     string
	Examples []int // positions in the data set
}

// Subject is the claim under examination.
type Subject struct {
	Victim attacks.Victim
	Data   *data.Dataset
	// Threat is the threat model of the claim.
	Threat attacks.Threat
	// Clean is the outcome without an attack, and Results are the outcomes under attacks that have
	// run on all of Data, a sequence with its parts; they need no images.
	Clean   *attacks.Result
	Results []*attacks.Result
	// Training is the attack that the network was trained against; nil where there was none, or
	// none is known.
	Training attacks.Attack
	// Undefended is a network trained on the same data without a defence; nil where there is none.
	Undefended attacks.Victim
	// Members are the networks of an ensemble.
	Members []attacks.Victim
	// Distilled says that the network was trained on another's outputs.
	Distilled bool
	// Before tells of transformations before the network; nil where there are none.
	Before *Before
	// Record holds what the report says of the claim, by the name of the fact; see check 16.
	Record map[string]string
	// N is how many examples the audit's own attacks see, evenly spaced.
	N     int
	Noise rng.Stream
	// Found holds the findings that an interrupted audit has made already; Save, where not nil, is
	// given all of them after each check.
	Found []Finding
	Save  func([]Finding) error
	// Stop ends the audit when it returns an error; Progress is told how many checks are done.
	Stop     func() error
	Progress attacks.Progress
}

// Before is what stands before a network.
type Before struct {
	Label string
	// Substituted says that the victim's gradient is a stand-in (BPDA).
	Substituted bool
	// Random says that it draws random numbers; the audit's own attacks take their gradients in
	// expectation over Draws of them.
	Random bool
	Draws  int
}

// check is one of the checks of a claim.
type check struct {
	number int
	name   string
	run    func(e *examination) (Finding, error)
}

// checks are numbered as in the project's list.
var checks = []check{
	{1, "perturbations are valid, predictions repeat", consistent},
	{2, "PGD is at least as strong as FGSM", singleStep},
	{3, "accuracy does not rise with eps, and reaches 0", epsilonSweep},
	{4, "a large eps leaves no more than chance", largeEpsilon},
	{5, "more iterations and restarts change little", effort},
	{6, "another step size changes little", stepSize},
	{7, "gradients are as strong as random search", square},
	{8, "white-box attacks are as strong as transfer", transfer},
	{9, "random noise is weaker than PGD", noise},
	{10, "gradients are finite, non-zero and true", gradients},
	{11, "the outputs are logits", outputs},
	{12, "repeated forward passes agree", repeatable},
	{13, "no adversarial iterate is lost", iterates},
	{14, "the attack breaks an undefended network", undefended},
	{15, "the training attack does not flatter", unseen},
	{16, "the report names what is needed to repeat it", record},
	{17, "the attack knows the defence", adaptive},
}

// Count is the number of checks.
func Count() int { return len(checks) }

// Run makes all checks.
func Run(s *Subject) ([]Finding, error) {
	e, err := newExamination(s)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(s.Found)
	for _, c := range checks[len(list):] {
		if err := e.stop(); err != nil {
			return nil, err
		}
		f, err := c.run(e)
		if err != nil {
			return nil, fmt.Errorf("check %d (%s): %w", c.number, c.name, err)
		}
		f.Number, f.Name = c.number, c.name
		slices.Sort(f.Examples)
		list = append(list, f)
		if s.Save != nil {
			if err := s.Save(list); err != nil {
				return nil, err
			}
		}
		if s.Progress != nil {
			s.Progress(len(list), len(checks))
		}
	}
	return list, nil
}

// examination is an audit at work.
type examination struct {
	*Subject
	at  []int // positions in Data of the audit's examples
	sub *data.Dataset
	// pgd is the audit's own attack, and base its outcome on the examples.
	pgd    *attacks.PGD
	base   *attacks.Result
	images []float32 // the clean examples
	broken []bool    // by position in Data, whether any attack of the claim breaks the example
}

// steps of the audit's own attack.
const steps = 40

func newExamination(s *Subject) (*examination, error) {
	e := &examination{Subject: s}
	n := min(max(s.N, 1), s.Data.Len())
	for i := range n {
		e.at = append(e.at, i*s.Data.Len()/n)
	}
	e.sub = s.Data.Subset(e.at)
	e.images = make([]float32, n*e.sub.Size())
	for i := range n {
		e.sub.Image(i, e.images[i*e.sub.Size():])
	}
	// Madry et al. 2018: 2.5 eps/steps lets every point of the ball be reached.
	e.pgd = &attacks.PGD{Bound: attacks.Bound(s.Threat), Steps: steps, StepSize: s.Threat.Epsilon * 2.5 / steps,
		RandomStart: true, Runs: 1, Loss: "cross_entropy", KeepBest: true}
	var err error
	if e.base, err = e.attack(e.Victim, e.pgd, e.sub); err != nil {
		return nil, err
	}
	e.broken = e.brokenBy(func(attacks.Attack) bool { return true })
	return e, nil
}

// single is one attack of the claim and what it breaks: of a sequence one of its parts, and what
// those before it have left.
type single struct {
	attack attacks.Attack
	broken []bool // by position in Data
}

// singles are the attacks of the claim within its threat model.
func (e *examination) singles() (list []single) {
	for _, r := range e.Results {
		if !e.Threat.Covers(r.Attack.Threat()) {
			continue
		}
		if len(r.Parts) == 0 {
			list = append(list, single{r.Attack, e.wrong(r)})
			continue
		}
		before := e.wrong(e.Clean)
		for _, part := range r.Parts {
			after := e.wrong(part)
			s := single{part.Attack, slices.Clone(after)}
			for i := range before {
				s.broken[i] = after[i] && !before[i]
			}
			list, before = append(list, s), after
		}
	}
	return list
}

// wrong says which examples are misclassified.
func (e *examination) wrong(r *attacks.Result) []bool {
	list := make([]bool, e.Data.Len())
	for i, p := range r.Prediction {
		list[i] = p != int(e.Data.Label(i))
	}
	return list
}

// brokenBy says which examples are misclassified as they are, or broken by an attack of a kind.
func (e *examination) brokenBy(kind func(a attacks.Attack) bool) []bool {
	list := e.wrong(e.Clean)
	for _, s := range e.singles() {
		if kind(s.attack) {
			for i, broken := range s.broken {
				list[i] = list[i] || broken
			}
		}
	}
	return list
}

func (e *examination) stop() error {
	if e.Stop == nil {
		return nil
	}
	return e.Stop()
}

func (e *examination) attack(v attacks.Victim, a attacks.Attack, d *data.Dataset) (*attacks.Result, error) {
	if b := e.Before; b != nil && b.Random && v == e.Victim {
		a = attacks.InExpectation(a, b.Draws)
	}
	return (&attacks.Runner{Victim: v, Noise: e.Noise, Stop: e.Stop}).Run(a, d)
}

// survivors are the audit's examples that no attack of the claim breaks: as a data set, and their
// positions in Data.
func (e *examination) survivors() (*data.Dataset, []int) {
	var at []int
	for _, i := range e.at {
		if !e.broken[i] {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	return e.Data.Subset(at), at
}

// gain is how many of the audit's examples that the claim counts as robust an attack breaks.
func (e *examination) gain(a attacks.Attack) (broken []int, err error) {
	d, at := e.survivors()
	if d == nil {
		return nil, nil
	}
	res, err := e.attack(e.Victim, a, d)
	if err != nil {
		return nil, err
	}
	for i, p := range res.Prediction {
		if p != int(d.Label(i)) {
			broken = append(broken, at[i])
		}
	}
	return broken, nil
}

// ran says that the claim holds an attack of a kind.
func (e *examination) ran(kind func(a attacks.Attack) bool) bool {
	of := func(r *attacks.Result) bool { return kind(r.Attack) }
	return slices.ContainsFunc(e.Results, func(r *attacks.Result) bool {
		return e.Threat.Covers(r.Attack.Threat()) && (of(r) || slices.ContainsFunc(r.Parts, of))
	})
}

// accuracy in points.
func accuracy(r *attacks.Result, d *data.Dataset) float64 { return points(r.Correct(d), d.Len()) }

// points is k of n in per cent.
func points(k, n int) float64 { return 100 * float64(k) / float64(max(n, 1)) }

// gained is grade for k of n examples that an attack takes off the worst case. One or two examples
// of a small sample are no more than a warning.
func gained(k, n int, pass, fail float64) Verdict {
	v := grade(points(k, n), pass, fail)
	if v == Fail && k < 3 {
		return Warn
	}
	return v
}

// grade is PASS up to a number of points, WARN below another, and FAIL from there on.
func grade(points, pass, fail float64) Verdict {
	switch {
	case math.IsNaN(points) || points >= fail:
		return Fail
	case points > pass+1e-9:
		return Warn
	}
	return Pass
}
