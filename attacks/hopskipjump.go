package attacks

import (
	"errors"
	"fmt"
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// HopSkipJump sees nothing of a network but its decisions (Chen et al. 2020, algorithm 2): from an
// adversarial image at the boundary it estimates the boundary's direction by random probes, goes
// out along it, and comes back by bisection. It looks for the nearest adversarial example in L2 or
// Linf; eps only says which count as a success. With a target it begins from images that the data
// set has of that class and the network takes for it, and every iterate is taken for it, too.
type HopSkipJump struct {
	Bound
	// Steps is the number of such rounds at the most, Queries that of decisions on an example.
	Steps   int `toml:"steps"`
	Queries int `toml:"max_queries"`
	// Probes is the number of the first round's probes: round t takes sqrt(t) times as many, up to
	// MaxProbes.
	Probes    int `toml:"initial_num_evals"`
	MaxProbes int `toml:"max_num_evals"`
	// Gamma scales the bisection's precision, gamma d^-3/2 in L2 and gamma d^-2 in Linf.
	Gamma configs.Number `toml:"gamma"`
	// StepSearch says how far a round goes out: "geometric_progression" halves the step until it is
	// adversarial, as in the paper; "grid_search", of the authors' code, takes the best of twenty.
	StepSearch string `toml:"stepsize_search"`
	// Starts is how many images are tried as the first adversarial one: random ones, or with a target
	// the data set's.
	Starts int    `toml:"init_tries"`
	Target Target `toml:"target"`
}

// How HopSkipJump searches for its step.
const (
	geometricSteps = "geometric_progression"
	gridSteps      = "grid_search"
)

// Validate implements Attack.
func (a *HopSkipJump) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if a.Norm == L1 {
		return registry.Errorf("norm", "HopSkipJump knows %q and %q", string(Linf), string(L2))
	}
	for _, o := range []struct {
		key   string
		value int
	}{{"steps", a.Steps}, {"max_queries", a.Queries}, {"initial_num_evals", a.Probes}, {"max_num_evals", a.MaxProbes}, {"init_tries", a.Starts}} {
		if o.value < 1 {
			return registry.Errorf(o.key, "%d must be at least 1", o.value)
		}
	}
	if !(a.Gamma > 0) {
		return registry.Errorf("gamma", "%v must be above 0", float64(a.Gamma))
	}
	if a.StepSearch != geometricSteps && a.StepSearch != gridSteps {
		return registry.Errorf("stepsize_search", "unknown search %q: use %q or %q", a.StepSearch, geometricSteps, gridSteps)
	}
	if a.Target == "least_likely" {
		return registry.Errorf("target", `%q takes more than decisions to know: use "random" or "next"`, string(a.Target))
	}
	return a.Target.Validate()
}

// Label implements Attack.
func (a *HopSkipJump) Label() string {
	s := fmt.Sprintf("HopSkipJump-%d", a.Queries)
	if a.Target != "" {
		s += " targeted"
	}
	return s
}

// Restarts implements Attack.
func (a *HopSkipJump) Restarts() int { return 1 }

// Gradients implements Attack.
func (a *HopSkipJump) Gradients() int { return 0 }

// Forwards is how many forward passes one run takes of an example at the most.
func (a *HopSkipJump) Forwards() int { return a.Queries }

// Minimal implements Minimal.
func (a *HopSkipJump) Minimal() bool { return true }

// At implements Attack. The search does not depend on epsilon.
func (a *HopSkipJump) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *HopSkipJump) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	targets, err := a.Target.classes(v, b, d)
	if err != nil {
		return device.Counts{}, err
	}
	if targets != nil && b.Data == nil {
		return device.Counts{}, errors.New("a targeted HopSkipJump begins from a data set's images of the target class, and there is no data set here: it is for evaluation, not for training")
	}
	h := newHops(a, v, b, d)
	h.targets = targets
	rows, err := h.start()
	if err == nil {
		rows, err = h.toBoundary(rows)
	}
	for t := 1; err == nil && t <= a.Steps && len(rows) > 0; t++ {
		probes := int(min(float64(a.Probes)*math.Sqrt(float64(t)), float64(a.MaxProbes)))
		if rows, err = h.estimate(h.afford(rows, probes), t, probes); err != nil {
			break
		}
		if a.StepSearch == gridSteps {
			rows, err = h.grid(rows)
			continue
		}
		if rows, err = h.hop(rows, t); err == nil {
			rows, err = h.toBoundary(rows)
		}
	}
	if err != nil {
		return h.o.counts, err
	}
	adv.Upload(h.best, 0)
	return h.o.counts, nil
}

func init() {
	registry.Register("hopskipjump", func() Attack {
		return &HopSkipJump{Bound: Bound{Norm: L2, Epsilon: 2}, Steps: 64, Queries: 25000, Probes: 100, MaxProbes: 10000, Gamma: 1, StepSearch: geometricSteps, Starts: 100}
	})
}
