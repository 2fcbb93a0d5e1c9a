package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Add is a + b by element, for a and b of one shape [N,..]: a residual connection.
func Add(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(add{device.Add{Size: size(a.Shape())}}, a, b)
}

// Scale is factor*x, for x [N,..].
func Scale(x *gorgonia.Node, factor float32) (*gorgonia.Node, error) {
	if f := float64(factor); math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("scale: factor is %v, want a finite number (input of shape %v)", f, x.Shape())
	}
	return apply(scale{device.Scale{Size: size(x.Shape()), Factor: factor}}, x)
}

type add struct{ device.Add }

func (a add) kernel() device.Op { return a.Add }
func (a add) wrt() []bool       { return []bool{true, true} }

func (a add) infer(in []tensor.Shape) (tensor.Shape, error) { return elementwise("add", a.Size, in) }

func (a add) do(y []float32, in [][]float32) {
	for i := range y {
		y[i] = in[0][i] + in[1][i]
	}
}

func (a add) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	return []*gorgonia.Node{dy, dy}, nil
}

type scale struct{ device.Scale }

func (s scale) kernel() device.Op { return s.Scale }
func (s scale) wrt() []bool       { return []bool{true} }

func (s scale) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise("scale", s.Size, in)
}

func (s scale) do(y []float32, in [][]float32) {
	for i, v := range in[0] {
		y[i] = s.Factor * v
	}
}

func (s scale) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(s, dy))
	return g.nodes, g.err
}
