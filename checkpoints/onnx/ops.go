package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"rampart/nn"
)

// call is a node with its inputs: each is a value or a constant, or left out.
type call struct {
	*translator
	*node
	in []*value
	c  []*constant
}

// constant returns input i, which must not depend on the network's input; nil where it is left out.
func (c *call) constant(i int, what string) (*constant, error) {
	if i >= len(c.c) {
		return nil, nil
	}
	if c.in[i] != nil {
		return nil, fmt.Errorf("its %s depends on the image: that is not supported", what)
	}
	return c.c[i], nil
}

// vector is an input of n numbers.
func (c *call) vector(i, n int, what string) ([]float32, error) {
	v, err := c.constant(i, what)
	if err != nil {
		return nil, err
	}
	if v == nil || v.whole || v.len() != n {
		return nil, fmt.Errorf("its %s must be %d numbers", what, n)
	}
	return v.floats, nil
}

// operations translate nodes that depend on the network's input.
var operations map[string]func(c *call) (*value, error)

func init() { // its functions refer to it
	operations = map[string]func(c *call) (*value, error){
		"Identity": (*call).pass, "Dropout": (*call).pass, "Cast": (*call).cast,
		"Softmax": (*call).softmax, "LogSoftmax": (*call).softmax,
		"Relu": (*call).relu, "Clip": (*call).clip, "LeakyRelu": (*call).leakyRelu,
		"Sigmoid": (*call).smooth, "Tanh": (*call).smooth, "Gelu": (*call).smooth,
		"Neg": (*call).negate,
		"Add": (*call).arithmetic, "Sub": (*call).arithmetic, "Mul": (*call).arithmetic, "Div": (*call).arithmetic,
		"Sum":     (*call).sum,
		"Flatten": (*call).reshape, "Reshape": (*call).reshape, "Squeeze": (*call).reshape, "Unsqueeze": (*call).reshape,
		"Transpose": (*call).transpose, "Concat": (*call).concat, "Pad": (*call).pad,
		"Conv": (*call).conv, "Gemm": (*call).gemm, "MatMul": (*call).matmul,
		"MaxPool": (*call).pool, "AveragePool": (*call).pool,
		"GlobalAveragePool": (*call).globalPool, "GlobalMaxPool": (*call).globalPool, "ReduceMean": (*call).reduce,
		"BatchNormalization": (*call).normalize,
	}
}

// passive are the operations that may follow a softmax at the end.
var passive = []string{"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"}

func (t *translator) apply(n *node, in []*value, constants []*constant) error {
	f := operations[n.op]
	if f == nil {
		return errors.New("the operation is not supported")
	}
	for _, v := range in {
		if v != nil && v.ended != "" && !slices.Contains(passive, n.op) {
			return fmt.Errorf("it follows %s, which is supported only at the end of the network", v.ended)
		}
	}
	if in[0] == nil && !slices.Contains([]string{"Add", "Sub", "Mul", "Div", "Sum", "Concat"}, n.op) {
		return errors.New("its first input is a constant, where another depends on the image: that is not supported")
	}
	v, err := f(&call{t, n, in, constants})
	if err != nil {
		return err
	}
	if size, ok := product(v.dims()); !ok || size > maxElements {
		return fmt.Errorf("a value of shape %s is too large", axesText(v.dims()))
	}
	t.values[n.outputs[0]] = v
	return nil
}

func (c *call) pass() (*value, error) {
	if c.op == "Dropout" {
		c.note("dropout is left out, as in evaluation")
	}
	return c.handed(c.in[0]), nil
}

// handed is a value under another name: its layer's bias is its own only where nothing else reads it.
func (c *call) handed(v *value) *value {
	out := *v
	if !c.once(c.node) {
		out.owner = 0
	}
	return &out
}

func (c *call) cast() (*value, error) {
	if to := c.int("to", 0); to != typeFloat && to != typeDouble && to != typeFloat16 {
		return nil, fmt.Errorf("a value that depends on the image becomes %s: only numbers with fractions are supported", typeNames[to])
	}
	return c.handed(c.in[0]), nil
}

func (c *call) softmax() (*value, error) {
	out := *c.in[0]
	out.ended = c.op
	return &out, nil
}

// simple adds an operation on each value by itself.
func (c *call) simple(v *value, n nn.Node) (*value, error) {
	v, err := c.settled(v)
	if err != nil {
		return nil, err
	}
	n.In = []int{v.id}
	out := *v
	out.id, out.owner = c.emit(n), 0
	return &out, nil
}

func (c *call) relu() (*value, error) { return c.simple(c.in[0], nn.Node{Op: "relu"}) }

func (c *call) negate() (*value, error) {
	return c.transformed(c.node, c.in[0], &affine{[]float64{-1}, []float64{0}}, true)
}

