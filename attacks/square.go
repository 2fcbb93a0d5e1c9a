package attacks

import (
	"fmt"
	"math"

	"rampart/configs"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Square is the Square attack (Andriushchenko et al. 2020): random search without gradients, which
// changes one square of the image at a time and keeps what brings the loss down. It starts from
// vertical stripes (Linf, algorithm 2) or a grid of windows (L2, algorithm 3; L1 as in AutoAttack),
// and leaves an example as soon as it succeeds.
type Square struct {
	Bound
	// Queries is how many squares are tried on an example after the start, in each run.
	Queries int `toml:"n_queries"`
	// PInit is the share of the pixels that the first squares cover.
	PInit float64 `toml:"p_init"`
	Runs  int     `toml:"restarts"`
	// Loss is what is brought down: "margin", that of the label over the best other class, or
	// "cross_entropy", whose negative it is; with a target the same of the target, turned round.
	Loss   string `toml:"loss"`
	Target Target `toml:"target"`
	// Rescale runs through the schedule of the squares' sizes, made for 10,000 queries, in however
	// many there are; otherwise it is cut off.
	Rescale bool `toml:"resc_schedule"`
}

// Validate implements Attack.
func (a *Square) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if a.Queries < 1 {
		return registry.Errorf("n_queries", "%d must be at least 1", a.Queries)
	}
	if a.Runs < 1 {
		return registry.Errorf("restarts", "%d must be at least 1", a.Runs)
	}
	if !(a.PInit > 0 && a.PInit <= 1) {
		return registry.Errorf("p_init", "%v must lie above 0, and be at most 1: it is a share of the pixels", a.PInit)
	}
	if a.Loss != "margin" && a.Loss != "cross_entropy" {
		return registry.Errorf("loss", "unknown loss %q: use \"margin\" or \"cross_entropy\"", a.Loss)
	}
	return a.Target.Validate()
}

// Label implements Attack.
func (a *Square) Label() string {
	s := "Square"
	if a.Queries != 5000 {
		s += fmt.Sprintf(" %d queries", a.Queries)
	}
	if a.Loss != "margin" {
		s += " " + a.Loss
	}
	if a.Target != "" {
		s += " targeted"
	}
	if a.Runs > 1 {
		s += fmt.Sprintf(" x%d", a.Runs)
	}
	return s
}

// Restarts implements Attack.
func (a *Square) Restarts() int { return a.Runs }

// Gradients implements Attack.
func (a *Square) Gradients() int { return 0 }

// Forwards is how many forward passes one run takes of an example at the most.
func (a *Square) Forwards() int { return a.Queries }

// At implements Attack.
func (a *Square) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *Square) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	targets, err := a.Target.classes(v, b, d)
	if err != nil {
		return device.Counts{}, err
	}
	goal, err := newObjective(a.Loss, b.Labels, targets, v.Classes())
	if err != nil {
		return device.Counts{}, err
	}
	o := newOracle(v, b, d)
	clean := o.clean()
	out := make([]float32, len(clean))
	memory := newPatchMemory(a, v, len(b.Labels))
	for rows := count(len(b.Labels)); len(rows) > 0; {
		n := min(len(rows), memory.places(len(rows)))
		s := newSearch(a, o, goal, d, clean, rows[:n])
		s.memory = memory
		if err := s.run(out); err != nil {
			return o.counts, err
		}
		rows = rows[n:]
	}
	adv.Upload(out, 0)
	return o.counts, nil
}

// side is the side of query q's square (Andriushchenko et al. 2020, section 3, "schedule").
func (a *Square) side(q int, in nn.Shape) int {
	if a.Rescale {
		q = int(float64(q) / float64(a.Queries) * 10000)
	}
	p := a.PInit
	for _, after := range []int{10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000} {
		if q > after {
			p /= 2
		}
	}
	side := int(math.RoundToEven(math.Sqrt(p * float64(in.H*in.W))))
	if a.Norm == Linf {
		side = max(side, 1)
	} else {
		side = max(side, 3) | 1
	}
	return min(side, in.H, in.W)
}

func init() {
	registry.Register("square", func() Attack {
		return &Square{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Queries: 5000, PInit: 0.8, Runs: 1, Loss: "margin", Rescale: true}
	})
}
