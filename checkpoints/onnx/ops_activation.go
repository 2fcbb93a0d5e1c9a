package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"rampart/nn"
)

// affine is scale*v + shift, for values that training does not move.
func (c *call) affine(v *value, scale, shift float64) (*value, error) {
	v, err := c.settled(v)
	if err != nil || scale == 1 && shift == 0 {
		return v, err
	}
	return c.mapped(v, &affine{[]float64{scale}, []float64{shift}}, c.title(), true)
}

func (c *call) relu() (*value, error) { return c.simple(c.in[0], nn.Node{Op: "relu"}) }

func (c *call) leakyRelu() (*value, error) {
	slope := c.float("alpha", 0.01)
	if slope == 0 {
		return c.relu()
	}
	return c.simple(c.in[0], nn.Node{Op: "leaky_relu", Slope: slope})
}

// smooth is a function that a topology has under its own name.
func (c *call) smooth() (*value, error) {
	return c.simple(c.in[0], nn.Node{Op: strings.ToLower(c.op)})
}

// gelus is Gelu, and its approximation x/2*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3))).
func (c *call) gelus() (*value, error) {
	x, err := c.settled(c.in[0])
	how := c.string("approximate", "none")
	switch {
	case err != nil:
		return nil, err
	case how == "none":
		return c.simple(x, nn.Node{Op: "gelu"})
	case how != "tanh":
		return nil, fmt.Errorf("its approximation by %q is not supported", how)
	}
	cube, err := c.power(x, 3)
	if err != nil {
		return nil, err
	}
	if cube, err = c.affine(cube, 0.044715, 0); err != nil {
		return nil, err
	}
	y, err := c.affine(c.join("add", x, cube), math.Sqrt(2/math.Pi), 0)
	if err == nil {
		y, err = c.simple(y, nn.Node{Op: "tanh"})
	}
	if err == nil {
		y, err = c.affine(y, 0.5, 0.5)
	}
	if err != nil {
		return nil, err
	}
	return c.join("mul", x, y), nil
}

// elu is Elu, Celu and Selu: multiples of ELU of a multiple.
func (c *call) elu() (*value, error) {
	alpha, inner, outer := float64(c.float("alpha", 1)), 1.0, 1.0
	switch c.op {
	case "Celu":
		inner, outer, alpha = 1/alpha, alpha, 1
	case "Selu":
		alpha, outer = float64(c.float("alpha", 1.67326319217681884765625)), float64(c.float("gamma", 1.05070102214813232421875))
	}
	if !(alpha > 0) || !(inner > 0) || !(outer > 0) {
		return nil, fmt.Errorf("alpha %v: only values above 0 are supported", c.float("alpha", 1))
	}
	v, err := c.affine(c.in[0], inner, 0)
	if err == nil {
		v, err = c.simple(v, nn.Node{Op: "elu", Slope: float32(alpha)})
	}
	if err != nil {
		return nil, err
	}
	return c.affine(v, outer, 0)
}

// prelu is relu(x) - slope*relu(-x).
func (c *call) prelu() (*value, error) {
	slope, err := c.constant(1, "slope")
	if err != nil {
		return nil, err
	}
	if slope == nil || slope.whole {
		return nil, errors.New("its slope is missing")
	}
	x, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	above, below, err := c.halves(x)
	if err != nil {
		return nil, err
	}
	list, err := x.coefficients(slope)
	if err != nil {
		return nil, err
	}
	negative := each(list, func(s float64) float64 { return -s })
	if below, err = c.mapped(below, &affine{negative, []float64{0}}, c.title(), false); err != nil {
		return nil, err
	}
	return c.join("add", above, below), nil
}

// absolute is relu(x) + relu(-x).
func (c *call) absolute() (*value, error) {
	x, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	above, below, err := c.halves(x)
	if err != nil {
		return nil, err
	}
	return c.join("add", above, below), nil
}

// halves are relu(x) and relu(-x).
func (c *call) halves(x *value) (above, below *value, err error) {
	if above, err = c.simple(x, nn.Node{Op: "relu"}); err == nil {
		below, err = c.affine(x, -1, 0)
	}
	if err == nil {
		below, err = c.simple(below, nn.Node{Op: "relu"})
	}
	return above, below, err
}

// hardSigmoid is alpha*x + beta between 0 and 1; HardSwish multiplies x by it.
func (c *call) hardSigmoid() (*value, error) {
	alpha, beta := float64(c.float("alpha", 0.2)), float64(c.float("beta", 0.5))
	if c.op == "HardSwish" {
		alpha, beta = 1./6, 0.5
	}
	x, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	y, err := c.affine(x, alpha, beta)
	if err == nil {
		y, err = c.bounded(y, 0, 1)
	}
	if err != nil || c.op == "HardSigmoid" {
		return y, err
	}
	return c.join("mul", x, y), nil
}

func (c *call) mish() (*value, error) {
	x, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	y, err := c.simple(x, nn.Node{Op: "softplus"})
	if err == nil {
		y, err = c.simple(y, nn.Node{Op: "tanh"})
	}
	if err != nil {
		return nil, err
	}
	return c.join("mul", x, y), nil
}

// softsign is x/(1+|x|).
func (c *call) softsign() (*value, error) {
	y, err := c.absolute()
	if err == nil {
		y, err = c.affine(y, 1, 1)
	}
	if err == nil {
		y, err = c.simple(y, nn.Node{Op: "reciprocal"})
	}
	if err != nil {
		return nil, err
	}
	x, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	return c.join("mul", x, y), nil
}

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
	return c.bounded(c.in[0], bounds[0], bounds[1])
}

// bounded is low + relu(x-low), then high - relu(high-x). The extremes of float32 stand for no bound.
func (c *call) bounded(v *value, low, high float64) (*value, error) {
	if math.IsNaN(low) || math.IsNaN(high) {
		return nil, errors.New("its bounds are no numbers")
	}
	v, err := c.settled(v)
	step := func(scale, shift float64, relu bool) {
		if err == nil {
			v, err = c.affine(v, scale, shift)
		}
		if err == nil && relu {
			v, err = c.simple(v, nn.Node{Op: "relu"})
		}
	}
	if low > -math.MaxFloat32 {
		step(1, -low, true)
		step(1, low, false)
	}
	if high < math.MaxFloat32 {
		step(-1, high, true)
		step(-1, high, false)
	}
	return v, err
}
