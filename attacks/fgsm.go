package attacks

import (
	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// FGSM is the fast gradient sign method (Goodfellow et al. 2015), one step of size eps from the
// clean image; in L2 the step goes along the gradient, in L1 along the signs of its largest
// entries. With RandomStart the step begins at a uniform point of the ball and is StepSize long
// (Wong et al. 2020, algorithm 3).
type FGSM struct {
	Bound
	Sparse
	RandomStart bool `toml:"random_start"`
	// StepSize is that of a random start; 0 means 1.25 eps, as in the paper. Without a random
	// start the step is eps.
	StepSize configs.Number `toml:"step_size"`
	Target   Target         `toml:"target"`
	Loss     string         `toml:"loss"`
}

// Validate implements Attack.
func (a *FGSM) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if err := a.Sparse.validate(a.Norm); err != nil {
		return err
	}
	if a.StepSize < 0 {
		return registry.Errorf("step_size", "%v must not be negative", float64(a.StepSize))
	}
	if a.StepSize > 0 && !a.RandomStart {
		return registry.Errorf("step_size", "belongs to random_start = true: without it FGSM's step is eps")
	}
	if err := a.Target.Validate(); err != nil {
		return err
	}
	return checkLoss(a.Loss, a.Target != "", setTarget)
}

// CheckClasses implements Classed.
func (a *FGSM) CheckClasses(n int) error { return lossFits(a.Loss, n) }

// Label implements Attack.
func (a *FGSM) Label() string {
	s := "FGSM"
	if a.RandomStart {
		s = "FGSM-RS"
	}
	return label(s, a.Loss, a.Target, 1)
}

// Restarts implements Attack.
func (a *FGSM) Restarts() int { return 1 }

// Gradients implements Attack.
func (a *FGSM) Gradients() int { return 1 }

// At implements Attack.
func (a *FGSM) At(epsilon float64) Attack {
	c := *a
	c.StepSize *= configs.Number(epsilon) / a.Epsilon
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *FGSM) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	step, start := a.Epsilon, device.FromClean
	if a.RandomStart {
		start, step = device.FromUniform, a.StepSize
		if step == 0 {
			step = 1.25 * a.Epsilon
		}
	}
	return ascend(v, b, adv, d, a.Target, a.Loss, device.Loop{Steps: 1, Norm: a.Norm.Device(),
		Epsilon: float32(a.Epsilon), StepSize: float32(step), Sparsity: a.share(a.Norm), Start: start})
}

func init() {
	registry.Register("fgsm", func() Attack {
		return &FGSM{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Loss: "cross_entropy"}
	})
}
