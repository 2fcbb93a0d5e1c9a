// Package attacks finds adversarial examples. An attack proposes; Run projects, clips and judges,
// so that an attack cannot cheat. Attacks differentiate the model at the projected point, in
// evaluation mode, in [0,1] pixel space.
package attacks

import (
	"fmt"
	"math"

	"rampart/configs"
	"rampart/data"
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
	// Data is the data set that they are of, with images of other classes to begin from; nil where
	// there is none, as in training.
	Data *data.Dataset
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

// Minimal is an Attack that looks for the nearest adversarial example rather than for any within
// epsilon. Where Minimal reports true, Run hands every restart all of the examples and keeps the
// nearest; the rate of success still counts those within epsilon.
type Minimal interface {
	Attack
	Minimal() bool
}

// Sequence is an Attack that consists of others, each run on the examples that have survived those
// before it. Its own Perturb is never called.
type Sequence interface {
	Attack
	// Parts are the attacks in their order, on a network of a number of classes.
	Parts(classes int) ([]Attack, error)
}

// Parts are the attacks that Run makes of one: itself, or those of a Sequence.
func Parts(a Attack, v Victim) ([]Attack, error) {
	s, ok := a.(Sequence)
	if !ok {
		return []Attack{a}, nil
	}
	parts, err := s.Parts(v.Classes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Label(), err)
	}
	for _, p := range parts {
		if err := Check(p, v.Input()); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Label(), err)
		}
	}
	return parts, nil
}

// Classed is an Attack that not every number of classes allows.
type Classed interface{ CheckClasses(n int) error }

// CheckClasses reports an attack that a network of so many classes does not allow.
func CheckClasses(a Attack, n int) error {
	if c, ok := a.(Classed); ok {
		if err := c.CheckClasses(n); err != nil {
			return fmt.Errorf("%s: %w", a.Label(), err)
		}
	}
	s, ok := a.(Sequence)
	if !ok {
		return nil
	}
	parts, err := s.Parts(n)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Label(), err)
	}
	for _, p := range parts {
		if err := CheckClasses(p, n); err != nil {
			return fmt.Errorf("%s: %w", a.Label(), err)
		}
	}
	return nil
}

// Lossy is an Attack that ascends a loss with a name, such as "margin".
type Lossy interface{ LossName() string }

// Averaging is an Attack that takes each gradient over a number of draws of a randomised network.
type Averaging interface{ Draws() int }

// Warner is an Attack whose options are valid but may be a mistake.
type Warner interface{ Warnings() []string }

// Norm is "linf", "l2" or "l1".
type Norm string

// The norms.
const (
	Linf Norm = "linf"
	L2   Norm = "l2"
	L1   Norm = "l1"
)

func (n Norm) String() string { return map[Norm]string{Linf: "Linf", L2: "L2", L1: "L1"}[n] }

// Device is the norm as a device.Loop names it.
func (n Norm) Device() device.Norm {
	switch n {
	case L2:
		return device.L2
	case L1:
		return device.L1
	}
	return device.Linf
}

// Threat is what an attacker may do: move an image by at most Epsilon in Norm, pixels in [0,1].
type Threat struct {
	Norm    Norm
	Epsilon configs.Number
}

func (t Threat) String() string { return fmt.Sprintf("%v, eps %.4g", t.Norm, float64(t.Epsilon)) }

// Covers says that an attack under another threat model stays within this one.
func (t Threat) Covers(o Threat) bool {
	return t.Norm == o.Norm && float64(o.Epsilon) <= float64(t.Epsilon)*(1+1e-9)
}

// Validate reports an unknown norm and an epsilon that the norm does not allow.
func (t Threat) Validate() error {
	if t.Norm != Linf && t.Norm != L2 && t.Norm != L1 {
		return registry.Errorf("norm", "unknown norm %q: use %q, %q or %q", string(t.Norm), string(Linf), string(L2), string(L1))
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

// Warnings tells of an epsilon that is valid but looks like one of another norm.
func (t Threat) Warnings(in nn.Shape) []string {
	// What a Linf ball of 1/255 holds: nobody defends against less.
	usual := map[Norm]float64{Linf: 0, L2: math.Sqrt(float64(in.Size())) / 255, L1: float64(in.Size()) / 255}[t.Norm]
	if float64(t.Epsilon) < usual {
		return []string{fmt.Sprintf("%v moves each pixel of a %v image by less than 1/255 on average: is this eps meant for another norm?", t, in)}
	}
	return nil
}

// fits reports an epsilon that reaches every image from every other: no threat model.
func (t Threat) fits(in nn.Shape) error {
	diameter := map[Norm]float64{Linf: math.Inf(1), L2: math.Sqrt(float64(in.Size())), L1: float64(in.Size())}[t.Norm]
	if float64(t.Epsilon) >= diameter {
		return fmt.Errorf("%v eps %v reaches every image from every other: the distance of black and white in %v is %.4g", t.Norm, float64(t.Epsilon), in, diameter)
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

// Within sets them.
func (b *Bound) Within(t Threat) { *b = Bound(t) }

// Validate reports what the norm does not allow.
func (b Bound) Validate() error { return b.Threat().Validate() }
