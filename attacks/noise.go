package attacks

import (
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Noise moves each image to a randomly drawn point of the ball: no attack, but the floor that
// every attack must beat.
type Noise struct {
	Bound
	// Distribution is "uniform" in the ball, or "gaussian": independent normal pixels, in Linf with
	// standard deviation eps, in L2 and L1 so that the perturbation is eps long on average; what
	// lies outside the ball is projected.
	Distribution string `toml:"distribution"`
	// Runs is how many points are tried.
	Runs int `toml:"restarts"`
}

// Validate implements Attack.
func (a *Noise) Validate() error {
	if a.Runs < 1 {
		return registry.Errorf("restarts", "%d must be at least 1", a.Runs)
	}
	if d := a.Distribution; d != "" && d != uniform && d != gaussian {
		return registry.Errorf("distribution", "unknown distribution %q: use %q or %q", d, uniform, gaussian)
	}
	return a.Bound.Validate()
}

const uniform, gaussian = "uniform", "gaussian"

// Label implements Attack.
func (a *Noise) Label() string {
	if a.Distribution == gaussian {
		return "Gaussian noise"
	}
	return "noise"
}

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
	if a.Distribution == gaussian {
		return device.Counts{}, a.normal(v, b, adv, d)
	}
	return ascend(v, b, adv, d, "", "cross_entropy", device.Loop{Norm: a.Norm.Device(), Epsilon: float32(a.Epsilon), Start: device.FromUniform})
}

func (a *Noise) normal(v Victim, b *Batch, adv device.Tensor, d Draw) error {
	n, size := len(b.Labels), v.Input().Size()
	std := float64(a.Epsilon)
	switch a.Norm {
	case L2:
		std /= math.Sqrt(float64(size))
	case L1: // a normal pixel's size is sqrt(2/pi) standard deviations on average
		std /= float64(size) * math.Sqrt(2/math.Pi)
	}
	clean, moved := make([]float32, n*size), make([]float32, n*size)
	b.X.Download(clean, 0)
	for r := range n {
		x := moved[r*size:][:size]
		d.Stream.Normal(x, 0, float32(std), b.Index[r], d.Restart, 0)
		for i, c := range clean[r*size:][:size] {
			x[i] += c
		}
		a.Threat().Project(x, clean[r*size:])
	}
	adv.Upload(moved, 0)
	return nil
}

func init() {
	registry.Kind[Attack]("attack")
	registry.Register("noise", func() Attack { return &Noise{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Distribution: uniform, Runs: 1} })
}
