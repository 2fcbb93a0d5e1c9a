package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"rampart/nn/device"
	"rampart/nn/op"
)

// value is a node of the graph, [N,H,W,C] or, for a shape of 1x1, perhaps [N,C].
type value struct {
	node  *gorgonia.Node
	shape Shape
}

func (v value) size() int { return v.shape.Size() }

// image gives the value four axes.
func (v value) image() (*gorgonia.Node, error) {
	if v.node.Dims() == 4 && v.node.Shape()[3] == v.shape.C && v.node.Shape()[2] == v.shape.W {
		return v.node, nil
	}
	return op.Reshape(v.node, v.shape.H, v.shape.W, v.shape.C)
}

// flat gives the value two.
func (v value) flat() (*gorgonia.Node, error) {
	if v.node.Dims() == 2 {
		return v.node, nil
	}
	return op.Flatten(v.node)
}

// topology adds a Topology behind x, the normalised input.
func (b *builder) topology(t *Topology, x *gorgonia.Node, spec Spec) (*gorgonia.Node, error) {
	values := []value{{x, spec.Input}}
	for i, n := range t.Nodes {
		in := make([]value, len(n.In))
		for j, v := range n.In {
			in[j] = values[v]
		}
		v, err := b.node(n, in)
		if err != nil {
			return nil, fmt.Errorf("%s, node %d (%s %q): %w", spec.Arch, i+1, n.Op, n.Name, err)
		}
		values = append(values, v)
	}
	last := values[len(t.Nodes)]
	if last.size() != spec.Classes {
		return nil, fmt.Errorf("%s ends with %v values, for %d classes", spec.Arch, last.shape, spec.Classes)
	}
	return last.flat()
}

func (b *builder) node(n Node, in []value) (out value, err error) {
	x := in[0]
	switch n.Op {
	case "conv", "maxpool", "avgpool":
		return b.windowedNode(n, x)
	case "dense":
		return b.denseNode(n, x)
	case "batchnorm":
		return b.batchNormNode(n, x)
	case "groupnorm", "layernorm":
		return b.ownNormNode(n, x)
	case "relu":
		x.node, err = op.ReLU(x.node)
	case "scale":
		x.node, err = op.Scale(x.node, n.Factor)
	case "reshape":
		if n.Shape.Size() != x.size() {
			return x, fmt.Errorf("a value of %v cannot become %v", x.shape, *n.Shape)
		}
		x.shape = *n.Shape
		x.node, err = x.image()
	case "add":
		return join(op.Add, x, in[1])
	case "mul":
		if y := in[1]; y.shape == (Shape{1, 1, x.shape.C}) {
			return pair(op.Mul, x, y)
		}
		return join(op.Mul, x, in[1])
	case "concat":
		return concat(in)
	case "log_mean_softmax":
		return combine(op.LogMeanSoftmax, in)
	case "vote":
		return combine(op.Vote, in)
	default:
		x.node, err = op.Activation(x.node, activations[n.Op], n.Slope)
	}
	return x, err
}

func (b *builder) windowedNode(n Node, x value) (value, error) {
	in, err := x.image()
	if err != nil {
		return x, err
	}
	w := device.Window{H: x.shape.H, W: x.shape.W, C: x.shape.C, KH: n.Kernel[0], KW: n.Kernel[1], Stride: n.Stride,
		PadTop: n.Pads[0], PadLeft: n.Pads[1], PadBottom: n.Pads[2], PadRight: n.Pads[3]}
	out := value{shape: Shape{w.OutH(), w.OutW(), w.C}}
	switch n.Op {
	case "maxpool":
		out.node, err = op.MaxPool(in, w)
	case "avgpool":
		out.node, err = op.AvgPool(in, w)
	default:
		out.shape.C = n.Out
		groups := max(n.Groups, 1)
		if x.shape.C%groups != 0 {
			return x, fmt.Errorf("%d channels do not fall into %d groups", x.shape.C, groups)
		}
		weight := b.param(param{name: b.prefix + n.Name + ".weight", shape: []int{w.KH, w.KW, w.C / groups, n.Out}, init: Layer{}.init(), held: n.Constant})
		bias := b.param(param{name: b.prefix + n.Name + ".bias", shape: []int{n.Out}, held: n.Constant})
		if groups > 1 {
			out.node, err = op.GroupConv(in, weight, bias, w, groups)
		} else {
			out.node, err = op.Conv(in, weight, bias, w)
		}
	}
	return out, err
}

