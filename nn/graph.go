package nn

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
	"rampart/nn/op"
)

// graphRows is the batch of the symbolic graph. Programs run with any number of rows, because
// every op is uniform in its rows; two keeps gorgonia from treating a batch as a vector.
const graphRows = 2

// graph is a network as a gorgonia expression: logits from x, and all gradients of sum(logits*seed).
type graph struct {
	x, logits, seed *gorgonia.Node
	loss            *gorgonia.Node
	params          []param
	nodes           []*gorgonia.Node // of params
	dx              *gorgonia.Node
	grads           []*gorgonia.Node // of params; nil where frozen
}

// param is a weight tensor as the graph declares it.
type param struct {
	name  string // PyTorch's name
	shape []int  // the executor's layout: [KH,KW,In,Out], [In,Out] or [C]
	init  Init
	// statistic marks what batch normalisation measures; held is a weight, or such a statistic, that
	// training leaves as it is.
	statistic, held bool
	// flattened is the image shape behind a dense layer's inputs: PyTorch flattens C,H,W, we H,W,C.
	flattened Shape
	fill      float32 // for vectors: the initial value
	fanIn     int     // of a bias that begins at random as the weights do: their number for each output
}

// frozen says that a parameter has no gradient.
func (p param) frozen() bool { return p.statistic || p.held }

// builder lays a list of layers into a graph.
type builder struct {
	*graph
	g        *gorgonia.ExprGraph
	spec     Spec
	mode     mode
	held     func(name string) bool
	prefix   string
	counts   map[string]int
	dropouts int
}

// mode is what layers that differ in training do.
type mode int

const (
	evaluation      mode = iota
	training             // dropout, and the batch's statistics, which move the running ones
	batchStatistics      // the batch's statistics alone
)

// newGraph builds the expression for a mode. Weights that are held get no gradient, and batch
// normalisation with such weights works as in evaluation.
func newGraph(spec Spec, m mode, rows int, held func(name string) bool) (*graph, error) {
	g := gorgonia.NewGraph()
	in := spec.Input
	b := &builder{graph: &graph{}, g: g, spec: spec, mode: m, held: held}
	b.x = gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(rows, in.H, in.W, in.C), gorgonia.WithName("x"))
	b.seed = gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, spec.Classes), gorgonia.WithName("seed"))
	logits, err := b.network(spec, "")
	if err != nil {
		return nil, err
	}
	b.logits = logits
	if b.loss, err = op.Head(logits, b.seed); err != nil {
		return nil, err
	}
	// gorgonia allows one Grad in a graph, so it asks for everything; programs prune.
	wrt := []*gorgonia.Node{b.x}
	for i, p := range b.params {
		if !p.frozen() {
			wrt = append(wrt, b.nodes[i])
		}
	}
	grads, err := gorgonia.Grad(b.loss, wrt...)
	if err != nil {
		return nil, fmt.Errorf("differentiate %s: %w", spec.Name(), err)
	}
	b.dx, grads = grads[0], grads[1:]
	b.grads = make([]*gorgonia.Node, len(b.params))
	for i, p := range b.params {
		if !p.frozen() {
			b.grads[i], grads = grads[0], grads[1:]
		}
	}
	return b.graph, nil
}

// network adds one network, or an ensemble of them, and returns its logits.
func (b *builder) network(spec Spec, prefix string) (*gorgonia.Node, error) {
	if len(spec.Members) > 0 {
		return b.ensemble(spec, prefix)
	}
	cur := cursor{node: b.x, shape: spec.Input}
	if err := b.denoise(spec, prefix, &cur); err != nil {
		return nil, fmt.Errorf("denoiser: %w", err)
	}
	b.prefix, b.counts = prefix, map[string]int{}
	if len(spec.Mean) > 0 {
		var err error
		if cur.node, err = op.Normalize(cur.node, spec.Mean, spec.Std); err != nil {
			return nil, err
		}
	}
	if t, ok := spec.Options.(*Topology); ok {
		return b.topology(t, cur.node, spec)
	}
	for i, l := range spec.Options.Layers(spec.Input, spec.Classes) {
		if err := l.Validate(); err != nil {
			return nil, fmt.Errorf("%s, layer %d: %w", spec.Arch, i+1, err)
		}
		if err := b.layer(&cur, l, spec.Classes); err != nil {
			return nil, fmt.Errorf("%s, layer %d (%s): %w", spec.Arch, i+1, l.Type, err)
		}
	}
	if !cur.flat || cur.features != spec.Classes {
		return nil, fmt.Errorf("%s ends with %s: the last layer must be a dense layer with an output for each of the %d classes", spec.Arch, cur.describe(), spec.Classes)
	}
	return cur.node, nil
}

