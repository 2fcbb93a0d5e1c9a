// Package transform holds the transformations that can stand between an image and a network:
// compression, filters, noise. They harden little by themselves (Athalye et al. 2018): most of what
// they seem to gain is gone once the attack knows them, which is how a Network here is attacked.
package transform

import (
	"rampart/nn"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Transform changes an image before a network sees it. It is a pointer to a struct whose fields
// tagged `toml:"..."` are its options; it keeps nothing between calls, which may be concurrent.
// Adding one takes one file that calls
//
//	func init() { registry.Register[Transform]("name", func() Transform { return &Name{Placed: deployed} }) }
type Transform interface {
	Validate() error
	// Fits reports why images of a shape cannot be transformed.
	Fits(in nn.Shape) error
	// Label names the transformation with its options, such as "JPEG (quality 75)".
	Label() string
	// Training reports whether the network learns behind the transformation, too.
	Training() bool
	// Gradient says what Backward is, and Random whether Forward draws random numbers.
	Gradient() Gradient
	Random() bool
	// Forward transforms v.X, within its shape.
	Forward(v *View)
	// Backward turns dx, the gradient at the output, into the one at the input v.X, in place, with
	// the draws of Forward. v.X is not changed.
	Backward(dx []float32, v *View)
}

// Ordered is a transformation that keeps order, also as it rounds: where values of its input rise, none of its
// output falls. Bounds of an image go through it then, by their two ends.
type Ordered interface{ ordered() }

// monotone is an Ordered transformation.
type monotone struct{}

func (monotone) ordered() {}

// Gradient is what an attack gets in the place of a transformation's derivative.
type Gradient string

// The gradients.
const (
	Exact Gradient = "its gradient"
	// Identity is BPDA (Athalye et al. 2018, section 4.1): the output is near the input, so the
	// gradient there stands for the one here.
	Identity Gradient = "BPDA (identity)"
)

// View is an image on its way.
type View struct {
	In nn.Shape
	X  []float32 // [H,W,C]
	// Stream at (Example, Restart, Step) gives the random numbers of this image and question.
	Stream                 rng.Stream
	Example, Restart, Step uint32
}

// Sequence reads the view's random numbers.
func (v *View) Sequence() rng.Sequence { return v.Stream.Sequence(v.Example, v.Restart, v.Step) }

// Placed gives a transformation its option when.
type Placed struct {
	// When is "deploy", from the evaluation on, or "always", in training too.
	When string `toml:"when"`
}

// deployed is the default: the network is trained without the transformation.
var deployed = Placed{When: "deploy"}

// Training implements Transform.
func (p Placed) Training() bool { return p.When == "always" }

// Validate reports another place.
func (p Placed) Validate() error {
	if p.When != "deploy" && p.When != "always" {
		return registry.Errorf("when", `%q: use "deploy" (from the evaluation on) or "always" (in training too)`, p.When)
	}
	return nil
}

// anyShape is Fits of a transformation for all images.
type anyShape struct{}

// Fits implements Transform.
func (anyShape) Fits(nn.Shape) error { return nil }

// fixed is a transformation without random numbers.
type fixed struct{}

// Random implements Transform.
func (fixed) Random() bool { return false }

// straight is a transformation whose gradient the identity stands for.
type straight struct{}

// Gradient implements Transform.
func (straight) Gradient() Gradient { return Identity }

// Backward implements Transform.
func (straight) Backward([]float32, *View) {}

// exact is a transformation with a gradient of its own.
type exact struct{}

// Gradient implements Transform.
func (exact) Gradient() Gradient { return Exact }

func init() { registry.Kind[Transform]("transformation") }
