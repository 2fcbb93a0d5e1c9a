package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rampart/configs"
	"rampart/nn"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Chain is a list of transformations, applied in its order. Its JSON is kept in checkpoints.
type Chain []configs.Choice[Transform]

// Training are the transformations that the network learns behind.
func (c Chain) Training() (list Chain) {
	for _, t := range c {
		if t.Value.Training() {
			list = append(list, t)
		}
	}
	return list
}

// Random reports whether any transformation draws random numbers.
func (c Chain) Random() bool {
	return slices.ContainsFunc(c, func(t configs.Choice[Transform]) bool { return t.Value.Random() })
}

// Substituted reports whether the identity stands for the gradient of any transformation.
func (c Chain) Substituted() bool {
	return slices.ContainsFunc(c, func(t configs.Choice[Transform]) bool { return t.Value.Gradient() == Identity })
}

// Label names the transformations, "" for none.
func (c Chain) Label() string {
	return c.join(func(t Transform) string { return t.Label() })
}

// Gradients says, for each transformation, what attacks take for its gradient.
func (c Chain) Gradients() string {
	return c.join(func(t Transform) string { return fmt.Sprintf("%s by %s", t.Label(), t.Gradient()) })
}

func (c Chain) join(name func(t Transform) string) string {
	var list []string
	for _, t := range c {
		list = append(list, name(t.Value))
	}
	return strings.Join(list, ", ")
}

// Bounds is the chain as bounds of images of a shape go through it: in place, for either end. It is nil for an
// empty chain, and an error for one that does not keep order.
func (c Chain) Bounds(in nn.Shape) (func(image []float32), error) {
	for _, t := range c {
		if _, ok := t.Value.(Ordered); !ok {
			return nil, fmt.Errorf("bounds do not go through %s", t.Value.Label())
		}
	}
	if len(c) == 0 {
		return nil, nil
	}
	b := c.bind(in, 0)
	return func(image []float32) { b.Forward(image, 0, 0) }, nil
}

// Fits reports a transformation that images of a shape do not allow.
func (c Chain) Fits(in nn.Shape) error {
	for i, t := range c {
		if err := t.Value.Fits(in); err != nil {
			return fmt.Errorf("transformation %d (%s) for images of %v: %w", i+1, t.Name, in, err)
		}
	}
	return nil
}

type choiceJSON struct {
	Name    string          `json:"name"`
	Options json.RawMessage `json:"options"`
}

// MarshalJSON encodes the chain for a checkpoint.
func (c Chain) MarshalJSON() ([]byte, error) {
	list := make([]choiceJSON, len(c))
	for i, t := range c {
		raw, err := json.Marshal(t.Value)
		if err != nil {
			return nil, err
		}
		list[i] = choiceJSON{t.Name, raw}
	}
	return json.Marshal(list)
}

// UnmarshalJSON decodes what MarshalJSON wrote; an unknown name and options that are wrong are errors.
func (c *Chain) UnmarshalJSON(b []byte) error {
	var list []choiceJSON
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*c = nil
	for _, j := range list {
		t, err := registry.New[Transform](j.Name)
		if err != nil {
			return err
		}
		if len(j.Options) == 0 {
			return fmt.Errorf("transformation %q: its options are missing", j.Name)
		}
		if err = json.Unmarshal(j.Options, t); err == nil {
			err = t.Validate()
		}
		if wrong, ok := errors.AsType[*registry.KeyError](err); ok {
			err = fmt.Errorf("%s: %w", wrong.Key, wrong.Err)
		}
		if err != nil {
			return fmt.Errorf("options of the transformation %q: %w", j.Name, err)
		}
		*c = append(*c, configs.Choice[Transform]{Name: j.Name, Value: t})
	}
	return nil
}

// bound is a chain for images of a shape, with its random numbers: an attacks.Step.
type bound struct {
	chain   Chain
	in      nn.Shape
	streams []rng.Stream // by transformation
}

func (c Chain) bind(in nn.Shape, seed uint64) *bound {
	b := &bound{chain: c, in: in}
	for i := range c {
		b.streams = append(b.streams, rng.New(seed, fmt.Sprintf("transform/%d", i)))
	}
	return b
}

func (b *bound) view(i int, x []float32, noise uint64, example uint32) *View {
	return &View{In: b.in, X: x, Stream: b.streams[i], Example: example, Restart: uint32(noise >> 32), Step: uint32(noise)}
}

// Forward implements attacks.Step.
func (b *bound) Forward(x []float32, noise uint64, example uint32) {
	for i, t := range b.chain {
		t.Value.Forward(b.view(i, x, noise, example))
	}
}

// Backward implements attacks.Step.
func (b *bound) Backward(dx, x []float32, noise uint64, example uint32) {
	inputs := make([][]float32, len(b.chain))
	inputs[0] = x
	for i, t := range b.chain[:len(b.chain)-1] {
		inputs[i+1] = slices.Clone(inputs[i])
		t.Value.Forward(b.view(i, inputs[i+1], noise, example))
	}
	for i, t := range slices.Backward(b.chain) {
		t.Value.Backward(dx, b.view(i, inputs[i], noise, example))
	}
}
