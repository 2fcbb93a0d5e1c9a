package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// matrix is a constant of two axes, [In,Out], as a weight [Out,In]; transposed says that it is one.
func matrix(c *constant, transposed bool) (weight []float32, in, out int, err error) {
	if c == nil || c.whole || len(c.dims) != 2 {
		return nil, 0, 0, errors.New("its weight must be a constant matrix")
	}
	if !transposed {
		c = c.transposed([]int{1, 0})
	}
	return c.floats, c.dims[1], c.dims[0], nil
}

func (c *call) matmul() (*value, error) {
	if c.in[1] != nil {
		return nil, errors.New("a product of two matrices that depend on the image, as in attention, is not supported: use a convolutional network or an MLP")
	}
	b, err := c.constant(1, "second input")
	if err != nil {
		return nil, err
	}
	weight, in, out, err := matrix(b, false)
	if err != nil {
		return nil, err
	}
	if len(c.in[0].axes) > 1 {
		return c.pointwise(weight, in, out)
	}
	return c.dense(weight, in, out, make([]float32, out))
}

// pointwise multiplies the last axis of images, or of lists, by a weight [Out,In]: a 1x1 convolution.
func (c *call) pointwise(weight []float32, in, out int) (*value, error) {
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	axis := len(v.axes) - 1
	order := lastInMemory(v.layout, axis)
	if order == nil || v.size(axis) != in {
		return nil, fmt.Errorf("a weight for %d inputs and a value of shape %s (batch left out): the last axis must be of that size, and innermost in memory", in, axesText(v.dims()))
	}
	shape := v.phys
	if shape.C != in {
		shape = nn.Shape{H: shape.Size() / in, W: 1, C: in}
	}
	n := nn.Node{Op: "conv", In: []int{c.viewed(v, shape).id}, Out: out, Kernel: [2]int{1, 1}, Stride: 1}
	id := c.layer(c.title(), n, weight, []int{out, in, 1, 1}, make([]float32, out))
	shape.C = out
	return &value{id: id, phys: shape, layout: resized(v.layout, order, out), owner: id}, nil
}

func (c *call) gemm() (*value, error) {
	if c.int("transA", 0) != 0 {
		return nil, errors.New("transA is not supported: the batch comes first")
	}
	b, err := c.constant(1, "weight")
	if err != nil {
		return nil, err
	}
	weight, in, out, err := matrix(b, c.int("transB", 0) != 0)
	if err != nil {
		return nil, err
	}
	if alpha := c.float("alpha", 1); alpha != 1 {
		weight = slices.Clone(weight)
		for i := range weight {
			weight[i] *= alpha
		}
	}
	bias := make([]float32, out)
	given, err := c.constant(2, "bias")
	if err != nil {
		return nil, err
	}
	if given != nil {
		if all, ok := broadcast([]int{1, out}, given.dims); !ok || !slices.Equal(all, []int{1, out}) || given.whole {
			return nil, fmt.Errorf("a bias of shape %v for %d outputs", given.dims, out)
		}
		for i, at := range spread(given.dims, []int{1, out}) {
			bias[i] = given.floats[at] * c.float("beta", 1)
		}
	}
	return c.dense(weight, in, out, bias)
}

// dense multiplies rows of features by a weight [Out,In], whose columns follow the order of memory.
func (c *call) dense(weight []float32, in, out int, bias []float32) (*value, error) {
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	if len(v.axes) != 1 || v.size(0) != in || out < 1 {
		return nil, fmt.Errorf("a weight for %d inputs and a value of shape %s (batch left out)", in, axesText(v.dims()))
	}
	n := nn.Node{Op: "dense", In: []int{v.id}, Out: out}
	s := v.phys
	switch {
	case v.plain():
	case v.same(newLayout([]int{s.H, s.W, s.C}, []int{2, 0, 1})):
		n.ChannelsFirst = true
	default:
		ordered, positions := make([]float32, len(weight)), v.positions()
		for o := range out {
			for i, at := range positions {
				ordered[o*in+i] = weight[o*in+at]
			}
		}
		weight = ordered
	}
	id := c.layer(c.title(), n, weight, []int{out, in}, bias)
	return &value{id: id, phys: nn.Shape{H: 1, W: 1, C: out}, layout: newLayout([]int{out}, []int{0}), owner: id}, nil
}

// maxWeight bounds the weights that dilations are written out to.
const maxWeight = 1 << 26

func (c *call) conv() (*value, error) {
	v, pads := c.in[0], [4]int{}
	if v.inner != nil {
		v, pads = v.inner, v.pads
	}
	w, err := c.constant(1, "weight")
	if err != nil {
		return nil, err
	}
	if w == nil || w.whole || len(w.dims) != 4 || w.len() == 0 {
		return nil, errors.New("its weight must be a constant of four axes, for images")
	}
	if v, err = c.settled(v); err != nil {
		return nil, err
	}
	if v, err = c.imaged(v); err != nil {
		return nil, err
	}
	groups := int(c.int("group", 1))
	if groups < 1 || groups > v.phys.C || w.dims[0]%groups != 0 || w.dims[1]*groups != v.phys.C {
		return nil, fmt.Errorf("a weight of shape %v for %d channels in %d groups", w.dims, v.phys.C, groups)
	}
	if w, err = c.dilated(w); err != nil {
		return nil, err
	}
	if shape := c.ints("kernel_shape"); shape != nil && c.ints("dilations") == nil && !slices.Equal(shape, w.dims[2:]) {
		return nil, fmt.Errorf("kernel_shape %v with a weight of shape %v", shape, w.dims)
	}
	outer := v.phys // with the zeros around
	outer.H, outer.W = outer.H+pads[0]+pads[2], outer.W+pads[1]+pads[3]
	n, err := c.window(outer, w.dims[2:])
	if err != nil {
		return nil, err
	}
	for i := range pads {
		n.Pads[i] += pads[i]
	}
	channels := w.dims[0]
	bias := make([]float32, channels)
	if len(c.c) > 2 && (c.c[2] != nil || c.in[2] != nil) {
		given, err := c.vector(2, channels, "bias")
		if err != nil {
			return nil, err
		}
		bias = slices.Clone(given)
	}
	n.Op, n.In, n.Out = "conv", []int{v.id}, channels
	if groups > 1 {
		n.Groups = groups
	}
	shape := out(n, v.phys, channels)
	id := c.layer(c.title(), n, w.floats, w.dims, bias)
	return image(id, shape, id), nil
}

// dilated writes the holes of a kernel out.
func (c *call) dilated(w *constant) (*constant, error) {
	d := c.ints("dilations")
	if d == nil || slices.Equal(d, []int{1, 1}) {
		return w, nil
	}
	if len(d) != 2 || min(d[0], d[1]) < 1 || max(d[0], d[1]) > 1<<10 {
		return nil, fmt.Errorf("dilations %v", d)
	}
	kh, kw := w.dims[2], w.dims[3]
	h, width := (kh-1)*d[0]+1, (kw-1)*d[1]+1
	dims := []int{w.dims[0], w.dims[1], h, width}
	size, ok := product(dims)
	if !ok || size > maxWeight {
		return nil, fmt.Errorf("dilations %v of a weight of shape %v are too large", d, w.dims)
	}
	c.note("a dilated kernel is written out with zeros")
	full := &constant{dims: dims, floats: make([]float32, size)}
	for i, v := range w.floats {
		pair, y, x := i/(kh*kw), i/kw%kh, i%kw
		full.floats[(pair*h+y*d[0])*width+x*d[1]] = v
	}
	return full, nil
}
