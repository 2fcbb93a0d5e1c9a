package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// viewed is v with its topology value under another shape of as many values.
func (t *translator) viewed(v *value, shape nn.Shape) *value {
	if v.phys == shape {
		return v
	}
	out := *v
	out.id, out.phys, out.owner = t.emit(nn.Node{Op: "reshape", In: []int{v.id}, Shape: &shape}), shape, 0
	return &out
}

// imaged is v as an image that lies as H,W,C in memory, where the file has it as [C,H,W].
func (c *call) imaged(v *value) (*value, error) {
	if len(v.axes) != 3 {
		return nil, fmt.Errorf("a value of shape %s (batch left out) is no image [C,H,W]", axesText(v.dims()))
	}
	v, err := c.arranged(v, 0)
	if err != nil {
		return nil, err
	}
	d := v.dims()
	if !v.transpose([]int{1, 2, 0}).plain() {
		return nil, fmt.Errorf("the values of %s lie in another order than an image's: that is not supported", axesText(d))
	}
	return c.viewed(v, nn.Shape{H: d[1], W: d[2], C: d[0]}), nil
}

// image is the value of an operation that gives an image.
func image(id int, s nn.Shape, owner int) *value {
	return &value{id: id, phys: s, layout: newLayout([]int{s.H, s.W, s.C}, []int{2}, []int{0}, []int{1}), owner: owner}
}

// reshape is also Flatten, Squeeze and Unsqueeze: nothing moves.
func (c *call) reshape() (*value, error) {
	dims := c.shape(c.in[0])
	argument, err := c.constant(1, "second input")
	if err != nil {
		return nil, err
	}
	switch c.op {
	case "Flatten":
		dims, err = c.flattened(dims)
	case "Squeeze":
		dims, err = c.squeezed(dims, argument)
	case "Unsqueeze":
		dims, err = c.unsqueezed(dims, argument)
	default:
		dims, err = c.target(dims, argument)
	}
	if err != nil {
		return nil, err
	}
	return c.reshaped(dims)
}

func (c *call) reshaped(dims []int) (*value, error) {
	v := c.in[0]
	if len(dims) == 0 || dims[0] != c.node.batch {
		return nil, fmt.Errorf("the first axis of %v is not the batch's: examples would mix, which is not supported", c.known(dims))
	}
	v, err := c.unpadded(v)
	if err != nil {
		return nil, err
	}
	l, ok := v.layout.reshape(dims[1:])
	if !ok {
		return nil, fmt.Errorf("a value of shape %s cannot become %v without moving values, which is not supported", axesText(v.dims()), c.known(dims))
	}
	out := c.handed(v)
	out.layout = l
	return out, nil
}

// known hides the number that stands for the batch.
func (c *call) known(dims []int) []any {
	list := make([]any, len(dims))
	for i, d := range dims {
		list[i] = d
		if d == symbolicBatch {
			list[i] = "N"
		}
	}
	return list
}

func (c *call) transpose() (*value, error) {
	v := c.in[0]
	perm, err := c.permutation(len(v.axes) + 1)
	if err != nil {
		return nil, err
	}
	if perm[0] != 0 {
		return nil, fmt.Errorf("perm %v moves the batch, which is not supported", perm)
	}
	if v, err = c.unpadded(v); err != nil {
		return nil, err
	}
	axes := make([]int, len(perm)-1)
	for i, p := range perm[1:] {
		axes[i] = p - 1
	}
	out := c.handed(v)
	out.layout = v.layout.transpose(axes)
	return out, nil
}

// unpadded lays zeros around a value down, and leaves others as they are.
func (c *call) unpadded(v *value) (*value, error) {
	if v.inner == nil {
		return v, nil
	}
	return c.settled(v)
}

// concat lays channels side by side: the axis must be the last in memory.
func (c *call) concat() (*value, error) {
	if slices.Contains(c.in, nil) {
		return nil, errors.New("of a value with constants it is not supported")
	}
	axis, err := c.axis("axis", 1, len(c.in[0].axes)+1)
	if err != nil {
		return nil, err
	}
	if axis == 0 {
		return nil, errors.New("it joins batches, which is not supported")
	}
	axis--
	var ids []int
	var total int
	var shape nn.Shape
	var order []int // of the axes in memory
	for i, v := range c.in {
		if v, err = c.settled(v); err != nil {
			return nil, err
		}
		if len(v.axes) != len(c.in[0].axes) {
			return nil, errors.New("its inputs have unequal numbers of axes")
		}
		if v, err = c.arranged(v, axis); err != nil {
			return nil, err
		}
		dims := v.dims()
		if i == 0 {
			order = lastInMemory(v.layout, axis)
			shape = nn.Shape{H: v.phys.Size() / dims[axis], W: 1}
			if len(order) == 3 {
				shape.H, shape.W = dims[order[0]], dims[order[1]]
			}
		}
		if order == nil || !v.layout.transpose(order).plain() {
			return nil, fmt.Errorf("axis %d of a value of shape %s is not the innermost in memory: that is not supported", axis+1, axesText(dims))
		}
		for a, d := range dims {
			if a != axis && d != c.in[0].dims()[a] {
				return nil, fmt.Errorf("values of shapes %s and %s cannot be joined along axis %d", axesText(c.in[0].dims()), axesText(dims), axis+1)
			}
		}
		shape.C = dims[axis]
		ids = append(ids, c.viewed(v, shape).id)
		total += dims[axis]
	}
	parts, axes := c.in[0].dims(), make([][]int, len(order))
	parts[axis] = total
	sizes := make([]int, len(order))
	for place, a := range order {
		sizes[place], axes[a] = parts[a], []int{place}
	}
	out := &value{layout: newLayout(sizes, axes...), phys: nn.Shape{H: shape.H, W: shape.W, C: total}}
	if len(ids) == 1 {
		out.id = ids[0]
		return out, nil
	}
	out.id = c.emit(nn.Node{Op: "concat", In: ids})
	return out, nil
}

// lastInMemory orders the axes as they lie in memory, if one of them is innermost; nil if it is not.
func lastInMemory(l layout, axis int) []int {
	var order []int
	for a := range l.axes {
		if a != axis {
			order = append(order, a)
		}
	}
	place := func(a int) int { // one of size 1 lies anywhere
		if len(l.axes[a]) == 0 {
			return -1
		}
		return l.axes[a][0]
	}
	slices.SortStableFunc(order, func(a, b int) int { return place(a) - place(b) })
	order = append(order, axis)
	if !l.transpose(order).plain() {
		return nil
	}
	return order
}
