package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// channelsLast lists, for each place along the innermost part of memory, the index of axis there, if
// the axis is that part of memory, in any order; nil if it is not.
func channelsLast(l layout, axis int) []int {
	parts := l.axes[axis]
	sorted := slices.Sorted(slices.Values(parts))
	for i, p := range sorted {
		if p != len(l.sizes)-len(parts)+i {
			return nil
		}
	}
	alone := layout{axes: [][]int{make([]int, len(parts))}}
	for i, p := range sorted {
		alone.sizes = append(alone.sizes, l.sizes[p])
		alone.axes[0][slices.Index(parts, p)] = i
	}
	return alone.positions()
}

// picked is a value with some indices of an axis alone, in that order: a 1x1 convolution, whose
// weights are zeros and ones.
func (c *call) picked(v *value, axis int, indices []int) (*value, error) {
	v, err := c.settled(v)
	if err != nil {
		return nil, err
	}
	places := channelsLast(v.layout, axis)
	if places == nil {
		return nil, fmt.Errorf("parts of axis %d of a value of shape %s are not supported: it is not the innermost in memory, where channels lie", axis+1, axesText(v.dims()))
	}
	channels := len(places)
	if len(indices) == 0 || max(channels, len(indices)) > maxChannels {
		return nil, fmt.Errorf("%d of %d channels: between 1 and %d are supported", len(indices), channels, maxChannels)
	}
	at := make([]int, channels) // of each index
	for place, i := range places {
		at[i] = place
	}
	weight := make([]float32, len(indices)*channels)
	for o, i := range indices {
		weight[o*channels+at[i]] = 1
	}
	shape := v.phys
	if shape.C != channels {
		shape = nn.Shape{H: shape.Size() / channels, W: 1, C: channels}
	}
	n := nn.Node{Op: "conv", In: []int{c.viewed(v, shape).id}, Out: len(indices), Kernel: [2]int{1, 1}, Stride: 1, Constant: true}
	shape.C = len(indices)
	out := &value{phys: shape, layout: resized(v.layout, inMemory(v.layout, axis), len(indices))}
	out.id = c.layer("pick", n, weight, []int{len(indices), channels, 1, 1}, make([]float32, len(indices)))
	return out, nil
}

// inMemory orders the axes as they lie in memory, the given one last.
func inMemory(l layout, last int) []int {
	var order []int
	for a := range l.axes {
		if a != last {
			order = append(order, a)
		}
	}
	return append(order, last)
}

// resized is a layout whose axis that is innermost in memory, the last of order, gets another size.
func resized(l layout, order []int, size int) layout {
	axis := order[len(order)-1]
	parts := slices.Clone(l.sizes[:len(l.sizes)-len(l.axes[axis])])
	axes := make([][]int, len(l.axes))
	for a := range axes {
		axes[a] = l.axes[a]
	}
	axes[axis] = []int{len(parts)}
	return newLayout(append(parts, size), axes...)
}

// arranged is a value whose channels, along an axis, lie in the order of their indices.
func (c *call) arranged(v *value, axis int) (*value, error) {
	places := channelsLast(v.layout, axis)
	if places == nil || slices.IsSorted(places) {
		return v, nil
	}
	if known := c.ordered[v]; known != nil {
		return known, nil
	}
	out, err := c.picked(v, axis, intsFrom(0, len(places)))
	if err == nil {
		c.ordered[v] = out
	}
	return out, err
}

// split is Split: equal parts, or parts of given sizes.
func (c *call) split() (*value, error) {
	v := c.in[0]
	axis, err := c.axis("axis", 0, len(v.axes)+1)
	if err != nil {
		return nil, err
	}
	if axis == 0 {
		return nil, errors.New("it divides the batch, which is not supported")
	}
	given, err := c.constant(1, "sizes")
	if err != nil {
		return nil, err
	}
	total, sizes := v.size(axis-1), c.ints("split")
	if given != nil {
		sizes, _ = given.list()
	}
	if sizes == nil {
		each := (total + len(c.outputs) - 1) / len(c.outputs) // the last may be smaller
		for left := total; left > 0; left -= each {
			sizes = append(sizes, min(each, left))
		}
	}
	sum := 0
	for _, n := range sizes {
		if n < 1 || n > total {
			return nil, fmt.Errorf("sizes %v of an axis of %d", sizes, total)
		}
		sum += n
	}
	if sum != total || len(sizes) != len(c.outputs) {
		return nil, fmt.Errorf("sizes %v of an axis of %d, for %d outputs", sizes, total, len(c.outputs))
	}
	from := 0
	for _, n := range sizes {
		part, err := c.picked(v, axis-1, intsFrom(from, from+n))
		if err != nil {
			return nil, err
		}
		c.more, from = append(c.more, part), from+n
	}
	first := c.more[0]
	c.more = c.more[1:]
	return first, nil
}

// slice is Slice of channels; whole axes may be named, too.
func (c *call) slice() (*value, error) {
	for i := range c.in[1:] {
		if c.in[i+1] != nil {
			return nil, errors.New("its bounds depend on the image: that is not supported")
		}
	}
	v := c.in[0]
	cuts, err := c.cuts(c.shape(v), c.c)
	if err != nil {
		return nil, err
	}
	for a, indices := range cuts {
		switch {
		case indices == nil:
		case a == 0:
			return nil, errors.New("it takes a part of the batch, which is not supported")
		default:
			if v, err = c.picked(v, a-1, indices); err != nil {
				return nil, err
			}
		}
	}
	return c.handed(v), nil
}

// gather is Gather of channels by constant indices; a single one drops the axis.
func (c *call) gather() (*value, error) {
	v := c.in[0]
	k, err := c.constant(1, "indices")
	if err != nil {
		return nil, err
	}
	axis, err := c.axis("axis", 0, len(v.axes)+1)
	if err != nil {
		return nil, err
	}
	indices, ok := k.list()
	if !ok || len(k.dims) > 1 || axis == 0 {
		return nil, fmt.Errorf("indices %v along axis %d are not supported: only a list of channels is", indices, axis)
	}
	size := v.size(axis - 1)
	for i, at := range indices {
		if at < 0 {
			indices[i] += size
		}
		if indices[i] < 0 || indices[i] >= size {
			return nil, fmt.Errorf("index %d of an axis of %d", at, size)
		}
	}
	out, err := c.picked(v, axis-1, indices)
	if err != nil || len(k.dims) > 0 {
		return out, err
	}
	out.axes = slices.Delete(slices.Clone(out.axes), axis-1, axis)
	return out, nil
}
