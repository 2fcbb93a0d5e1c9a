package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

func foldGather(n *node, in []*constant) (*constant, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, want 2", len(in))
	}
	data := in[0]
	axis, err := n.axis("axis", 0, len(data.dims))
	if err != nil {
		return nil, err
	}
	indices, ok := in[1].list()
	if !ok {
		return nil, errors.New("the indices are no whole numbers")
	}
	dims := slices.Concat(data.dims[:axis], in[1].dims, data.dims[axis+1:])
	if size, fits := product(dims); !fits || size > maxElements {
		return nil, fmt.Errorf("a result of shape %v is too large", dims)
	}
	outer, _ := product(data.dims[:axis])
	inner, _ := product(data.dims[axis+1:])
	var from []int
	for o := range outer {
		for _, i := range indices {
			if i < 0 {
				i += data.dims[axis]
			}
			if i < 0 || i >= data.dims[axis] {
				return nil, fmt.Errorf("index %d of an axis of %d", i, data.dims[axis])
			}
			for k := range inner {
				from = append(from, (o*data.dims[axis]+i)*inner+k)
			}
		}
	}
	return data.pick(dims, from), nil
}

func foldConcat(n *node, in []*constant) (*constant, error) {
	axis, err := n.axis("axis", 0, len(in[0].dims))
	if err != nil {
		return nil, err
	}
	out := &constant{dims: slices.Clone(in[0].dims), whole: in[0].whole}
	out.dims[axis] = 0
	for _, c := range in {
		if len(c.dims) != len(out.dims) || c.whole != out.whole {
			return nil, fmt.Errorf("shapes %v and %v, or their types, do not fit each other", in[0].dims, c.dims)
		}
		for a, d := range c.dims {
			if a != axis && d != out.dims[a] {
				return nil, fmt.Errorf("shapes %v and %v do not fit each other", in[0].dims, c.dims)
			}
		}
		out.dims[axis] += c.dims[axis]
	}
	if size, ok := product(out.dims); !ok || size > maxElements {
		return nil, fmt.Errorf("a result of shape %v is too large", out.dims)
	}
	outer, _ := product(out.dims[:axis])
	for o := range outer {
		for _, c := range in {
			inner, _ := product(c.dims[axis:])
			if c.whole {
				out.ints = append(out.ints, c.ints[o*inner:(o+1)*inner]...)
			} else {
				out.floats = append(out.floats, c.floats[o*inner:(o+1)*inner]...)
			}
		}
	}
	return out, nil
}

// cuts lists the indices that Slice takes of each axis, nil for all; starts, ends, axes and steps come
// from attributes (before opset 10) or inputs.
func (n *node) cuts(dims []int, in []*constant) ([][]int, error) {
	var lists [4][]int
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		if n.has(name) {
			lists[i] = n.ints(name)
			continue
		}
		if i+1 < len(in) && in[i+1] != nil {
			list, ok := in[i+1].list()
			if !ok {
				return nil, fmt.Errorf("%s are no whole numbers", name)
			}
			lists[i] = list
		}
	}
	starts, ends, axes, steps := lists[0], lists[1], lists[2], lists[3]
	if len(starts) != len(ends) || axes != nil && len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, errors.New("starts, ends, axes and steps are of unequal length")
	}
	picked := make([][]int, len(dims))
	for i := range starts {
		a, step := i, 1
		if axes != nil {
			a = axes[i]
		}
		if a < 0 {
			a += len(dims)
		}
		if a < 0 || a >= len(dims) {
			return nil, fmt.Errorf("axis %d of %d", a, len(dims))
		}
		if steps != nil {
			step = steps[i]
		}
		if step == 0 || step == math.MinInt {
			return nil, fmt.Errorf("step %d", step)
		}
		if step == 1 && starts[i] == 0 && ends[i] >= dims[a] {
			continue // all of it, however long that is
		}
		if dims[a] > maxElements {
			return nil, fmt.Errorf("a part of an axis of %d", dims[a])
		}
		if picked[a] = sliced(dims[a], starts[i], ends[i], step); picked[a] == nil {
			picked[a] = []int{}
		}
	}
	return picked, nil
}

func foldSlice(n *node, in []*constant) (*constant, error) {
	data := in[0]
	picked, err := n.cuts(data.dims, in)
	if err != nil {
		return nil, err
	}
	for a, d := range data.dims {
		if picked[a] == nil {
			picked[a] = intsFrom(0, d)
		}
	}
	dims, s := make([]int, len(picked)), strides(data.dims)
	for a := range picked {
		dims[a] = len(picked[a])
	}
	var from []int
	walk(dims, func(index []int) {
		at := 0
		for a, i := range index {
			at += picked[a][i] * s[a]
		}
		from = append(from, at)
	})
	return data.pick(dims, from), nil
}

// sliced lists the indices that a slice takes of an axis of n.
func sliced(n, start, end, step int) (list []int) {
	bound := func(v, least, most int) int {
		if v < 0 {
			v += n
		}
		return min(max(v, least), most)
	}
	if step > 0 {
		to := bound(end, 0, n)
		for i := bound(start, 0, n); i < to; {
			list = append(list, i)
			if step >= to-i {
				break
			}
			i += step
		}
		return list
	}
	to := bound(end, -1, n-1)
	for i := bound(start, -1, n-1); i > to; {
		list = append(list, i)
		if step <= to-i {
			break
		}
		i += step
	}
	return list
}
