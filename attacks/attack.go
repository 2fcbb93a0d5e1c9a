// Package attacks finds adversarial examples. An attack proposes; Run projects, clips and judges,
// so that an attack cannot cheat. Attacks differentiate the model at the projected point, in
// evaluation mode, in [0,1] pixel space.
package attacks

import (
	"fmt"
	"math"

	"rampart/configs"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Victim is what an attack may ask of a network. A *nn.Model is one.
type Victim interface {
	Input() nn.Shape
	Classes() int
	// Rows is the most examples that one call takes.
	Rows() int
	// New returns zeroed memory of the victim's device.
	New(n int) device.Tensor
	// Logits, InputGrad and Iterate are in evaluation mode; see nn.Model.
	Logits(*device.Call) error
	InputGrad(*device.Call) error
	Iterate(*device.Call, *device.Loop) (device.Counts, error)
}

// Batch is a number of examples on the victim's device.
type Batch struct {
	X      device.Tensor
	Labels []int32
	// Index numbers each example in its data set: random numbers are counted by it, so that a
	// result depends on neither batch size nor order.
	Index []uint32
}

// Draw says which random numbers a run of an attack takes.
type Draw struct {
	Stream rng.Stream
	// Restart numbers the runs on one example.
	Restart uint32
}

// Attack is one method with its options.
//
// Perturb writes to adv, shaped like b.X, what it found for each example; it need not be valid
// (Run projects it) nor adversarial. It must not keep state between calls.
type Attack interface {
	Validate() error
	// Label names the attack in tables, such as "PGD-40".
	Label() string
	Threat() Threat
	// Restarts is how often Run starts Perturb on an example at the most.
	Restarts() int
	// Gradients is how many gradients one run takes of an example at the most.
	Gradients() int
	// At returns a copy of the attack for another epsilon, with its step in proportion.
	At(epsilon float64) Attack
	Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error)
}

// Warner is an Attack whose options are valid but may be a mistake.
type Warner interface{ Warnings() []string }

// Norm is "linf" or "l2".
type Norm string

// The norms.
const (
	Linf Norm = "linf"
	L2   Norm = "l2"
)

func (n Norm) String() string { return map[Norm]string{Linf: "Linf", L2: "L2"}[n] }

func (n Norm) device() device.Norm {
	if n == L2 {
		return device.L2
	}
	return device.Linf
}

// Threat is what an attacker may do: move an image by at most Epsilon in Norm, pixels in [0,1].
type Threat struct {
	Norm    Norm
	Epsilon configs.Number
}

func (t Threat) String() string { return fmt.Sprintf("%v, eps %.4g", t.Norm, float64(t.Epsilon)) }

// Validate reports an unknown norm and an epsilon that the norm does not allow.
func (t Threat) Validate() error {
	if t.Norm != Linf && t.Norm != L2 {
		return registry.Errorf("norm", "unknown norm %q: use %q or %q", string(t.Norm), string(Linf), string(L2))
	}
	eps := float64(t.Epsilon)
	if !(eps > 0) {
		return registry.Errorf("eps", "%v must be above 0", eps)
	}
	if t.Norm == Linf && eps > 1 {
		return registry.Errorf("eps", "%v is more than the whole range of a pixel in [0,1]: in Linf use a value such as 0.3 or \"8/255\"", eps)
	}
	if most := 255 * math.Sqrt(3); t.Norm == L2 && eps > most {
		return registry.Errorf("eps", "%v is larger than any L2 distance between images with pixels in [0,1]", eps)
	}
	return nil
}

// fits reports an epsilon that reaches every image from every other: no threat model.
func (t Threat) fits(in nn.Shape) error {
	if diameter := math.Sqrt(float64(in.Size())); t.Norm == L2 && float64(t.Epsilon) >= diameter {
		return fmt.Errorf("L2 eps %v reaches every image from every other: the distance of black and white in %v is %.4g", float64(t.Epsilon), in, diameter)
	}
	return nil
}

// Check reports options that are wrong, or that make no threat model for images of a shape.
func Check(a Attack, in nn.Shape) error {
	err := a.Validate()
	if err == nil {
		err = a.Threat().fits(in)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.Label(), err)
	}
	return nil
}

// LossNamed returns a loss that attacks can ascend.
func LossNamed(name string) (device.Loss, error) {
	l, err := registry.New[device.Loss](name)
	if err != nil {
		return nil, &registry.KeyError{Key: "loss", Err: err}
	}
	return l, nil
}

// Bound gives an attack its options norm and eps.
type Bound struct {
	Norm    Norm           `toml:"norm"`
	Epsilon configs.Number `toml:"eps"`
}

// Threat implements Attack.
func (b Bound) Threat() Threat { return Threat(b) }

// Validate reports what the norm does not allow.
func (b Bound) Validate() error { return b.Threat().Validate() }