func (b *builder) ensemble(spec Spec, prefix string) (*gorgonia.Node, error) {
	var members []*gorgonia.Node
	for i, m := range spec.Members {
		logits, err := b.network(m, fmt.Sprintf("%smembers.%d.", prefix, i))
		if err != nil {
			return nil, err
		}
		members = append(members, logits)
	}
	switch spec.Combine {
	case MeanProbability:
		return op.LogMeanSoftmax(members)
	case MajorityVote:
		return op.Vote(members)
	case Stacked:
		return op.Stack(members)
	}
	sum := members[0]
	for _, m := range members[1:] {
		var err error
		if sum, err = op.Add(sum, m); err != nil {
			return nil, err
		}
	}
	return op.Scale(sum, 1/float32(len(members)))
}

// cursor is the place in the graph that the next layer continues from.
type cursor struct {
	node      *gorgonia.Node
	shape     Shape // of an image
	flat      bool
	features  int   // of a flat row
	flattened Shape // the image that was flattened, until a dense layer mixes its values
}

func (c cursor) describe() string {
	if c.flat {
		return fmt.Sprintf("%d features", c.features)
	}
	return fmt.Sprintf("%v images", c.shape)
}

var errFlat = errors.New("needs images, but the layers before have flattened them")

func (b *builder) layer(c *cursor, l Layer, classes int) (err error) {
	switch l.Type {
	case "conv", "maxpool", "avgpool", "globalavgpool":
		return b.windowed(c, l)
	case "gelu", "leaky_relu", "sigmoid", "silu", "tanh":
		f, slope := l.activation()
		c.node, err = op.Activation(c.node, f, slope)
	case "groupnorm", "layernorm":
		return b.ownNorm(c, l)
	case "dense":
		return b.dense(c, l, classes)
	case "relu":
		c.node, err = op.ReLU(c.node)
	case "flatten":
		return b.flatten(c)
	case "batchnorm":
		return b.batchNorm(c, l)
	case "dropout":
		if b.mode == training {
			c.node, err = op.Dropout(c.node, float32(l.Rate), b.dropouts)
		}
		b.dropouts++
	case "residual":
		return b.residual(c, l, classes)
	}
	return err
}

func (b *builder) windowed(c *cursor, l Layer) error {
	if c.flat {
		return errFlat
	}
	w, err := l.window(c.shape)
	if err != nil {
		return err
	}
	c.shape = Shape{w.OutH(), w.OutW(), c.shape.C}
	switch l.Type {
	case "maxpool":
		c.node, err = op.MaxPool(c.node, w)
	case "avgpool", "globalavgpool":
		c.node, err = op.AvgPool(c.node, w)
	default:
		return b.conv(c, l, w)
	}
	return err
}

func (b *builder) conv(c *cursor, l Layer, w device.Window) (err error) {
	c.shape.C = l.Out
	groups := max(l.Groups, 1)
	if w.C%groups != 0 || l.Out%groups != 0 {
		return fmt.Errorf("%d channels in and %d out do not fall into %d groups", w.C, l.Out, groups)
	}
	name, init := b.name(l, "conv"), l.init()
	weight := b.param(param{name: name + ".weight", shape: []int{w.KH, w.KW, w.C / groups, l.Out}, init: init})
	var bias *gorgonia.Node
	if !l.NoBias {
		bias = b.bias(name, l.Out, w.KH*w.KW*w.C/groups, init)
	}
	if groups > 1 {
		c.node, err = op.GroupConv(c.node, weight, bias, w, groups)
	} else {
		c.node, err = op.Conv(c.node, weight, bias, w)
	}
	return err
}

func (b *builder) dense(c *cursor, l Layer, classes int) error {
	if !c.flat {
		if err := b.flatten(c); err != nil {
			return err
		}
	}
	out := l.Out
	if out == 0 {
		out = classes
	}
	name, init := b.name(l, "fc"), l.init()
	weight := b.param(param{name: name + ".weight", shape: []int{c.features, out}, init: init, flattened: c.flattened})
	bias := b.bias(name, out, c.features, init)
	c.features, c.flattened = out, Shape{}
	var err error
	c.node, err = op.Dense(c.node, weight, bias)
	return err
}

func (b *builder) bias(layer string, out, fanIn int, init Init) *gorgonia.Node {
	p := param{name: layer + ".bias", shape: []int{out}, fill: float32(init.Bias)}
	if init.Weights == "pytorch" {
		p.init, p.fanIn = init, fanIn
	}
	return b.param(p)
}

func (b *builder) flatten(c *cursor) (err error) {
	if c.flat {
		return nil
	}
	c.node, err = op.Flatten(c.node)
	c.flat, c.features, c.flattened = true, c.shape.Size(), c.shape
	return err
}

// Batch normalisation's constants are PyTorch's defaults.
const (
	batchNormEpsilon  = 1e-5
	batchNormMomentum = 0.1
)

