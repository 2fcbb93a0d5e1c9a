package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// folds compute operations on constants: what exporters leave of shape arithmetic, and weights that
// pass through a few operations before they are used.
var folds = map[string]func(n *node, in []*constant) (*constant, error){
	"Identity": func(_ *node, in []*constant) (*constant, error) { return in[0], nil },
	"Dropout":  func(_ *node, in []*constant) (*constant, error) { return in[0], nil },
	"Cast":     foldCast,
	"Reshape": func(n *node, in []*constant) (*constant, error) {
		dims, err := n.target(in[0].dims, second(in))
		if err != nil {
			return nil, err
		}
		return in[0].shaped(dims), nil
	},
	"Flatten": func(n *node, in []*constant) (*constant, error) {
		dims, err := n.flattened(in[0].dims)
		if err != nil {
			return nil, err
		}
		return in[0].shaped(dims), nil
	},
	"Squeeze": func(n *node, in []*constant) (*constant, error) {
		dims, err := n.squeezed(in[0].dims, second(in))
		if err != nil {
			return nil, err
		}
		return in[0].shaped(dims), nil
	},
	"Unsqueeze": func(n *node, in []*constant) (*constant, error) {
		dims, err := n.unsqueezed(in[0].dims, second(in))
		if err != nil {
			return nil, err
		}
		return in[0].shaped(dims), nil
	},
	"Transpose": func(n *node, in []*constant) (*constant, error) {
		perm, err := n.permutation(len(in[0].dims))
		if err != nil {
			return nil, err
		}
		return in[0].transposed(perm), nil
	},
	"Shape": func(n *node, in []*constant) (*constant, error) { return n.shapeOf(in[0].dims) },
	"Size": func(_ *node, in []*constant) (*constant, error) {
		c := wholes(int64(in[0].len()))
		c.dims = nil
		return c, nil
	},
	"ConstantOfShape": foldConstantOfShape,
	"Gather":          foldGather,
	"Concat":          foldConcat,
	"Slice":           foldSlice,
	"Range":           foldRange,
	"Expand": func(_ *node, in []*constant) (*constant, error) {
		want, ok := second(in).list()
		if !ok {
			return nil, errors.New("the shape is no list of whole numbers")
		}
		dims, ok := broadcast(in[0].dims, want)
		if !ok {
			return nil, fmt.Errorf("shape %v cannot become %v", in[0].dims, want)
		}
		return in[0].pick(dims, spread(in[0].dims, dims)), nil
	},
	"Where": foldWhere,
	"ReduceProd": func(n *node, in []*constant) (*constant, error) {
		return foldReduce(n, in, 1, func(a, b float64) float64 { return a * b })
	},
	"ReduceSum": func(n *node, in []*constant) (*constant, error) {
		return foldReduce(n, in, 0, func(a, b float64) float64 { return a + b })
	},
	"Add":        elementwise(func(a, b float64) float64 { return a + b }),
	"Sub":        elementwise(func(a, b float64) float64 { return a - b }),
	"Mul":        elementwise(func(a, b float64) float64 { return a * b }),
	"Div":        elementwise(func(a, b float64) float64 { return a / b }),
	"Pow":        elementwise(math.Pow),
	"Min":        elementwise(math.Min),
	"Max":        elementwise(math.Max),
	"Mod":        elementwise(func(a, b float64) float64 { return a - b*math.Floor(a/b) }),
	"Equal":      elementwise(func(a, b float64) float64 { return truth(a == b) }),
	"Greater":    elementwise(func(a, b float64) float64 { return truth(a > b) }),
	"Less":       elementwise(func(a, b float64) float64 { return truth(a < b) }),
	"And":        elementwise(func(a, b float64) float64 { return truth(a != 0 && b != 0) }),
	"Not":        unary(func(a float64) float64 { return truth(a == 0) }),
	"Neg":        unary(func(a float64) float64 { return -a }),
	"Abs":        unary(math.Abs),
	"Sqrt":       unary(math.Sqrt),
	"Floor":      unary(math.Floor),
	"Ceil":       unary(math.Ceil),
	"Reciprocal": unary(func(a float64) float64 { return 1 / a }),
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// second is an input that may be missing.
func second(in []*constant) *constant {
	if len(in) > 1 {
		return in[1]
	}
	return nil
}

// comparisons give whole numbers whatever they compare.
var comparisons = []string{"Equal", "Greater", "Less", "And", "Not"}

func unary(f func(a float64) float64) func(*node, []*constant) (*constant, error) {
	return func(n *node, in []*constant) (*constant, error) {
		out := &constant{dims: in[0].dims, whole: in[0].whole || slices.Contains(comparisons, n.op)}
		for i := range in[0].len() {
			out.append(f(in[0].at(i)))
		}
		return out, nil
	}
}

func elementwise(f func(a, b float64) float64) func(*node, []*constant) (*constant, error) {
	return func(n *node, in []*constant) (*constant, error) {
		out := in[0]
		for _, c := range in[1:] {
			a, b := out, c
			dims, ok := broadcast(a.dims, b.dims)
			if !ok {
				return nil, fmt.Errorf("shapes %v and %v do not fit each other", a.dims, b.dims)
			}
			out = &constant{dims: dims, whole: a.whole && b.whole || slices.Contains(comparisons, n.op)}
			from := spread(b.dims, dims)
			for i, at := range spread(a.dims, dims) {
				if out.whole && (n.op == "Div" || n.op == "Mod") && b.at(from[i]) == 0 {
					return nil, errors.New("division by zero")
				}
				out.append(f(a.at(at), b.at(from[i])))
			}
		}
		return out, nil
	}
}

// append adds a value; whole numbers are cut off towards zero, as ONNX divides them.
func (c *constant) append(v float64) {
	if !c.whole {
		c.floats = append(c.floats, float32(v))
		return
	}
	switch { // the conversion of what does not fit is not defined
	case math.IsNaN(v):
		v = 0
	case v >= math.MaxInt64:
		c.ints = append(c.ints, math.MaxInt64)
		return
	case v <= math.MinInt64:
		c.ints = append(c.ints, math.MinInt64)
		return
	}
	c.ints = append(c.ints, int64(v))
}

func foldCast(n *node, in []*constant) (*constant, error) {
	to := n.int("to", 0)
	if _, ok := elementSizes[to]; !ok {
		return nil, fmt.Errorf("cast to type %d (%s) is not supported", to, typeNames[to])
	}
	out := &constant{dims: in[0].dims, whole: to != typeFloat && to != typeDouble && to != typeFloat16 && to != typeBFloat16}
	if out.whole == in[0].whole && to != typeBool {
		return in[0], nil
	}
	for i := range in[0].len() {
		v := in[0].at(i)
		if to == typeBool {
			v = truth(v != 0)
		}
		out.append(v)
	}
	return out, nil
}

func (c *constant) transposed(perm []int) *constant {
	dims, s := make([]int, len(perm)), strides(c.dims)
	for i, p := range perm {
		dims[i] = c.dims[p]
	}
	var from []int
	walk(dims, func(index []int) {
		at := 0
		for i, v := range index {
			at += v * s[perm[i]]
		}
		from = append(from, at)
	})
	return c.pick(dims, from)
}

func foldConstantOfShape(n *node, in []*constant) (*constant, error) {
	dims, ok := in[0].list()
	size, fits := product(dims)
	if !ok || !fits || size > maxElements {
		return nil, fmt.Errorf("no tensor of shape %v", dims)
	}
	value := &constant{dims: []int{1}, floats: []float32{0}}
	if t := n.attribute("value"); t != nil && t.t != nil {
		var err error
		if value, err = constantOf(t.t, n.files); err != nil {
			return nil, err
		}
		if value.len() != 1 {
			return nil, fmt.Errorf("%d values where one is wanted", value.len())
		}
	}
	return value.pick(dims, make([]int, size)), nil
}

func foldWhere(_ *node, in []*constant) (*constant, error) {
	if len(in) != 3 {
		return nil, fmt.Errorf("%d inputs, want 3", len(in))
	}
	dims, ok := broadcast(in[1].dims, in[2].dims)
	if ok {
		dims, ok = broadcast(in[0].dims, dims)
	}
	if !ok {
		return nil, fmt.Errorf("shapes %v, %v and %v do not fit each other", in[0].dims, in[1].dims, in[2].dims)
	}
	out := &constant{dims: dims, whole: in[1].whole && in[2].whole}
	yes, no := spread(in[1].dims, dims), spread(in[2].dims, dims)
	for i, at := range spread(in[0].dims, dims) {
		if in[0].at(at) != 0 {
			out.append(in[1].at(yes[i]))
		} else {
			out.append(in[2].at(no[i]))
		}
	}
	return out, nil
}

func foldRange(_ *node, in []*constant) (*constant, error) {
	if len(in) != 3 || in[0].len() != 1 || in[1].len() != 1 || in[2].len() != 1 {
		return nil, errors.New("start, limit and delta must be one number each")
	}
	start, limit, delta := in[0].at(0), in[1].at(0), in[2].at(0)
	size := math.Ceil((limit - start) / delta)
	if !(size <= maxElements) {
		return nil, fmt.Errorf("a range from %v to %v by %v", start, limit, delta)
	}
	out := &constant{whole: in[0].whole}
	for i := 0.0; i < size; i++ {
		out.append(start + i*delta)
	}
	out.dims = []int{out.len()}
	return out, nil
}

func foldReduce(n *node, in []*constant, start float64, f func(a, b float64) float64) (*constant, error) {
	axes, err := n.axes(len(in[0].dims), second(in))
	if err != nil {
		return nil, err
	}
	kept := slices.Clone(in[0].dims)
	for a := range kept {
		if len(axes) == 0 || slices.Contains(axes, a) {
			kept[a] = 1
		}
	}
	size, _ := product(kept)
	sums := slices.Repeat([]float64{start}, size)
	for i, to := range spread(kept, in[0].dims) {
		sums[to] = f(sums[to], in[0].at(i))
	}
	out := &constant{dims: kept, whole: in[0].whole}
	for _, v := range sums {
		out.append(v)
	}
	if n.int("keepdims", 1) == 0 {
		out.dims = nil
		for a, d := range kept {
			if len(axes) > 0 && !slices.Contains(axes, a) {
				out.dims = append(out.dims, d)
			}
		}
	}
	return out, nil
}