func (c *call) leakyRelu() (*value, error) {
	slope := c.float("alpha", 0.01)
	if slope == 0 {
		return c.relu()
	}
	return c.simple(c.in[0], nn.Node{Op: "leaky_relu", Slope: slope})
}

func (c *call) smooth() (*value, error) {
	if how := c.string("approximate", "none"); how != "none" {
		return nil, fmt.Errorf("its approximation by %q is not supported", how)
	}
	return c.simple(c.in[0], nn.Node{Op: strings.ToLower(c.op)})
}

// join adds two values of one layout.
func (c *call) join(a, b *value) (*value, error) {
	out := *a
	out.id, out.owner = c.emit(nn.Node{Op: "add", In: []int{a.id, b.id}}), 0
	return &out, nil
}

// clip is low + relu(x-low), then high - relu(high-x).
func (c *call) clip() (*value, error) {
	bounds := [2]float64{float64(c.float("min", float32(math.Inf(-1)))), float64(c.float("max", float32(math.Inf(1))))}
	for i, name := range []string{"minimum", "maximum"} {
		b, err := c.constant(i+1, name)
		if err != nil {
			return nil, err
		}
		if b != nil {
			if b.len() != 1 {
				return nil, fmt.Errorf("its %s must be one number", name)
			}
			bounds[i] = b.at(0)
		}
	}
	// The extremes of float32 stand for no bound, too.
	low, high := bounds[0], bounds[1]
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	one := func(scale, shift float64) {
		if err == nil && (scale != 1 || shift != 0) {
			v, err = c.mapped(v, &affine{[]float64{scale}, []float64{shift}}, c.title(), true)
		}
	}
	relu := func() {
		if err == nil {
			v, err = c.simple(v, nn.Node{Op: "relu"})
		}
	}
	if low > -math.MaxFloat32 {
		one(1, -low)
		relu()
		one(1, low)
	}
	if high < math.MaxFloat32 {
		one(-1, high)
		relu()
		one(-1, high)
	}
	if math.IsNaN(low) || math.IsNaN(high) {
		return nil, errors.New("its bounds are no numbers")
	}
	return v, err
}

// arithmetic is Add, Sub, Mul or Div, of two values or a value and a constant.
func (c *call) arithmetic() (*value, error) {
	if len(c.in) != 2 {
		return nil, fmt.Errorf("%d inputs, want 2", len(c.in))
	}
	a, b := c.in[0], c.in[1]
	switch {
	case a == nil && c.c[0] != nil:
		return c.withConstant(c.node, b, c.c[0], false)
	case b == nil && c.c[1] != nil:
		return c.withConstant(c.node, a, c.c[1], true)
	case a == nil || b == nil:
		return nil, errors.New("an input is missing")
	}
	if x := c.gated(a, b); c.op == "Mul" && x != nil {
		return c.simple(x, nn.Node{Op: "silu"})
	}
	if c.op != "Add" && c.op != "Sub" {
		return nil, errors.New("of two values that depend on the image it is not supported")
	}
	a, b, err := c.pair(a, b)
	if err == nil && c.op == "Sub" {
		b, err = c.simple(b, nn.Node{Op: "scale", Factor: -1})
	}
	if err != nil {
		return nil, err
	}
	return c.join(a, b)
}

// gated is x where a value is x and the other its sigmoid, nil for others: their product is SiLU.
func (c *call) gated(a, b *value) *value {
	is := func(x, s *value) bool {
		return s.id > 0 && s.raw == nil && c.nodes[s.id-1].Op == "sigmoid" && c.nodes[s.id-1].In[0] == x.id && x.raw == nil && x.inner == nil && x.same(s.layout)
	}
	switch {
	case is(a, b):
		return a
	case is(b, a):
		return b
	}
	return nil
}

// pair makes two values ready to be added.
func (c *call) pair(a, b *value) (*value, *value, error) {
	a, err := c.settled(a)
	if err != nil {
		return nil, nil, err
	}
	if b, err = c.settled(b); err != nil {
		return nil, nil, err
	}
	if !a.same(b.layout) {
		return nil, nil, fmt.Errorf("values of shapes %s and %s, or of unequal order in memory, are not supported", axesText(a.dims()), axesText(b.dims()))
	}
	return a, c.viewed(b, a.phys), nil
}

func (c *call) sum() (*value, error) {
	out := c.in[0]
	for _, v := range c.in {
		if v == nil {
			return nil, errors.New("a sum with constants is not supported")
		}
	}
	for _, v := range c.in[1:] {
		a, b, err := c.pair(out, v)
		if err != nil {
			return nil, err
		}
		if out, err = c.join(a, b); err != nil {
			return nil, err
		}
	}
	return c.settled(out)
}
