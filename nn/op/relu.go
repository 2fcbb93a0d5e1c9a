package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// ReLU is max(x, 0) by element, for x [N,..]. Its gradient at 0 is 0.
func ReLU(x *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(relu{device.ReLU{Size: size(x.Shape())}}, x)
}

// size counts the values of one example.
func size(x tensor.Shape) int {
	if len(x) == 0 {
		return 0
	}
	n := 1
	for _, d := range x[1:] {
		n *= d
	}
	return n
}

// elementwise checks that all inputs have the shape of the first, with n values an example.
func elementwise(op string, n int, in []tensor.Shape) (tensor.Shape, error) {
	first := in[0]
	if len(first) < 2 || size(first) != n {
		return nil, fmt.Errorf("%s: input has shape %v, want a batch (N, ...) of %d values each", op, first, n)
	}
	for _, s := range in[1:] {
		if err := match(op, "second input", s, "a first", first, first...); err != nil {
			return nil, err
		}
	}
	return first.Clone(), nil
}

type relu struct{ device.ReLU }

func (r relu) kernel() device.Op { return r.ReLU }
func (r relu) wrt() []bool       { return []bool{true} }

func (r relu) infer(in []tensor.Shape) (tensor.Shape, error) { return elementwise("relu", r.Size, in) }

func (r relu) do(y []float32, in [][]float32) {
	for i, v := range in[0] {
		y[i] = max(v, 0)
	}
}

func (r relu) grad(_ []*gorgonia.Node, y, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(reluGrad{device.ReLUGrad{Size: r.Size}}, y, dy))
	return g.nodes, g.err
}

// reluGrad takes y (not x) and dy to dx.
type reluGrad struct{ device.ReLUGrad }

func (r reluGrad) kernel() device.Op { return r.ReLUGrad }

func (r reluGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise("relu's gradient", r.Size, in)
}

func (r reluGrad) do(dx []float32, in [][]float32) {
	for i, v := range in[0] {
		if v > 0 {
			dx[i] = in[1][i]
		}
	}
}
