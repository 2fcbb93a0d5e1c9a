package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"rampart/nn"
)

// enter makes the graph's one input the network's, with want as the shape of its images where that is
// known.
func (t *translator) enter(g graphProto, want nn.Shape) error {
	var inputs []valueProto
	for _, v := range g.inputs {
		if t.constants[v.name] == nil { // initialisers may be inputs, too
			inputs = append(inputs, v)
		}
	}
	if len(inputs) != 1 {
		return fmt.Errorf("the network has %d inputs, want one: the images", len(inputs))
	}
	in := inputs[0]
	if in.elemType != typeFloat && in.elemType != typeDouble && in.elemType != typeFloat16 {
		return fmt.Errorf("input %q is of type %s: it must be float32, with pixels in [0,1]", in.name, typeNames[in.elemType])
	}
	if !in.shaped || len(in.dims) < 2 || len(in.dims) > 4 {
		return fmt.Errorf("input %q has no shape, or one of %d axes: it must be [N,C,H,W], [N,H,W,C] or [N,values]", in.name, len(in.dims))
	}
	t.batch = symbolicBatch
	dims := make([]int, len(in.dims)) // 0 where the file does not say
	for i, d := range in.dims {
		if d.value < 0 || d.value > math.MaxInt16 && i > 0 && len(in.dims) > 2 || d.value > maxElements {
			return fmt.Errorf("axis %d of input %q has the size %d", i, in.name, d.value)
		}
		dims[i] = int(d.value)
	}
	if dims[0] > 0 {
		t.batch = dims[0]
	}
	shape, l, err := t.image(in.name, dims[1:], want, g)
	if err != nil {
		return err
	}
	t.input = shape
	c := shape.C
	t.values[in.name] = &value{layout: l, phys: shape, raw: identity(c)}
	return nil
}

// image decides how an input of some axes, the batch left out, holds an image.
func (t *translator) image(name string, dims []int, want nn.Shape, g graphProto) (nn.Shape, layout, error) {
	first := func(s nn.Shape) []int { return []int{s.C, s.H, s.W} }
	last := func(s nn.Shape) []int { return []int{s.H, s.W, s.C} }
	fits := func(wanted []int) bool {
		if len(wanted) != len(dims) {
			return false
		}
		for i, d := range dims {
			if d != 0 && d != wanted[i] {
				return false
			}
		}
		return true
	}
	if want == (nn.Shape{}) {
		var err error
		if want, err = t.guess(name, dims, g); err != nil {
			return want, layout{}, err
		}
	}
	parts := []int{want.H, want.W, want.C}
	switch {
	case fits(first(want)) && (!fits(last(want)) || !transposed(name, g)):
		return want, newLayout(parts, []int{2}, []int{0}, []int{1}), nil
	case fits(last(want)):
		return want, newLayout(parts, []int{0}, []int{1}, []int{2}), nil
	case fits([]int{want.Size()}):
		if want.C > 1 {
			t.note("the input %q is flat: its values are taken to lie in C,H,W order", name)
		}
		return want, newLayout(parts, []int{2, 0, 1}), nil
	case want.C == 1 && fits([]int{want.H, want.W}):
		return want, newLayout(parts, []int{0}, []int{1}), nil
	case want.C == 1 && len(dims) > 1: // such as [N,1,784,1]
		l := newLayout(parts, []int{0, 1})
		known := slices.Clone(dims)
		for i, d := range known {
			if d == 0 {
				return want, l, fmt.Errorf("axis %d of input %q is not known", i+1, name)
			}
		}
		if r, ok := l.reshape(known); ok {
			return want, r, nil
		}
	}
	return want, layout{}, fmt.Errorf("the network takes images of shape %s (batch left out), where %v ones (height, width, channels) are given: neither [C,H,W] nor [H,W,C] fits", axesText(dims), want)
}

