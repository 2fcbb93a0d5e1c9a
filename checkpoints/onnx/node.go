package onnx

import (
	"errors"
	"fmt"
	"slices"
)

// node is a NodeProto at work.
type node struct {
	*nodeProto
	opset int64
	batch int // the number that stands for the batch in shapes
	files *folder
}

func (n *node) attribute(name string) *attributeProto {
	for i := range n.attributes {
		if n.attributes[i].name == name {
			return &n.attributes[i]
		}
	}
	return nil
}

func (n *node) has(name string) bool { return n.attribute(name) != nil }

func (n *node) int(name string, fallback int64) int64 {
	if a := n.attribute(name); a != nil {
		return a.i
	}
	return fallback
}

func (n *node) float(name string, fallback float32) float32 {
	if a := n.attribute(name); a != nil {
		return a.f
	}
	return fallback
}

func (n *node) string(name, fallback string) string {
	if a := n.attribute(name); a != nil {
		return string(a.s)
	}
	return fallback
}

func (n *node) ints(name string) []int {
	a := n.attribute(name)
	if a == nil {
		return nil
	}
	list := make([]int, len(a.ints))
	for i, v := range a.ints {
		list[i] = int(v)
	}
	return list
}

// axis reads an axis of a tensor of some rank, which may be counted from the end.
func (n *node) axis(name string, fallback, rank int) (int, error) {
	return normal(int(n.int(name, int64(fallback))), rank)
}

func normal(axis, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		return 0, fmt.Errorf("axis %d of a tensor of %d axes", axis, rank)
	}
	return a, nil
}

// axes reads a list of axes from the attribute, or from the input that newer opsets have; nil is none.
func (n *node) axes(rank int, input *constant) ([]int, error) {
	list := n.ints("axes")
	if input != nil {
		var ok bool
		if list, ok = input.list(); !ok {
			return nil, errors.New("the axes are no whole numbers")
		}
	}
	for i, a := range list {
		var err error
		if list[i], err = normal(a, rank); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (n *node) permutation(rank int) ([]int, error) {
	perm := n.ints("perm")
	if perm == nil {
		for a := range rank {
			perm = append(perm, rank-1-a)
		}
	}
	sorted := slices.Sorted(slices.Values(perm))
	for i, a := range sorted {
		if a != i || len(sorted) != rank {
			return nil, fmt.Errorf("perm %v of %d axes", perm, rank)
		}
	}
	if len(sorted) != rank {
		return nil, fmt.Errorf("perm %v of %d axes", perm, rank)
	}
	return perm, nil
}

// target is the shape that Reshape gives.
func (n *node) target(dims []int, shape *constant) ([]int, error) {
	want := n.ints("shape") // before opset 5
	if shape != nil {
		var ok bool
		if want, ok = shape.list(); !ok {
			return nil, errors.New("the shape is no list of whole numbers")
		}
	}
	const most = symbolicBatch * maxElements // with the batch
	size, fits := productTo(dims, most)
	out, open := slices.Clone(want), -1
	for i, d := range want {
		switch {
		case d == 0 && n.int("allowzero", 0) == 0 && i < len(dims):
			out[i] = dims[i]
		case d == -1 && open < 0:
			open, out[i] = i, 1
		}
	}
	got, ok := productTo(out, most)
	if ok = ok && fits; ok && open >= 0 && got > 0 {
		out[open] = size / got
		got *= out[open]
	}
	if !ok || got != size {
		return nil, fmt.Errorf("shape %v cannot become %v", dims, want)
	}
	return out, nil
}

func (n *node) flattened(dims []int) ([]int, error) {
	axis := int(n.int("axis", 1))
	if axis < 0 {
		axis += len(dims)
	}
	if axis < 0 || axis > len(dims) {
		return nil, fmt.Errorf("axis %d of %d", axis, len(dims))
	}
	outer, _ := product(dims[:axis])
	inner, _ := product(dims[axis:])
	return []int{outer, inner}, nil
}

func (n *node) squeezed(dims []int, input *constant) ([]int, error) {
	axes, err := n.axes(len(dims), input)
	if err != nil {
		return nil, err
	}
	var out []int
	for a, d := range dims {
		drop := slices.Contains(axes, a) || axes == nil && d == 1 && !(a == 0 && d == n.batch)
		if drop && d != 1 {
			return nil, fmt.Errorf("axis %d of shape %v is not 1", a, dims)
		}
		if !drop {
			out = append(out, d)
		}
	}
	return out, nil
}

func (n *node) unsqueezed(dims []int, input *constant) ([]int, error) {
	// the axes are those of the result
	count := len(n.ints("axes"))
	if input != nil {
		count = input.len()
	}
	axes, err := n.axes(len(dims)+count, input)
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(dims)+count)
	for a := range len(dims) + count {
		switch {
		case slices.Contains(axes, a):
			out = append(out, 1)
		case len(dims) == 0:
			return nil, fmt.Errorf("axes %v", axes)
		default:
			out, dims = append(out, dims[0]), dims[1:]
		}
	}
	if len(dims) > 0 {
		return nil, fmt.Errorf("axes %v", axes)
	}
	return out, nil
}

// shapeOf is Shape, with its start and end since opset 15.
func (n *node) shapeOf(dims []int) (*constant, error) {
	within := func(v int64) int64 {
		if v < 0 {
			v += int64(len(dims))
		}
		return min(max(v, 0), int64(len(dims)))
	}
	from, to := within(n.int("start", 0)), within(n.int("end", int64(len(dims))))
	out := wholes()
	for a := from; a < to; a++ {
		out.ints = append(out.ints, int64(dims[a]))
	}
	out.dims = []int{len(out.ints)}
	return out, nil
}
