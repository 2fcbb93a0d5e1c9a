package attacks

import (
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// EAD is the elastic-net attack (Chen et al. 2018, algorithm 1): iterative shrinkage and
// thresholding descends c max(0, confidence - lead of the other class) + |x'-x|² + Beta |x'-x|₁.
// It looks for the nearest adversarial example; eps only says which count as a success.
type EAD struct {
	Bound
	Search
	// Beta weighs the L1 distance.
	Beta configs.Number `toml:"beta"`
	// Rule says which adversarial example is the nearest: "en" by the elastic net, or "l1".
	Rule string `toml:"rule"`
	// Fast steps from between the last two iterates (FISTA), as the paper's algorithm does;
	// otherwise from the last (ISTA).
	Fast bool `toml:"fista"`
}

// Validate implements Attack.
func (a *EAD) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	switch {
	case !(a.Beta >= 0):
		return registry.Errorf("beta", "%v must not be negative", float64(a.Beta))
	case a.Rule != "en" && a.Rule != "l1":
		return registry.Errorf("rule", `unknown decision rule %q: use "en" or "l1"`, a.Rule)
	}
	return a.validate()
}

// Label implements Attack.
func (a *EAD) Label() string {
	s := "EAD-" + map[string]string{"en": "EN", "l1": "L1"}[a.Rule]
	if a.Target != "" {
		s += " targeted"
	}
	return s
}

// At implements Attack. The search does not depend on epsilon.
func (a *EAD) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *EAD) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	return a.pursue(v, b, adv, d, func(p *pursuit) pursuer {
		return &thresholding{EAD: a, x: make([]float32, len(p.clean)), y: make([]float32, len(p.clean))}
	})
}

// thresholding holds the iterates x and the points y that the gradients are taken at.
type thresholding struct {
	*EAD
	x, y []float32
}

func (s *thresholding) begin(p *pursuit) {
	copy(s.x, p.clean)
	copy(s.y, p.clean)
}

func (s *thresholding) step(p *pursuit, rows []int, k int) error {
	_, dx, err := p.descend(s.y, rows)
	if err != nil {
		return err
	}
	size := float64(s.StepSize) * math.Sqrt(1-float64(k)/float64(s.Steps))
	onward := 0.0
	if s.Fast {
		onward = float64(k) / float64(k+3)
	}
	eachRow(len(rows), func(n int) {
		r := rows[n]
		s.shrink(p.row(s.x, r), p.row(s.y, r), p.row(p.clean, r), p.row(dx, n), size, onward)
	})
	p.gather(s.x, rows)
	z, err := p.o.logits(p.x, rows)
	if err != nil {
		return err
	}
	for n, r := range rows {
		x, clean := p.row(s.x, r), p.row(p.clean, r)
		l1, l2 := L1.Distance(x, clean), L2.Distance(x, clean)
		elastic := float64(s.Beta)*l1 + l2*l2
		distance := elastic
		if s.Rule == "l1" {
			distance = l1
		}
		p.objective[r] = elastic + p.judge(z, n, r, x, distance)
	}
	return nil
}

// shrink makes a step of one example from y and moves y on past the new x.
func (s *thresholding) shrink(x, y, clean, gradient []float32, step, onward float64) {
	beta := float64(s.Beta)
	for i, g := range gradient {
		c := float64(clean[i])
		at := float64(y[i]) - step*(float64(g)+2*(float64(y[i])-c))
		switch {
		case at-c > beta:
			at = min(at-beta, 1)
		case at-c < -beta:
			at = max(at+beta, 0)
		default:
			at = c
		}
		before := float64(x[i])
		x[i] = float32(at)
		y[i] = float32(at + onward*(at-before))
	}
}

func init() {
	registry.Register("ead", func() Attack {
		return &EAD{Bound: Bound{Norm: L1, Epsilon: 10}, Search: Search{Searches: 9, Steps: 1000, StepSize: 0.01, Const: 1e-3, AbortEarly: true},
			Beta: 0.01, Rule: "en", Fast: true}
	})
}
