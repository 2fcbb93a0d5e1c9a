package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Activation is f by element, for x [N,..]. slope is that of device.LeakyReLU below 0, where its
// gradient at 0 lies, too, and device.ELU's limit; the other functions have none.
func Activation(x *gorgonia.Node, f device.Func, slope float32) (*gorgonia.Node, error) {
	if (f == device.LeakyReLU || f == device.ELU) != (slope != 0) || math.IsNaN(float64(slope)) || math.IsInf(float64(slope), 0) {
		return nil, fmt.Errorf("%v: slope is %v (input of shape %v)", f, slope, x.Shape())
	}
	return apply(activation{device.Activation{Size: size(x.Shape()), Func: f, Slope: slope}}, x)
}

type activation struct{ device.Activation }

func (a activation) kernel() device.Op { return a.Activation }
func (a activation) wrt() []bool       { return []bool{true} }

func (a activation) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise(a.Func.String(), a.Size, in)
}

func (a activation) do(y []float32, in [][]float32) {
	for i, v := range in[0] {
		value, _ := at(a.Func, float64(a.Slope), float64(v))
		y[i] = float32(value)
	}
}

func (a activation) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(activationGrad{device.ActivationGrad(a.Activation)}, in[0], dy))
	return g.nodes, g.err
}

// activationGrad takes x and dy to dx.
type activationGrad struct{ device.ActivationGrad }

func (a activationGrad) kernel() device.Op { return a.ActivationGrad }

func (a activationGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise(a.Func.String()+"'s gradient", a.Size, in)
}

func (a activationGrad) do(dx []float32, in [][]float32) {
	for i, v := range in[0] {
		_, slope := at(a.Func, float64(a.Slope), float64(v))
		dx[i] = float32(slope * float64(in[1][i]))
	}
}

// at is a function's value and its derivative.
func at(f device.Func, slope, x float64) (value, derivative float64) {
	sigmoid := 1 / (1 + math.Exp(-x))
	switch f {
	case device.LeakyReLU:
		if x > 0 {
			return x, 1
		}
		return slope * x, slope
	case device.GELU:
		p := 0.5 * math.Erfc(-x/math.Sqrt2) // 1+erf would cancel below 0
		return x * p, p + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case device.SiLU:
		return x * sigmoid, sigmoid * (1 + x*(1-sigmoid))
	case device.Sigmoid:
		return sigmoid, sigmoid * (1 - sigmoid)
	case device.ELU:
		if x > 0 {
			return x, 1
		}
		return slope * math.Expm1(x), slope * math.Exp(x)
	case device.Softplus:
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))), sigmoid
	case device.Reciprocal:
		return 1 / x, -1 / (x * x)
	}
	y := math.Tanh(x)
	return y, 1 - y*y
}
