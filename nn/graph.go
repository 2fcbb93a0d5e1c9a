package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

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
	// idle marks what a graph declares and does not use.
	idle  bool
	fill  float32 // for vectors: the initial value
	fanIn int     // of a bias that begins at random as the weights do: their number for each output
}

// frozen says that a parameter has no gradient.
func (p param) frozen() bool { return p.statistic || p.held }

// builder lays a list of layers into a graph.
type builder struct {
	*graph
	g    *gorgonia.ExprGraph
	spec Spec
	mode mode
	held func(name string) bool
	// auxiliary is Spec.Auxiliary of the network at work.
	auxiliary RowKind
	prefix    string
	counts    map[string]int
	dropouts  int
}

// mode is what layers that differ in training do.
type mode int

const (
	evaluation      mode = iota
	training             // dropout, and the batch's statistics, which move the running ones
	batchStatistics      // the batch's statistics alone
	byAuxiliary          // evaluation by the auxiliary batch normalisations
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
		if !p.frozen() && !p.idle {
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
		if !p.frozen() && !p.idle {
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
	b.auxiliary = spec.Auxiliary
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