func (b *builder) denseNode(n Node, x value) (value, error) {
	in, err := x.flat()
	if err != nil {
		return x, err
	}
	p := param{name: b.prefix + n.Name + ".weight", shape: []int{x.size(), n.Out}, init: Layer{}.init()}
	if n.ChannelsFirst {
		p.flattened = x.shape
	}
	out := value{shape: Shape{1, 1, n.Out}}
	out.node, err = op.Dense(in, b.param(p), b.param(param{name: b.prefix + n.Name + ".bias", shape: []int{n.Out}}))
	return out, err
}

func (b *builder) batchNormNode(n Node, x value) (value, error) {
	var err error
	channels := x.shape.C
	if n.Elementwise {
		channels = x.size()
		x.node, err = x.flat()
	} else if x.node.Dims() == 4 {
		x.node, err = x.image()
	}
	if err != nil {
		return x, err
	}
	if own := b.auxiliary; n.Fixed {
		b.auxiliary = "" // training and evaluation are the same there
		defer func() { b.auxiliary = own }()
	}
	name := b.prefix + n.Name
	main, aux := b.branches(name, channels, n.Constant)
	if n.Fixed {
		x.node, err = op.BatchNorm(x.node, main[0], main[1], main[2], main[3], n.Epsilon)
	} else {
		x.node, err = b.normalise(x.node, name, main, aux, n.Epsilon)
	}
	return x, err
}

// ownNormNode normalises each example by its own statistics.
func (b *builder) ownNormNode(n Node, x value) (out value, err error) {
	if x.node, err = x.image(); err != nil {
		return x, err
	}
	vector := func(suffix string, fill float32) *gorgonia.Node {
		return b.param(param{name: b.prefix + n.Name + suffix, shape: []int{x.shape.C}, held: n.Constant, fill: fill})
	}
	gamma, beta := vector(".weight", 1), vector(".bias", 0)
	if n.Op == "layernorm" {
		x.node, err = op.LayerNorm(x.node, gamma, beta, n.Epsilon)
	} else {
		x.node, err = op.GroupNorm(x.node, gamma, beta, max(n.Groups, 1), n.Epsilon)
	}
	return x, err
}

// join applies an operation by element.
func join(f func(a, b *gorgonia.Node) (*gorgonia.Node, error), x, y value) (value, error) {
	if x.shape != y.shape {
		return x, fmt.Errorf("the values have shapes %v and %v: both must have one", x.shape, y.shape)
	}
	return pair(f, x, y)
}

func pair(f func(a, b *gorgonia.Node) (*gorgonia.Node, error), x, y value) (value, error) {
	a, err := x.image()
	if err != nil {
		return x, err
	}
	c, err := y.image()
	if err != nil {
		return x, err
	}
	x.node, err = f(a, c)
	return x, err
}

// combine makes one row of logits of those of an ensemble's members.
func combine(f func(members []*gorgonia.Node) (*gorgonia.Node, error), in []value) (value, error) {
	members := make([]*gorgonia.Node, len(in))
	for i, v := range in {
		var err error
		if members[i], err = v.flat(); err != nil {
			return v, err
		}
	}
	node, err := f(members)
	return value{node, Shape{1, 1, in[0].size()}}, err
}

// concat pairs neighbours until one value is left, so that none is copied more often than it must.
func concat(in []value) (value, error) {
	for len(in) > 1 {
		var pairs []value
		for i := 0; i < len(in); i += 2 {
			if i+1 == len(in) {
				pairs = append(pairs, in[i])
				continue
			}
			x, y := in[i], in[i+1]
			if x.shape.H != y.shape.H || x.shape.W != y.shape.W {
				return x, fmt.Errorf("images of %v and %v cannot lie side by side", x.shape, y.shape)
			}
			a, err := x.image()
			if err != nil {
				return x, err
			}
			b, err := y.image()
			if err != nil {
				return x, err
			}
			if x.node, err = op.Concat(a, b); err != nil {
				return x, err
			}
			x.shape.C += y.shape.C
			pairs = append(pairs, x)
		}
		in = pairs
	}
	return in[0], nil
}