func (b *builder) batchNorm(c *cursor, l Layer) (err error) {
	channels := c.shape.C
	if c.flat {
		if c.flattened != (Shape{}) {
			return errors.New("must come before flatten or after a dense layer")
		}
		channels = c.features
	}
	name := b.name(l, "bn")
	gamma := b.param(param{name: name + ".weight", shape: []int{channels}, fill: 1})
	beta := b.param(param{name: name + ".bias", shape: []int{channels}})
	mean := b.param(param{name: name + ".running_mean", shape: []int{channels}, statistic: true})
	variance := b.param(param{name: name + ".running_var", shape: []int{channels}, statistic: true, fill: 1})
	c.node, err = b.normalise(c.node, name, []*gorgonia.Node{gamma, beta, mean, variance}, batchNormEpsilon)
	return err
}

// normalise applies a batch normalisation with the statistics that the mode asks for; one that is held
// takes its running ones.
func (b *builder) normalise(x *gorgonia.Node, name string, p []*gorgonia.Node, epsilon float32) (*gorgonia.Node, error) {
	switch {
	case b.mode == evaluation || b.held(name+".weight"):
		return op.BatchNorm(x, p[0], p[1], p[2], p[3], epsilon)
	case b.mode == training:
		return op.BatchNormTrain(x, p[0], p[1], p[2], p[3], epsilon, batchNormMomentum)
	}
	return op.BatchNormTrain(x, p[0], p[1], p[2], p[3], epsilon, 0)
}

// ownNorm normalises each example by its own statistics, by groups of channels or by positions.
func (b *builder) ownNorm(c *cursor, l Layer) (err error) {
	channels, prefix := c.shape.C, map[string]string{"groupnorm": "gn", "layernorm": "ln"}[l.Type]
	if c.flat {
		if c.flattened != (Shape{}) {
			return errors.New("must come before flatten or after a dense layer")
		}
		channels = c.features
	}
	name := b.name(l, prefix)
	gamma := b.param(param{name: name + ".weight", shape: []int{channels}, fill: 1})
	beta := b.param(param{name: name + ".bias", shape: []int{channels}})
	if l.Type == "layernorm" {
		c.node, err = op.LayerNorm(c.node, gamma, beta, batchNormEpsilon)
	} else {
		c.node, err = op.GroupNorm(c.node, gamma, beta, l.Groups, batchNormEpsilon)
	}
	return err
}

func (b *builder) residual(c *cursor, l Layer, classes int) error {
	branch := func(layers []Layer) (cursor, error) {
		at := *c
		for i, inner := range layers {
			if err := b.layer(&at, inner, classes); err != nil {
				return at, fmt.Errorf("residual, layer %d (%s): %w", i+1, inner.Type, err)
			}
		}
		return at, nil
	}
	body, err := branch(l.Body)
	if err != nil {
		return err
	}
	shortcut, err := branch(l.Shortcut)
	if err != nil {
		return err
	}
	if body.flattened != shortcut.flattened {
		// A flattened image keeps its C,H,W order in PyTorch; a dense layer's outputs have none.
		return errors.New("the block adds a flattened image to something else: put a dense layer between flatten and the block")
	}
	if body.flat != shortcut.flat || body.shape != shortcut.shape || body.features != shortcut.features {
		return fmt.Errorf("the block's branches give %s and %s: both must have one shape", body.describe(), shortcut.describe())
	}
	*c = body
	c.node, err = op.Add(body.node, shortcut.node)
	return err
}

func (l Layer) init() Init {
	if l.Init != nil {
		return *l.Init
	}
	return Init{Weights: "kaiming"}
}

func (b *builder) name(l Layer, kind string) string {
	b.counts[kind]++
	if l.Name != "" {
		return b.prefix + l.Name
	}
	return fmt.Sprintf("%s%s%d", b.prefix, kind, b.counts[kind])
}

// param declares a weight; a name that is taken already is reported by newModel.
func (b *builder) param(p param) *gorgonia.Node {
	p.held = p.held || b.held(p.name)
	n := gorgonia.NewTensor(b.g, tensor.Float32, len(p.shape), gorgonia.WithShape(p.shape...), gorgonia.WithName(p.name))
	b.params = append(b.params, p)
	b.nodes = append(b.nodes, n)
	return n
}

// differs reports whether a network behaves otherwise in training than in evaluation.
func differs(spec Spec) bool {
	for _, m := range spec.Members {
		if differs(m) {
			return true
		}
	}
	if spec.Options == nil {
		return false
	}
	if t, ok := spec.Options.(*Topology); ok {
		return t.learns()
	}
	var any func(layers []Layer) bool
	any = func(layers []Layer) bool {
		for _, l := range layers {
			if l.Type == "dropout" || l.Type == "batchnorm" || any(l.Body) || any(l.Shortcut) {
				return true
			}
		}
		return false
	}
	return any(spec.Options.Layers(spec.Input, spec.Classes))
}
