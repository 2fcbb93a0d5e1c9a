package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Flatten gives x [N,H,W,C] as [N,H*W*C], in that order. No value moves: nn lowers it and its
// gradient to a view of their input (see IsView); only Do copies.
func Flatten(x *gorgonia.Node) (*gorgonia.Node, error) {
	s := x.Shape()
	if len(s) < 2 {
		return nil, fmt.Errorf("flatten: input has shape %v, want a batch (N, ...)", s)
	}
	return apply(view{From: s[1:], To: []int{size(s)}}, x)
}

// Reshape gives the values of each example of x [N,..] another shape of as many values, in their
// order. Like Flatten, it moves nothing.
func Reshape(x *gorgonia.Node, shape ...int) (*gorgonia.Node, error) {
	s := x.Shape()
	if len(s) < 2 || size(s) != tensor.Shape(shape).TotalSize() {
		return nil, fmt.Errorf("reshape: input has shape %v, want a batch (N, ...) of examples with as many values as %v", s, shape)
	}
	return apply(view{From: s[1:], To: shape}, x)
}

// IsView reports whether n has the values of its one input under another shape.
func IsView(n *gorgonia.Node) bool { return hasRule[view](n) }

// view gives examples of shape From the shape To, of equal size.
type view struct{ From, To []int }

func (v view) kernel() device.Op { return nil }
func (v view) wrt() []bool       { return []bool{true} }

func (v view) infer(in []tensor.Shape) (tensor.Shape, error) {
	x := in[0]
	if err := example("flatten", "input", x, v.From...); err != nil {
		return nil, err
	}
	return append(tensor.Shape{x[0]}, v.To...), nil
}

// do copies, because gorgonia may add to a gradient in place.
func (v view) do(y []float32, in [][]float32) { copy(y, in[0]) }

func (v view) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(view{From: v.To, To: v.From}, dy))
	return g.nodes, g.err
}
