package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// call is a node with its inputs: each is a value or a constant, or left out.
type call struct {
	*translator
	*node
	in   []*value
	c    []*constant
	more []*value // what follows the first output
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
		"Sigmoid": (*call).smooth, "Tanh": (*call).smooth, "Softplus": (*call).smooth, "Reciprocal": (*call).smooth,
		"Gelu": (*call).gelus, "Mish": (*call).mish, "Softsign": (*call).softsign, "PRelu": (*call).prelu,
		"Elu": (*call).elu, "Celu": (*call).elu, "Selu": (*call).elu,
		"HardSigmoid": (*call).hardSigmoid, "HardSwish": (*call).hardSigmoid,
		"Neg": (*call).negate, "Abs": (*call).absolute, "Pow": (*call).pow,
		"Add": (*call).arithmetic, "Sub": (*call).arithmetic, "Mul": (*call).arithmetic, "Div": (*call).arithmetic,
		"Sum": (*call).series, "Max": (*call).series, "Min": (*call).series,
		"Flatten": (*call).reshape, "Reshape": (*call).reshape, "Squeeze": (*call).reshape, "Unsqueeze": (*call).reshape,
		"Transpose": (*call).transpose, "Concat": (*call).concat, "Pad": (*call).pad,
		"Split": (*call).split, "Slice": (*call).slice, "Gather": (*call).gather,
		"Conv": (*call).conv, "Gemm": (*call).gemm, "MatMul": (*call).matmul,
		"MaxPool": (*call).pool, "AveragePool": (*call).pool,
		"GlobalAveragePool": (*call).globalPool, "GlobalMaxPool": (*call).globalPool, "ReduceMean": (*call).reduce,
		"BatchNormalization": (*call).normalize, "LayerNormalization": (*call).layerNorm,
		"InstanceNormalization": (*call).instanceNorm, "GroupNormalization": (*call).groupNorm,
	}
}

// passive are the operations that may follow a softmax at the end.
var passive = []string{"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"}

func (t *translator) apply(n *node, in []*value, constants []*constant) error {
	f := operations[n.op]
	if f == nil {
		return unsupported(n.op)
	}
	for _, v := range in {
		if v != nil && v.ended != "" && !slices.Contains(passive, n.op) {
			return fmt.Errorf("it follows %s, which is supported only at the end of the network: export the logits, of an ensemble its members one by one", v.ended)
		}
	}
	if in[0] == nil && !slices.Contains([]string{"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Concat"}, n.op) {
		return errors.New("its first input is a constant, where another depends on the image: that is not supported")
	}
	c := &call{translator: t, node: n, in: in, c: constants}
	v, err := f(c)
	if err != nil {
		return err
	}
	for i, v := range append([]*value{v}, c.more...) {
		if i == len(n.outputs) {
			break
		}
		if size, ok := product(v.dims()); !ok || size > maxElements {
			return fmt.Errorf("a value of shape %s is too large", axesText(v.dims()))
		}
		t.values[n.outputs[i]] = v
	}
	return nil
}

// unsupported says of an operation what could be done instead.
func unsupported(op string) error {
	remedy := "write the network without it, or try onnxsim on the file, which folds what is constant"
	switch op {
	case "If", "Loop", "Scan":
		remedy = "export with fixed shapes, and without control flow that depends on the image"
	case "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger":
		remedy = "attacks need gradients: export the network before it is quantised"
	case "Erf":
		remedy = "it is known within GELU, x*(1+erf(x/sqrt(2)))/2, only"
	case "Sqrt":
		remedy = "it is known within a layer normalisation, (x-mean)/sqrt(variance+epsilon), only"
	case "Round", "Floor", "Ceil", "Sign", "ArgMax", "ArgMin", "OneHot", "TopK", "Equal", "Greater", "Less", "Where", "NonZero":
		remedy = "it has no gradient to attack through, but in a reduction of the image's bit depth (Mul by 2^bits-1, Round, Div) and in a vote as Rampart exports it: export the network without it, or evaluate the checkpoint, if it is Rampart's, by train eval -checkpoint"
	case "ReduceLogSumExp", "Log", "Exp":
		remedy = "it is known within an ensemble as Rampart exports it only: export the network without it, or evaluate the checkpoint, if it is Rampart's, by train eval -checkpoint"
	case "Attention", "MultiHeadAttention", "Einsum":
		remedy = "attention between positions is not supported: use a convolutional network or an MLP"
	}
	return fmt.Errorf("the operation is not supported: %s", remedy)
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

func (c *call) negate() (*value, error) {
	return c.transformed(c.node, c.in[0], &affine{[]float64{-1}, []float64{0}}, true)
}
