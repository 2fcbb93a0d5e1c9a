package attacks

import (
	"fmt"
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// MIFGSM is the momentum iterative method (Dong et al. 2018, algorithm 1): steps along a sum of
// normalised gradients, of which the earlier ones weigh less by Decay each time; in Linf along its
// sign, in L2 along the sum itself.
type MIFGSM struct {
	Bound
	Steps int `toml:"steps"`
	// StepSize 0 means eps / steps, as in the paper.
	StepSize configs.Number `toml:"step_size"`
	Decay    configs.Number `toml:"decay"`
	// Normalise is the norm that makes gradients of different steps comparable: "l1" as in the
	// paper, or "l2".
	Normalise Norm `toml:"normalise"`
	// RandomStart begins at a uniform point of the ball, in each of Runs runs.
	RandomStart bool   `toml:"random_start"`
	Runs        int    `toml:"restarts"`
	Target      Target `toml:"target"`
	Loss        string `toml:"loss"`
	EarlyStop   bool   `toml:"early_stop"`
	KeepBest    bool   `toml:"keep_best"`
}

// Validate implements Attack.
func (a *MIFGSM) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	switch {
	case a.Norm == L1:
		return registry.Errorf("norm", "MI-FGSM knows %q and %q", string(Linf), string(L2))
	case a.Steps < 1:
		return registry.Errorf("steps", "%d must be at least 1", a.Steps)
	case !(a.StepSize >= 0):
		return registry.Errorf("step_size", "%v must not be negative", float64(a.StepSize))
	case !(a.Decay >= 0):
		return registry.Errorf("decay", "%v must not be negative", float64(a.Decay))
	case a.Normalise != L1 && a.Normalise != L2:
		return registry.Errorf("normalise", "unknown norm %q: use %q or %q", string(a.Normalise), string(L1), string(L2))
	}
	if err := checkRuns(a.Runs, a.RandomStart); err != nil {
		return err
	}
	if err := a.Target.Validate(); err != nil {
		return err
	}
	return checkLoss(a.Loss, a.Target != "", setTarget)
}

// CheckClasses implements Classed.
func (a *MIFGSM) CheckClasses(n int) error { return lossFits(a.Loss, n) }

// LossName implements Lossy.
func (a *MIFGSM) LossName() string { return a.Loss }

// Label implements Attack.
func (a *MIFGSM) Label() string {
	return label(fmt.Sprintf("MI-FGSM-%d", a.Steps), a.Loss, a.Target, a.Runs)
}

// Restarts implements Attack.
func (a *MIFGSM) Restarts() int { return a.Runs }

// Gradients implements Attack.
func (a *MIFGSM) Gradients() int { return a.Steps }

// At implements Attack.
func (a *MIFGSM) At(epsilon float64) Attack {
	c := *a
	c.StepSize *= configs.Number(epsilon) / a.Epsilon
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *MIFGSM) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	step := a.StepSize
	if step == 0 {
		step = a.Epsilon / configs.Number(a.Steps)
	}
	size := v.Input().Size()
	sums := make([]float64, len(b.Labels)*size)
	return ascend(momentum{v, a, sums, size}, b, adv, d, a.Target, a.Loss, device.Loop{Steps: a.Steps, Norm: a.Norm.Device(),
		Epsilon: float32(a.Epsilon), StepSize: float32(step), Start: startAt(a.RandomStart), EarlyStop: a.EarlyStop, KeepBest: a.KeepBest})
}

// momentum is a Victim whose loop goes along the sum of gradients.
type momentum struct {
	Victim
	a    *MIFGSM
	sums []float64 // by row
	size int
}

func (v momentum) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return iterate(v.Victim, c, l, func(r int, gradient []float32) {
		length := v.a.Normalise.length(gradient)
		for i, g := range gradient {
			sum := &v.sums[r*v.size+i]
			*sum *= float64(v.a.Decay)
			if length > 0 && !math.IsInf(length, 0) {
				*sum += float64(g) / length
			}
			gradient[i] = float32(*sum)
		}
	})
}

func init() {
	registry.Register("mifgsm", func() Attack {
		return &MIFGSM{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Steps: 10, Decay: 1, Normalise: L1, Runs: 1, Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
	})
}
