package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"rampart/nn"
)

// affine is scale*x + shift. Each has one value for all, one for each channel, or one for each place
// of an example in memory.
type affine struct{ scale, shift []float64 }

func identity(channels int) *affine {
	return &affine{slices.Repeat([]float64{1}, channels), make([]float64, channels)}
}

// after is a map on top of another; both are by channel.
func (a *affine) after(b *affine) *affine {
	out := &affine{make([]float64, len(b.scale)), make([]float64, len(b.shift))}
	for i := range b.scale {
		s, o := a.scale[i%len(a.scale)], a.shift[i%len(a.shift)]
		out.scale[i], out.shift[i] = s*b.scale[i], s*b.shift[i]+o
	}
	return out
}

// invertible reports whether the map can be an input's normalisation: (x-mean)/std in float32.
func (a *affine) invertible() bool {
	for i, s := range a.scale {
		mean, std := float64(float32(-a.shift[i]/s)), float64(float32(1/s))
		if !(s > 0) || !(std > 0) || math.IsInf(std, 0) || math.IsNaN(mean) || math.IsInf(mean, 0) {
			return false
		}
	}
	return true
}

// normalisation is the input's, empty where there is none.
func (t *translator) normalisation() (mean, std []float32) {
	if t.norm == nil || isIdentity(t.norm) {
		return nil, nil
	}
	for i, s := range t.norm.scale {
		mean, std = append(mean, float32(-t.norm.shift[i]/s)), append(std, float32(1/s))
	}
	return mean, std
}

func isIdentity(a *affine) bool {
	return !slices.ContainsFunc(a.scale, func(v float64) bool { return v != 1 }) && isZero(a.shift)
}

func isZero(list []float64) bool {
	return !slices.ContainsFunc(list, func(v float64) bool { return v != 0 })
}

// settled is a value that the topology has: maps of the input and zeros around it are laid down.
func (t *translator) settled(v *value) (*value, error) {
	if v.inner != nil {
		return t.padded(v)
	}
	if v.raw == nil {
		return v, nil
	}
	if t.norm == nil {
		t.norm = identity(t.input.C)
		if v.raw.invertible() {
			t.norm = v.raw
		}
	}
	out := *v
	out.raw = nil
	if !slices.Equal(v.raw.scale, t.norm.scale) || !slices.Equal(v.raw.shift, t.norm.shift) {
		return t.mapped(&out, v.raw.after(inverse(t.norm)), "input", true)
	}
	return &out, nil
}

func inverse(a *affine) *affine {
	out := &affine{make([]float64, len(a.scale)), make([]float64, len(a.shift))}
	for i, s := range a.scale {
		out.scale[i], out.shift[i] = 1/s, -a.shift[i]/s
	}
	return out
}

// mapped lays a map down as a normalisation with fixed statistics.
func (t *translator) mapped(v *value, a *affine, name string, constant bool) (*value, error) {
	out := *v
	out.owner = 0
	if f := float32(a.scale[0]); len(a.scale) == 1 && isZero(a.shift) && !math.IsInf(float64(f), 0) && f == f {
		if v.id > 0 && t.nodes[v.id-1].Op == "scale" { // both at once
			if both := f * t.nodes[v.id-1].Factor; !math.IsInf(float64(both), 0) {
				out.id, f = t.nodes[v.id-1].In[0], both
			}
		}
		if f != 1 {
			out.id = t.emit(nn.Node{Op: "scale", In: []int{out.id}, Factor: f})
		}
		return &out, nil
	}
	size := v.phys.C
	byValue := max(len(a.scale), len(a.shift)) > size
	if byValue {
		size = v.phys.Size()
	}
	scale, shift := make([]float32, size), make([]float32, size)
	for i := range size {
		scale[i], shift[i] = float32(a.scale[i%len(a.scale)]), float32(a.shift[i%len(a.shift)])
	}
	// The sum of variance and epsilon is 1, exactly.
	const epsilon = 0x1p-10
	out.id = t.batchNorm(name, nn.Node{In: []int{v.id}, Epsilon: epsilon, Fixed: true, Constant: constant, Elementwise: byValue},
		scale, shift, make([]float32, size), slices.Repeat([]float32{1 - epsilon}, size))
	return &out, nil
}

func (t *translator) batchNorm(name string, n nn.Node, parts ...[]float32) (id int) {
	n.Op, n.Name = "batchnorm", t.unique(name)
	for i, suffix := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		t.weight(n.Name+suffix, parts[i], len(parts[i]))
	}
	return t.emit(n)
}

// coefficients lists a constant's value for all places of a value, each channel or each place.
func (v *value) coefficients(c *constant) ([]float64, error) {
	if c.len() == 1 && len(c.dims) <= len(v.axes)+1 {
		return []float64{c.at(0)}, nil
	}
	dims := append([]int{1}, v.dims()...)
	if all, ok := broadcast(dims, c.dims); !ok || !slices.Equal(all, dims) {
		return nil, fmt.Errorf("a constant of shape %v does not fit a value of shape %s", c.dims, axesText(v.dims()))
	}
	from, list := spread(c.dims, dims), make([]float64, 0, v.phys.Size())
	for _, at := range v.positions() {
		list = append(list, c.at(from[at]))
	}
	channels := v.phys.C
	for i := channels; i < len(list); i++ {
		if list[i] != list[i%channels] {
			return list, nil
		}
	}
	return list[:channels], nil
}

// withConstant is v op c, or c op v.
func (t *translator) withConstant(n *node, v *value, c *constant, first bool) (*value, error) {
	list, err := v.coefficients(c)
	if err != nil {
		return nil, err
	}
	a := &affine{[]float64{1}, []float64{0}}
	switch {
	case n.op == "Add":
		a.shift = list
	case n.op == "Mul":
		a.scale = list
	case n.op == "Sub" && first:
		a.shift = each(list, func(x float64) float64 { return -x })
	case n.op == "Sub":
		a.scale, a.shift = []float64{-1}, list
	case n.op == "Div" && first:
		a.scale = each(list, func(x float64) float64 { return 1 / x })
	default:
		return nil, errors.New("a constant divided by a value is not supported")
	}
	for _, x := range slices.Concat(a.scale, a.shift) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, errors.New("the constant holds what is no finite number, or a zero to divide by")
		}
	}
	return t.transformed(n, v, a, c.len() == 1)
}

func each(list []float64, f func(float64) float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// transformed applies a map: to the normalisation where the value is the input, to the bias of the
// layer before where it alone has it, or as a node.
func (t *translator) transformed(n *node, v *value, a *affine, constant bool) (*value, error) {
	channels := v.phys.C
	byChannel := len(a.scale) <= channels && len(a.shift) <= channels
	if v.raw != nil && byChannel {
		out := *v
		out.raw = a.after(v.raw)
		return &out, nil
	}
	v, err := t.settled(v)
	if err != nil {
		return nil, err
	}
	if v.owner > 0 && byChannel && len(a.scale) == 1 && a.scale[0] == 1 && t.once(n) {
		bias := t.tensors[t.byName[t.nodes[v.owner-1].Name+".bias"]].Data
		for i := range bias {
			bias[i] += float32(a.shift[i%len(a.shift)])
		}
		return v, nil
	}
	return t.mapped(v, a, n.title(), constant)
}

// once reports whether this node alone reads the values that it reads.
func (t *translator) once(n *node) bool {
	for _, name := range n.inputs {
		if t.values[name] != nil && t.uses[name] > 1 {
			return false
		}
	}
	return true
}
