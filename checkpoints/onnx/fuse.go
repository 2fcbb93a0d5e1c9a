package onnx

import (
	"math"
	"slices"

	"rampart/nn"
)

// fusions recognise operations that exporters take apart, by the last node of their pattern. What lies
// between has perhaps no form of its own here; the error that it left is then never seen.
var fusions map[string]func(c *call) (*value, error)

func init() { // its functions refer to it
	fusions = map[string]func(c *call) (*value, error){"Mul": (*call).fusedGELU, "Div": (*call).fusedNorm, "Where": (*call).fusedSoftplus,
		"Sub": (*call).fusedMean, "Log": (*call).fusedVote}
}

// made returns the node that gives a value, if it is an op of n inputs.
func (t *translator) made(name, op string, n int) *nodeProto {
	if p := t.producers[name]; p != nil && p.op == op && len(p.inputs) == n {
		return p
	}
	return nil
}

// number is a constant of one value.
func (t *translator) number(name string) (float64, bool) {
	if c := t.constants[name]; c != nil && c.len() == 1 {
		return c.at(0), true
	}
	return 0, false
}

// multiple follows products and quotients with single numbers back to what is multiplied, and the factor.
func (t *translator) multiple(name string) (string, float64) {
	factor := 1.0
	for {
		if p := t.made(name, "Mul", 2); p != nil {
			if f, ok := t.number(p.inputs[0]); ok {
				name, factor = p.inputs[1], factor*f
				continue
			}
			if f, ok := t.number(p.inputs[1]); ok {
				name, factor = p.inputs[0], factor*f
				continue
			}
		}
		p := t.made(name, "Div", 2)
		if p == nil {
			return name, factor
		}
		f, ok := t.number(p.inputs[1])
		if !ok {
			return name, factor
		}
		name, factor = p.inputs[0], factor/f
	}
}

// fusedGELU is x*(1+erf(x/sqrt(2)))/2, with the half at any place (Hendrycks and Gimpel 2016, section 2).
// It returns nil where the product is no such one.
func (c *call) fusedGELU() (*value, error) {
	if len(c.inputs) != 2 {
		return nil, nil
	}
	for i, name := range c.inputs {
		sum, outer := c.multiple(name)
		x, factor := c.multiple(c.inputs[1-i])
		p := c.made(sum, "Add", 2)
		if p == nil {
			continue
		}
		for j := range p.inputs {
			one, ok := c.number(p.inputs[j])
			erf := c.made(p.inputs[1-j], "Erf", 1)
			if !ok || one != 1 || erf == nil {
				continue
			}
			inner, slope := c.multiple(erf.inputs[0])
			if v := c.values[x]; inner == x && v != nil && v.failed == nil && slope != 0 {
				// factor*x * outer*(1+erf(slope*x)) with u = slope*sqrt(2)*x is a multiple of GELU(u).
				return c.gelu(v, slope*math.Sqrt2, 2*outer*factor/(slope*math.Sqrt2))
			}
		}
	}
	return nil, nil
}

// gelu is outer*GELU(inner*x).
func (c *call) gelu(v *value, inner, outer float64) (*value, error) {
	v, err := c.scaled(v, inner)
	if err == nil {
		v, err = c.simple(v, nn.Node{Op: "gelu"})
	}
	if err != nil {
		return nil, err
	}
	return c.scaled(v, outer)
}

// scaled is factor*v; factors that differ from 1 by what rounding leaves count as 1.
func (c *call) scaled(v *value, factor float64) (*value, error) {
	if math.Abs(factor-1) < 1e-6 {
		return c.settled(v)
	}
	return c.affine(v, factor, 0)
}

// fusedNorm is (x-mean)/sqrt(variance+epsilon), the mean and the variance over some axes of each
// example; nil where the quotient is no such one.
func (c *call) fusedNorm() (*value, error) {
	if len(c.inputs) != 2 {
		return nil, nil
	}
	centred, root := c.made(c.inputs[0], "Sub", 2), c.made(c.inputs[1], "Sqrt", 1)
	if centred == nil || root == nil {
		return nil, nil
	}
	x := centred.inputs[0]
	mean := c.mean(centred.inputs[1])
	sum := c.made(root.inputs[0], "Add", 2)
	v := c.values[x]
	if mean == nil || sum == nil || mean.inputs[0] != x || v == nil || v.failed != nil {
		return nil, nil
	}
	at := 0
	epsilon, ok := c.number(sum.inputs[1])
	if !ok {
		epsilon, ok = c.number(sum.inputs[0])
		at = 1
	}
	variance := c.mean(sum.inputs[at])
	if !ok || variance == nil || !c.squared(variance.inputs[0], c.inputs[0]) {
		return nil, nil
	}
	axes, err := c.reduced(mean, v)
	if err != nil {
		return nil, err
	}
	if others, err := c.reduced(variance, v); err != nil || !slices.Equal(axes, others) {
		return nil, err
	}
	return c.ownNorm(v, axes, epsilon, nil, nil)
}

// fusedSoftplus is PyTorch's softplus, x itself from a threshold on, where softplus differs from it by
// less than 1e-6; nil for other choices.
func (c *call) fusedSoftplus() (*value, error) {
	if len(c.inputs) != 3 {
		return nil, nil
	}
	x := c.inputs[1]
	above, smooth := c.made(c.inputs[0], "Greater", 2), c.made(c.inputs[2], "Softplus", 1)
	if above == nil || smooth == nil || above.inputs[0] != x || smooth.inputs[0] != x || c.in[2].failed != nil {
		return nil, nil
	}
	if threshold, ok := c.number(above.inputs[1]); !ok || threshold < 14 {
		return nil, nil
	}
	return c.handed(c.in[2]), nil
}

// mean is the ReduceMean that gives a value and keeps its axes.
func (t *translator) mean(name string) *nodeProto {
	p := t.producers[name]
	if p == nil || p.op != "ReduceMean" || (&node{nodeProto: p}).int("keepdims", 1) == 0 {
		return nil
	}
	return p
}

// reduced lists the axes of a ReduceMean over a value, in order.
func (c *call) reduced(p *nodeProto, v *value) ([]int, error) {
	n := &node{nodeProto: p}
	var input *constant
	if len(p.inputs) > 1 {
		input = c.constants[p.inputs[1]]
	}
	axes, err := n.axes(len(v.axes)+1, input)
	slices.Sort(axes)
	return axes, err
}

// squared reports whether a value is the square of another.
func (t *translator) squared(name, of string) bool {
	if p := t.made(name, "Mul", 2); p != nil {
		return p.inputs[0] == of && p.inputs[1] == of
	}
	p := t.made(name, "Pow", 2)
	if p == nil || p.inputs[0] != of {
		return false
	}
	exponent, ok := t.number(p.inputs[1])
	return ok && exponent == 2
}
