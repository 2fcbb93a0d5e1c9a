package nn

import (
	"errors"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/op"
)

// boundsBuilder lays the bounds of a model into a graph of their own. It meets the model's parameters
// in the order in which the model's builder declared them.
type boundsBuilder struct {
	*graph
	g         *gorgonia.ExprGraph
	model     *Model
	derived   []derived // of params
	next      int       // the model's next parameter
	members   int
	auxiliary bool  // of the network at work: every batch normalisation has a second branch
	err       error // the first
}

// interval holds the ends of what a layer gives, over the box.
type interval struct {
	lower, upper *gorgonia.Node
	// positive says that lower is never below 0.
	positive bool
	shape    Shape // of an image
	features int   // of a flat row, 0 for images
}

func newBoundsGraph(m *Model) (*graph, []derived, error) {
	g := gorgonia.NewGraph()
	in, k := m.Spec.Input, m.Spec.Classes
	b := &boundsBuilder{graph: &graph{}, g: g, model: m, members: max(len(m.Spec.Members), 1)}
	b.x = gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(graphRows, in.H, in.W, 2*in.C), gorgonia.WithName("box"))
	b.seed = gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(graphRows, k*k), gorgonia.WithName("seed"))
	start := interval{lower: b.channels(0), upper: b.channels(in.C), positive: true, shape: in}
	b.logits = b.network(m.Spec, start)
	if b.err != nil {
		return nil, nil, b.err
	}
	if b.next != len(m.specs) {
		return nil, nil, fmt.Errorf("the network has %d weights, %d of them were met", len(m.specs), b.next)
	}
	var err error
	if b.loss, err = op.Head(b.logits, b.seed); err != nil {
		return nil, nil, err
	}
	var wrt []*gorgonia.Node
	for i, p := range b.params {
		if !p.frozen() {
			wrt = append(wrt, b.nodes[i])
		}
	}
	grads, err := gorgonia.Grad(b.loss, wrt...)
	if err != nil {
		return nil, nil, fmt.Errorf("differentiate: %w", err)
	}
	b.grads = make([]*gorgonia.Node, len(b.params))
	for i, p := range b.params {
		if !p.frozen() {
			b.grads[i], grads = grads[0], grads[1:]
		}
	}
	return b.graph, b.derived, nil
}

// channels picks one end of the box, which has the others' channels beside it, by a convolution with
// zeros and ones: exact, and a kernel that every executor has.
func (b *boundsBuilder) channels(first int) *gorgonia.Node {
	c := b.model.Spec.Input.C
	pick := b.param(fmt.Sprintf("pick %d", first), []int{1, 1, 2 * c, c}, constant(func(dst []float32) {
		for i := range c {
			dst[(first+i)*c+i] = 1
		}
	}))
	zero := b.param(fmt.Sprintf("no bias %d", first), []int{c}, constant(func([]float32) {}))
	in := b.model.Spec.Input
	in.C *= 2
	w, err := Layer{Type: "conv", Kernel: 1}.window(in)
	if err != nil {
		b.fail(err)
		return nil
	}
	return b.do(func() (*gorgonia.Node, error) { return op.Conv(b.x, pick, zero, w) })
}

// network gives the upper bounds of all differences of logits.
func (b *boundsBuilder) network(spec Spec, in interval) *gorgonia.Node {
	if len(spec.Members) > 0 {
		return b.ensemble(spec, in)
	}
	b.auxiliary = spec.Auxiliary != ""
	if spec.Denoiser != nil {
		in = b.layer(in, spec.Denoiser.block(spec.Input))
	}
	if len(spec.Mean) > 0 {
		in = b.normalize(spec, in)
	}
	if _, ok := spec.Options.(*Topology); ok {
		b.fail(errors.New("there are none of a network from an ONNX file"))
		return nil
	}
	layers := spec.Options.Layers(spec.Input, spec.Classes)
	for len(layers) > 0 && layers[len(layers)-1].Type == "dropout" {
		layers = layers[:len(layers)-1]
	}
	if len(layers) == 0 || layers[len(layers)-1].Type != "dense" {
		b.fail(errors.New("the last layer of the network must be a dense one"))
		return nil
	}
	for _, l := range layers[:len(layers)-1] {
		if in = b.layer(in, l); b.err != nil {
			return nil
		}
	}
	return b.last(in, spec.Classes)
}

