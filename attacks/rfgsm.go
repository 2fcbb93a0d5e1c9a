package attacks

import (
	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// RFGSM is R+FGSM (Tramèr et al. 2018, section 4.1): a step of size Alpha along random signs, which
// leads out of the reach of a masked gradient, then FGSM with what is left of eps.
type RFGSM struct {
	Bound
	// Alpha is the random step; 0 means eps / 2, as in the paper.
	Alpha  configs.Number `toml:"alpha"`
	Runs   int            `toml:"restarts"`
	Target Target         `toml:"target"`
	Loss   string         `toml:"loss"`
}

// Validate implements Attack.
func (a *RFGSM) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	switch {
	case a.Norm != Linf:
		return registry.Errorf("norm", "R+FGSM is a method of %q: elsewhere use fgsm with random_start = true", string(Linf))
	case !(a.Alpha >= 0 && a.Alpha < a.Epsilon):
		return registry.Errorf("alpha", "%v must lie between 0 and eps %v: the gradient's step is the rest", float64(a.Alpha), float64(a.Epsilon))
	case a.Runs < 1:
		return registry.Errorf("restarts", "%d must be at least 1", a.Runs)
	}
	if err := a.Target.Validate(); err != nil {
		return err
	}
	return checkLoss(a.Loss, a.Target != "", setTarget)
}

// CheckClasses implements Classed.
func (a *RFGSM) CheckClasses(n int) error { return lossFits(a.Loss, n) }

// LossName implements Lossy.
func (a *RFGSM) LossName() string { return a.Loss }

// Label implements Attack.
func (a *RFGSM) Label() string {
	return label("R+FGSM", a.Loss, a.Target, a.Runs)
}

// Restarts implements Attack.
func (a *RFGSM) Restarts() int { return a.Runs }

// Gradients implements Attack.
func (a *RFGSM) Gradients() int { return 1 }

// At implements Attack.
func (a *RFGSM) At(epsilon float64) Attack {
	c := *a
	c.Alpha *= configs.Number(epsilon) / a.Epsilon
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *RFGSM) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	n, size, alpha := len(b.Labels), v.Input().Size(), float32(a.Alpha)
	if alpha == 0 {
		alpha = float32(a.Epsilon) / 2
	}
	moved, draw := make([]float32, n*size), make([]float32, size)
	b.X.Download(moved, 0)
	for r := range n {
		x := moved[r*size:][:size]
		d.Stream.Normal(draw, 0, 1, b.Index[r], d.Restart, 0)
		for i, u := range draw {
			step := alpha
			if u < 0 {
				step = -alpha
			}
			x[i] = min(max(x[i]+step, 0), 1)
		}
	}
	start := *b
	start.X = v.New(n * size)
	start.X.Upload(moved, 0)
	rest := float32(a.Epsilon) - alpha
	return ascend(v, &start, adv, d, a.Target, a.Loss, device.Loop{Steps: 1, Norm: device.Linf, Epsilon: rest, StepSize: rest})
}

func init() {
	registry.Register("rfgsm", func() Attack {
		return &RFGSM{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Runs: 1, Loss: "cross_entropy"}
	})
}
