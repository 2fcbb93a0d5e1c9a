package attacks

import (
	"fmt"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// Expectation runs an attack on a randomised network seen in expectation; see EOT.
type Expectation struct {
	Samples int `toml:"samples"`
	Nested
}

// Validate implements Attack.
func (a *Expectation) Validate() error {
	if a.Samples < 1 {
		return registry.Errorf("samples", "%d must be at least 1", a.Samples)
	}
	return a.validate()
}

// Label implements Attack.
func (a *Expectation) Label() string {
	return fmt.Sprintf("EOT-%d %s", a.Samples, a.Attack.Value.Label())
}

// Draws implements Averaging.
func (a *Expectation) Draws() int { return a.Samples }

// Gradients implements Attack.
func (a *Expectation) Gradients() int { return a.Samples * a.Attack.Value.Gradients() }

// At implements Attack.
func (a *Expectation) At(epsilon float64) Attack {
	return &Expectation{Samples: a.Samples, Nested: a.at(epsilon)}
}

// Perturb implements Attack.
func (a *Expectation) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	mean := EOT{v, a.Samples}
	c, err := a.Attack.Value.Perturb(mean, b, adv, d)
	return mean.passes(c), err
}

func init() {
	registry.Register("eot", func() Attack { return &Expectation{Samples: 20, Nested: nest("pgd")} })
}
