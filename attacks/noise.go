package attacks

import (
	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Noise moves each image to a uniformly drawn point of the ball: no attack, but the floor that
// every attack must beat.
type Noise struct {
	Bound
	// Runs is how many points are tried.
	Runs int `toml:"restarts"`
}

// Validate implements Attack.
func (a *Noise) Validate() error {
	if a.Runs < 1 {
		return registry.Errorf("restarts", "%d must be at least 1", a.Runs)
	}
	return a.Bound.Validate()
}

// Label implements Attack.
func (a *Noise) Label() string { return "noise" }

// Restarts implements Attack.
func (a *Noise) Restarts() int { return a.Runs }

// Gradients implements Attack.
func (a *Noise) Gradients() int { return 0 }

// At implements Attack.
func (a *Noise) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *Noise) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	return ascend(v, b, adv, d, "", "cross_entropy", device.Loop{Norm: a.Norm.Device(), Epsilon: float32(a.Epsilon), Start: device.FromUniform})
}

func init() {
	registry.Kind[Attack]("attack")
	registry.Register("noise", func() Attack { return &Noise{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Runs: 1} })
}