func axesText(dims []int) string {
	s := "["
	for i, d := range dims {
		if i > 0 {
			s += ","
		}
		if d == 0 {
			s += "?"
		} else {
			s += fmt.Sprint(d)
		}
	}
	return s + "]"
}

// guess takes the shape of the images from the input's alone.
func (t *translator) guess(name string, dims []int, g graphProto) (nn.Shape, error) {
	colours := func(c int) bool { return c == 1 || c == 3 || c == 4 }
	if slices.Contains(dims, 0) {
		return nn.Shape{}, fmt.Errorf("the file does not say how large images are: input %q has the shape %s", name, axesText(dims))
	}
	switch len(dims) {
	case 3:
		if colours(dims[2]) && (!colours(dims[0]) || transposed(name, g)) {
			return nn.Shape{H: dims[0], W: dims[1], C: dims[2]}, nil
		}
		return nn.Shape{H: dims[1], W: dims[2], C: dims[0]}, nil
	case 2:
		return nn.Shape{H: dims[0], W: dims[1], C: 1}, nil
	}
	for _, c := range []int{1, 3} {
		side := int(math.Sqrt(float64(dims[0] / c)))
		if side*side*c == dims[0] && side > 0 {
			t.note("the input %q is flat: images are taken to be square", name)
			return nn.Shape{H: side, W: side, C: c}, nil
		}
	}
	return nn.Shape{}, fmt.Errorf("input %q is flat, and %d values are no square image: the shape must be given", name, dims[0])
}

// transposed reports whether the first thing that happens to an input is a transposition from
// channels last to channels first.
func transposed(name string, g graphProto) bool {
	for _, n := range g.nodes {
		if slices.Contains(n.inputs, name) && n.op == "Transpose" {
			return slices.Equal((&node{nodeProto: n}).ints("perm"), []int{0, 3, 1, 2})
		}
	}
	return false
}

// leave takes the network's logits from the graph's first output.
func (t *translator) leave(g graphProto) error {
	if len(g.outputs) == 0 {
		return errors.New("the network has no output")
	}
	name := g.outputs[0].name
	v := t.values[name]
	if v == nil {
		return fmt.Errorf("output %q does not depend on the input", name)
	}
	if v.failed != nil {
		return v.failed
	}
	if len(g.outputs) > 1 {
		t.note("the network has %d outputs: the first, %q, is taken for the logits", len(g.outputs), name)
	}
	v, err := t.settled(v)
	if err != nil {
		return err
	}
	size, ok := product(v.dims())
	most := 0
	for _, d := range v.dims() {
		most = max(most, d)
	}
	if !ok || size < 2 || most != size {
		return fmt.Errorf("output %q has the shape %s (batch left out): it must be a logit for each of at least two classes", name, axesText(v.dims()))
	}
	if v.ended != "" {
		t.note("%s at the end is left out: attacks work on logits", v.ended)
	}
	if !v.plain() {
		return fmt.Errorf("output %q has its values in an order that Rampart cannot give them", name)
	}
	if v.id != len(t.nodes) || v.id == 0 { // something follows that nothing needs, or nothing is there
		v.id = t.emit(nn.Node{Op: "reshape", In: []int{v.id}, Shape: &nn.Shape{H: 1, W: 1, C: size}})
	}
	t.classes = size
	t.prune()
	return nil
}

// prune drops what the last node does not need, weights included.
func (t *translator) prune() {
	needed := make([]bool, len(t.nodes)+1)
	needed[len(t.nodes)] = true
	for i := len(t.nodes); i > 0; i-- {
		if needed[i] {
			for _, v := range t.nodes[i-1].In {
				needed[v] = true
			}
		}
	}
	number, kept := make([]int, len(needed)), t.nodes[:0:0]
	for i, n := range t.nodes {
		if !needed[i+1] {
			t.drop(n.Name)
			continue
		}
		n.In = slices.Clone(n.In)
		for j, v := range n.In {
			n.In[j] = number[v]
		}
		kept = append(kept, n)
		number[i+1] = len(kept)
	}
	t.nodes = kept
}
