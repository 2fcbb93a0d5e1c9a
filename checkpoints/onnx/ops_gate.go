package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// arithmetic is Add, Sub, Mul or Div, of two values or a value and a constant.
func (c *call) arithmetic() (*value, error) {
	if len(c.in) != 2 {
		return nil, fmt.Errorf("%d inputs, want 2", len(c.in))
	}
	a, b := c.in[0], c.in[1]
	switch {
	case a == nil && c.c[0] != nil && c.op == "Div":
		return c.quotientOf(c.c[0], b)
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
	return c.combined(c.op, a, b)
}

// combined is a op b, of values that both depend on the image.
func (c *call) combined(op string, a, b *value) (*value, error) {
	a, err := c.settled(a)
	if err == nil {
		b, err = c.settled(b)
	}
	switch {
	case err != nil:
		return nil, err
	case op == "Sub":
		b, err = c.simple(b, nn.Node{Op: "scale", Factor: -1})
	case op == "Div":
		b, err = c.simple(b, nn.Node{Op: "reciprocal"})
	}
	if err != nil {
		return nil, err
	}
	if op == "Mul" || op == "Div" {
		return c.times(a, b)
	}
	if a, b, err = c.pair(a, b); err != nil {
		return nil, err
	}
	switch op {
	case "Max", "Min": // b + relu(a-b), and b - relu(b-a)
		sign := float32(1)
		if op == "Min" {
			sign = -1
		}
		less := c.join("add", a, &value{id: c.emit(nn.Node{Op: "scale", In: []int{b.id}, Factor: -1})})
		less.id = c.emit(nn.Node{Op: "scale", In: []int{less.id}, Factor: sign})
		less.id = c.emit(nn.Node{Op: "relu", In: []int{less.id}})
		less.id = c.emit(nn.Node{Op: "scale", In: []int{less.id}, Factor: sign})
		return c.join("add", less, b), nil
	}
	return c.join("add", a, b), nil
}

// join adds or multiplies two values of one layout and shape.
func (c *call) join(op string, a, b *value) *value {
	out := *a
	out.id, out.owner = c.emit(nn.Node{Op: op, In: []int{a.id, b.id}}), 0
	return &out
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

// pair gives two values of equal axes and order one shape in the topology.
func (c *call) pair(a, b *value) (*value, *value, error) {
	if !a.same(b.layout) {
		return nil, nil, fmt.Errorf("values of shapes %s and %s, or of unequal order in memory, are not supported", axesText(a.dims()), axesText(b.dims()))
	}
	return a, c.viewed(b, a.phys), nil
}

// times is a product: of equal shapes, or with a factor for each channel (or one, or one for each
// position) on either side.
func (c *call) times(a, b *value) (*value, error) {
	if a.same(b.layout) {
		a, b, err := c.pair(a, b)
		if err != nil {
			return nil, err
		}
		return c.join("mul", a, b), nil
	}
	if b.phys.Size() > a.phys.Size() || b.phys.Size() == a.phys.Size() && len(b.axes) > len(a.axes) {
		a, b = b, a
	}
	for axis := range a.axes {
		if len(b.axes) > len(a.axes) || lastInMemory(a.layout, axis) == nil {
			continue
		}
		if out, err := c.gate(a, b, axis); out != nil || err != nil {
			return out, err
		}
	}
	return nil, fmt.Errorf("values of shapes %s and %s, or of unequal order in memory, are not supported", axesText(a.dims()), axesText(b.dims()))
}

// gate multiplies a by b, whose sizes are those of a or 1, where axis is innermost in a's memory; nil
// where the two do not fit.
func (c *call) gate(a, b *value, axis int) (*value, error) {
	d := slices.Concat(slices.Repeat([]int{1}, len(a.axes)-len(b.axes)), b.dims())
	channels, positions := a.size(axis), a.phys.Size()/a.size(axis)
	spans := true // all positions
	for i, n := range a.dims() {
		if d[i] != n && d[i] != 1 {
			return nil, nil
		}
		spans = spans && (i == axis || d[i] == n)
	}
	size, _ := product(d)
	if d[axis] == 1 { // one factor for all channels
		if spans {
			l, ok := b.reshape(d)
			order := lastInMemory(a.layout, axis)
			if !ok || !l.transpose(order).plain() {
				return nil, nil
			}
		} else if size != 1 {
			return nil, nil
		}
		n := nn.Node{Op: "conv", In: []int{c.viewed(b, nn.Shape{H: size, W: 1, C: 1}).id}, Out: channels, Kernel: [2]int{1, 1}, Stride: 1, Constant: true}
		b = &value{id: c.layer("spread", n, slices.Repeat([]float32{1}, channels), []int{channels, 1, 1, 1}, make([]float32, channels)), phys: nn.Shape{H: size, W: 1, C: channels}}
	} else if size != channels {
		return nil, nil
	}
	if a.phys.C != channels {
		a = c.viewed(a, nn.Shape{H: positions, W: 1, C: channels})
	}
	shape := a.phys
	if size != positions || d[axis] != 1 {
		shape = nn.Shape{H: 1, W: 1, C: channels}
	}
	return c.join("mul", a, c.viewed(b, shape)), nil
}

// quotientOf is a constant divided by a value.
func (c *call) quotientOf(dividend *constant, v *value) (*value, error) {
	inverse, err := c.simple(v, nn.Node{Op: "reciprocal"})
	if err != nil {
		return nil, err
	}
	return c.withConstant(&node{nodeProto: &nodeProto{op: "Mul", name: c.name, inputs: c.inputs}}, inverse, dividend, false)
}

// pow raises to a small whole exponent, or to -1.
func (c *call) pow() (*value, error) {
	given, err := c.constant(1, "exponent")
	if err != nil {
		return nil, err
	}
	if given == nil || given.len() != 1 {
		return nil, errors.New("its exponent must be one number")
	}
	switch exponent := given.at(0); exponent {
	case 1, 2, 3, 4:
		v, err := c.settled(c.in[0])
		if err != nil {
			return nil, err
		}
		return c.power(v, int(exponent))
	case -1:
		return c.simple(c.in[0], nn.Node{Op: "reciprocal"})
	default:
		return nil, fmt.Errorf("exponent %v is not supported: only 1, 2, 3, 4 and -1 are, and what layer normalisation does", exponent)
	}
}

// power multiplies a settled value with itself.
func (c *call) power(v *value, exponent int) (*value, error) {
	out := v
	for range exponent - 1 {
		out = c.join("mul", out, v)
	}
	return out, nil
}

// series is Sum, Max or Min of any number of values and constants.
func (c *call) series() (*value, error) {
	op := c.op
	if op == "Sum" {
		op = "Add"
	}
	var out *value
	for _, v := range c.in {
		switch {
		case v == nil:
		case out == nil:
			out = v
		default:
			var err error
			if out, err = c.combined(op, out, v); err != nil {
				return nil, err
			}
		}
	}
	out, err := c.settled(out)
	for i, k := range c.c {
		switch {
		case err != nil:
			return nil, err
		case k == nil && c.in[i] == nil:
			return nil, errors.New("an input is missing")
		case k == nil:
		case op == "Add":
			out, err = c.withConstant(&node{nodeProto: &nodeProto{op: op, name: c.name, inputs: c.inputs}}, out, k, true)
		default:
			out, err = c.against(out, k)
		}
	}
	return out, err
}

// against is the larger or the smaller of a value and a constant.
func (c *call) against(v *value, k *constant) (*value, error) {
	list, err := v.coefficients(k)
	if err != nil {
		return nil, err
	}
	sign := 1.0 // k + relu(x-k), or k - relu(k-x)
	if c.op == "Min" {
		sign = -1
	}
	ahead := each(list, func(x float64) float64 { return -sign * x })
	if v, err = c.mapped(v, &affine{[]float64{sign}, ahead}, c.title(), true); err != nil {
		return nil, err
	}
	if v, err = c.simple(v, nn.Node{Op: "relu"}); err != nil {
		return nil, err
	}
	return c.mapped(v, &affine{[]float64{sign}, list}, c.title(), true)
}