// ensemble is the mean of the members' differences.
func (b *boundsBuilder) ensemble(spec Spec, in interval) (sum *gorgonia.Node) {
	if spec.Combine != MeanLogits {
		b.fail(fmt.Errorf("an ensemble combined by %q has none: combine its members by %q", spec.Combine, MeanLogits))
		return nil
	}
	for i, m := range spec.Members {
		d := b.network(m, in)
		if i == 0 {
			sum = d
			continue
		}
		sum = b.add(sum, d)
	}
	return b.scale(sum, 1/float64(len(spec.Members)))
}

func (b *boundsBuilder) layer(in interval, l Layer) interval {
	switch l.Type {
	case "conv", "maxpool", "avgpool", "globalavgpool":
		return b.windowed(in, l)
	case "leaky_relu", "sigmoid", "tanh":
		return b.monotone(in, l)
	case "dense":
		return b.dense(in, l)
	case "relu":
		in.lower, in.upper, in.positive = b.relu(in.lower), b.relu(in.upper), true
	case "flatten":
		return b.flatten(in)
	case "batchnorm":
		return b.batchNorm(in)
	case "residual":
		return b.residual(in, l)
	case "dropout": // evaluation has none
	default:
		b.fail(fmt.Errorf("there are none of a layer of type %q", l.Type))
	}
	return in
}

// affine bounds a linear layer with n inputs: centre computes it, radius its absolute value with the
// margins of its biases (Gowal et al. 2019, equation 6).
func (b *boundsBuilder) affine(in interval, n int, centre, radius func(x *gorgonia.Node) (*gorgonia.Node, error)) interval {
	m, s := b.box(in, rounding(n))
	y := b.do(func() (*gorgonia.Node, error) { return centre(m) })
	r := b.do(func() (*gorgonia.Node, error) { return radius(s) })
	in.lower, in.upper, in.positive = b.add(y, b.scale(r, -1)), b.add(y, r), false
	return in
}

// box is the centre of an interval and its half-width, widened by share of the largest absolute value.
func (b *boundsBuilder) box(in interval, share float64) (centre, half *gorgonia.Node) {
	centre = b.add(b.scale(in.lower, 0.5), b.scale(in.upper, 0.5))
	if in.positive {
		return centre, b.add(b.scale(in.upper, 0.5+share), b.scale(in.lower, -0.5))
	}
	return centre, b.add(b.add(b.scale(in.upper, 0.5), b.scale(in.lower, -0.5)), b.scale(b.largest(in), share))
}

// largest is at least the largest absolute value in an interval.
func (b *boundsBuilder) largest(in interval) *gorgonia.Node {
	if in.positive {
		return in.upper
	}
	return b.add(b.relu(in.upper), b.relu(b.scale(in.lower, -1)))
}

func (b *boundsBuilder) flatten(in interval) interval {
	if in.features > 0 {
		return in
	}
	flat := func(x *gorgonia.Node) *gorgonia.Node {
		return b.do(func() (*gorgonia.Node, error) { return op.Flatten(x) })
	}
	in.lower, in.upper, in.features = flat(in.lower), flat(in.upper), in.shape.Size()
	return in
}

func (b *boundsBuilder) dense(in interval, l Layer) interval {
	in = b.flatten(in)
	weight, bias := b.weights(2)
	n := in.features
	in.features = b.model.specs[weight].shape[1]
	return b.affine(in, n, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.Dense(x, b.own(weight), b.own(bias))
	}, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.Dense(x, b.of(weight, "|.|", absolute(weight)), b.of(bias, "margin", margin(bias, rounding(n))))
	})
}

// last elides the last layer: the bound of a difference of logits is that of one linear function, and
// not the difference of two bounds (Gowal et al. 2019, section 4).
func (b *boundsBuilder) last(in interval, k int) *gorgonia.Node {
	in = b.flatten(in)
	weight, bias := b.weights(2)
	if b.err != nil {
		return nil
	}
	n := in.features
	share := rounding(n + b.members) // the members' logits are added up
	centre, half := b.box(in, share)
	pairs := func(of int) []int {
		if len(b.model.specs[of].shape) == 1 {
			return []int{k * k}
		}
		return []int{n, k * k}
	}
	dense := func(x *gorgonia.Node, what string, w, c derived) *gorgonia.Node {
		return b.do(func() (*gorgonia.Node, error) {
			return op.Dense(x, b.shaped(weight, what, pairs(weight), w), b.shaped(bias, what, pairs(bias), c))
		})
	}
	nothing := constant(func([]float32) {})
	return b.add(b.add(
		dense(centre, "differences", differences(weight, k, true), differences(bias, k, true)),
		dense(half, "|differences|", differences(weight, k, false), nothing)),
		dense(b.largest(in), "margin", marginDifferences(weight, k, share), marginDifferences(bias, k, share)))
}

