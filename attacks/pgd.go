package attacks

import (
	"fmt"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// PGD is projected gradient descent (Madry et al. 2018, section 2.1; Kurakin et al. 2017 without
// the random start): steps along the sign of the gradient (Linf), the gradient (L2) or the signs
// of its largest entries (L1), each followed by the projection onto the ball and [0,1].
type PGD struct {
	Bound
	Sparse
	StepSize    configs.Number `toml:"step_size"`
	Steps       int            `toml:"steps"`
	RandomStart bool           `toml:"random_start"`
	// Runs is the number of random restarts, the first run included.
	Runs   int    `toml:"restarts"`
	Target Target `toml:"target"`
	// Loss is what the attack ascends: a loss's name. With a target, one that takes label and
	// target, such as "targeted_dlr", is content with any wrong class; the others are turned round.
	Loss string `toml:"loss"`
	// EarlyStop leaves an example as soon as it is misclassified.
	EarlyStop bool `toml:"early_stop"`
	// KeepBest returns the iterate of highest loss, adversarial ones first, for one more forward
	// pass; otherwise the last iterate.
	KeepBest bool `toml:"keep_best"`
}

// Validate implements Attack.
func (a *PGD) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if a.Steps < 1 {
		return registry.Errorf("steps", "%d must be at least 1", a.Steps)
	}
	if !(a.StepSize > 0) {
		return registry.Errorf("step_size", "%v must be above 0", float64(a.StepSize))
	}
	if err := a.Sparse.validate(a.Norm); err != nil {
		return err
	}
	if err := checkRuns(a.Runs, a.RandomStart); err != nil {
		return err
	}
	if err := a.Target.Validate(); err != nil {
		return err
	}
	return checkLoss(a.Loss, a.Target != "", setTarget)
}

// checkRuns reports a number of runs that cannot be, or that would all be the same.
func checkRuns(runs int, random bool) error {
	if runs < 1 {
		return registry.Errorf("restarts", "%d must be at least 1", runs)
	}
	if runs > 1 && !random {
		return registry.Errorf("restarts", "%d runs without a random start would all be the same", runs)
	}
	return nil
}

// startAt is where a loop of gradient steps begins.
func startAt(random bool) device.Start {
	if random {
		return device.FromUniform
	}
	return device.FromClean
}

// CheckClasses implements Classed.
func (a *PGD) CheckClasses(n int) error { return lossFits(a.Loss, n) }

// Warnings implements Warner.
func (a *PGD) Warnings() []string {
	if reach := float64(a.StepSize) * float64(a.Steps); reach < float64(a.Epsilon)*(1-1e-9) {
		return []string{fmt.Sprintf("%s: %d steps of %.4g reach %.4g, less than eps %.4g: the attack cannot use its whole budget",
			a.Label(), a.Steps, float64(a.StepSize), reach, float64(a.Epsilon))}
	}
	return nil
}

// Label implements Attack.
func (a *PGD) Label() string {
	return label(fmt.Sprintf("PGD-%d", a.Steps), a.Loss, a.Target, a.Runs)
}

// Restarts implements Attack.
func (a *PGD) Restarts() int { return a.Runs }

// Once implements Once.
func (a *PGD) Once() Attack {
	c := *a
	c.Runs = 1
	return &c
}

// LossName implements Lossy.
func (a *PGD) LossName() string { return a.Loss }

// Gradients implements Attack.
func (a *PGD) Gradients() int { return a.Steps }

// At implements Attack.
func (a *PGD) At(epsilon float64) Attack {
	c := *a
	c.StepSize *= configs.Number(epsilon) / a.Epsilon
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *PGD) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	return ascend(v, b, adv, d, a.Target, a.Loss, device.Loop{Steps: a.Steps, Norm: a.Norm.Device(),
		Epsilon: float32(a.Epsilon), StepSize: float32(a.StepSize), Sparsity: a.share(a.Norm), Start: startAt(a.RandomStart), EarlyStop: a.EarlyStop, KeepBest: a.KeepBest})
}

// ascend runs a loop of gradient steps on the victim's device.
func ascend(v Victim, b *Batch, adv device.Tensor, d Draw, target Target, lossName string, l device.Loop) (device.Counts, error) {
	targets, err := target.classes(v, b, d)
	if err != nil {
		return device.Counts{}, err
	}
	goal, err := newObjective(lossName, b.Labels, targets, v.Classes())
	if err != nil {
		return device.Counts{}, err
	}
	l.Restart, l.Noise, l.Example, l.Adv, l.Targeted = d.Restart, d.Stream, b.Index, adv, goal.inverted
	c := &device.Call{Rows: len(b.Labels), X: b.X, Labels: goal.labels, Loss: goal.loss, Scale: 1}
	if goal.soft != nil {
		c.Soft = v.New(len(goal.soft))
		c.Soft.Upload(goal.soft, 0)
	}
	return v.Iterate(c, &l)
}

func init() {
	registry.Register("pgd", func() Attack {
		return &PGD{Bound: Bound{Norm: Linf, Epsilon: 0.3}, StepSize: 0.01, Steps: 40, RandomStart: true, Runs: 1,
			Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
	})
}