func (b *boundsBuilder) normalize(spec Spec, in interval) interval {
	share := rounding(1)
	shift := make([]float32, len(spec.Mean)) // -share |mean|: radii are shifted up
	for c, m := range spec.Mean {
		shift[c] = float32(-share*math.Abs(float64(m)) - underflow)
	}
	return b.affine(in, 1, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.Normalize(x, spec.Mean, spec.Std)
	}, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.Normalize(x, shift, spec.Std)
	})
}

// batchNorm bounds the normalisation by running statistics: that of evaluation.
func (b *boundsBuilder) batchNorm(in interval) interval {
	gamma, beta := b.weights(2)
	mean, variance := b.weights(2)
	if b.auxiliary {
		b.weights(4)
	}
	return b.affine(in, 1, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.BatchNorm(x, b.own(gamma), b.own(beta), b.own(mean), b.own(variance), batchNormEpsilon)
	}, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return op.BatchNorm(x, b.of(gamma, "|.|", absolute(gamma)), b.of(beta, "margin", marginNorm(gamma, beta, mean, variance, rounding(1))),
			b.of(mean, "none", constant(func([]float32) {})), b.of(variance, "again", frozenItself(variance)), batchNormEpsilon)
	})
}

// residual adds the bounds of both branches. Their sum may be smaller than either, so each is widened
// by its own rounding.
func (b *boundsBuilder) residual(in interval, l Layer) interval {
	branch := func(layers []Layer) interval {
		at := in
		for _, inner := range layers {
			if at = b.layer(at, inner); b.err != nil {
				break
			}
		}
		return at
	}
	x, y := branch(l.Body), branch(l.Shortcut)
	wider := b.scale(b.add(b.largest(x), b.largest(y)), rounding(1))
	x.lower = b.add(b.add(x.lower, y.lower), b.scale(wider, -1))
	x.upper = b.add(b.add(x.upper, y.upper), wider)
	x.positive = false
	return x
}

// weights takes the model's next n parameters and returns the first two.
func (b *boundsBuilder) weights(n int) (first, second int) {
	b.next += n
	if b.next > len(b.model.specs) {
		b.fail(errors.New("the network has fewer weights than its layers"))
		return 0, 0
	}
	return b.next - n, b.next - n + 1
}

// own declares a parameter of the model.
func (b *boundsBuilder) own(i int) *gorgonia.Node {
	d := itself(i)
	if b.model.specs[i].frozen() {
		d = frozenItself(i)
	}
	return b.of(i, "own", d)
}

// of declares what derives from a parameter of the model, in its shape.
func (b *boundsBuilder) of(i int, what string, d derived) *gorgonia.Node {
	return b.shaped(i, what, b.model.specs[i].shape, d)
}

func (b *boundsBuilder) shaped(i int, what string, shape []int, d derived) *gorgonia.Node {
	return b.param(b.model.specs[i].name+", "+what, shape, d)
}

func (b *boundsBuilder) param(name string, shape []int, d derived) *gorgonia.Node {
	n := gorgonia.NewTensor(b.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	held := d.fold == nil || d.of >= 0 && b.model.specs[d.of].held
	b.params = append(b.params, param{name: name, shape: shape, held: held})
	b.nodes, b.derived = append(b.nodes, n), append(b.derived, d)
	return n
}

// do calls f unless something has failed before.
func (b *boundsBuilder) do(f func() (*gorgonia.Node, error)) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	n, err := f()
	b.fail(err)
	return n
}

func (b *boundsBuilder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *boundsBuilder) add(x, y *gorgonia.Node) *gorgonia.Node {
	return b.do(func() (*gorgonia.Node, error) { return op.Add(x, y) })
}

func (b *boundsBuilder) scale(x *gorgonia.Node, factor float64) *gorgonia.Node {
	return b.do(func() (*gorgonia.Node, error) { return op.Scale(x, float32(factor)) })
}

func (b *boundsBuilder) relu(x *gorgonia.Node) *gorgonia.Node {
	return b.do(func() (*gorgonia.Node, error) { return op.ReLU(x) })
}
