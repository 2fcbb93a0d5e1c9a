package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
	"rampart/nn/op"
)

// ReferenceCall is what Reference computes on, with the meaning of device.Call's fields.
type ReferenceCall struct {
	// Training asks for batch statistics and dropout.
	Training bool
	Rows     int
	X        []float32 // [Rows,H,W,C]
	Loss     device.Loss
	Labels   []int32
	Soft     []float32
	Scale    float32
	Noise    uint64
	// Adversarial is the number of adversarial rows, the first.
	Adversarial int
}

// ReferenceResult is what Reference computed.
type ReferenceResult struct {
	Logits    []float32 // [Rows, classes]
	Value     []float32 // [Rows]
	InputGrad []float32 // like X
	// ParamGrads leaves running statistics out, and what the mode does not use; Weights are all, after the run, which moves running
	// statistics in training. Both are in PyTorch's layout, in the order of Model.Weights.
	ParamGrads, Weights []Weight
}

// Reference runs a network on gorgonia's own machine: the whole graph, unpruned, on the plain loops
// of nn/op. It is what tests compare every executor with; it is slow.
func Reference(spec Spec, weights []Weight, c ReferenceCall) (*ReferenceResult, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	m := evaluation
	if c.Training {
		m = training
	}
	g, err := newGraph(spec, m, c.Rows, trainsAll)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	r, err := g.reference(weights, c)
	if err != nil {
		return nil, fmt.Errorf("reference of %s: %w", spec.Name(), err)
	}
	return r, nil
}

func (g *graph) reference(weights []Weight, c ReferenceCall) (*ReferenceResult, error) {
	for _, n := range g.x.Graph().AllNodes() {
		if o, ok := n.Op().(op.Noisy); ok {
			o.SetNoise(c.Noise)
		}
		if o, ok := n.Op().(op.Splitting); ok {
			o.SetAdversarial(c.Adversarial)
		}
	}
	// Values inside of a graph live in registers that are used again; these are kept.
	kept := make([]gorgonia.Value, 2+len(g.params))
	gorgonia.Read(g.logits, &kept[0])
	gorgonia.Read(g.dx, &kept[1])
	for i, n := range g.grads {
		if n != nil {
			gorgonia.Read(n, &kept[2+i])
		}
	}
	// The loss needs the logits, and the gradients need the loss's seed: two runs.
	classes := g.logits.Shape()[1]
	seed := make([]float32, c.Rows*classes)
	if err := g.runReference(weights, c.X, seed); err != nil {
		return nil, err
	}
	r := &ReferenceResult{Logits: backing(kept[0]), Value: make([]float32, c.Rows)}
	c.Loss.Rows(&device.Block{Rows: c.Rows, Classes: classes, Logits: r.Logits, Labels: c.Labels, Soft: c.Soft, Value: r.Value, Grad: seed})
	for i := range seed {
		seed[i] *= c.Scale
	}
	if err := g.runReference(weights, c.X, seed); err != nil {
		return nil, err
	}
	r.InputGrad = backing(kept[1])
	for i, p := range g.params {
		if p.idle { // the machine has none of it
			r.Weights = append(r.Weights, weights[slices.IndexFunc(weights, func(w Weight) bool { return w.Name == p.name })])
			continue
		}
		r.Weights = append(r.Weights, p.export(backing(g.nodes[i].Value())))
		if !p.frozen() {
			r.ParamGrads = append(r.ParamGrads, p.export(backing(kept[2+i])))
		}
	}
	return r, nil
}

// runReference binds copies of all inputs, since ops may write to running statistics, and runs the graph.
func (g *graph) runReference(weights []Weight, x, seed []float32) error {
	let := func(n *gorgonia.Node, values []float32) error {
		if len(values) != n.Shape().TotalSize() {
			return fmt.Errorf("%d values for %q of shape %v", len(values), n.Name(), n.Shape())
		}
		return gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(slices.Clone(values))))
	}
	if err := let(g.x, x); err != nil {
		return err
	}
	if err := let(g.seed, seed); err != nil {
		return err
	}
	for i, p := range g.params {
		at := slices.IndexFunc(weights, func(w Weight) bool { return w.Name == p.name })
		if at < 0 {
			return fmt.Errorf("weight %q is missing", p.name)
		}
		values, err := p.load(weights[at])
		if err != nil {
			return err
		}
		if err := let(g.nodes[i], values); err != nil {
			return err
		}
	}
	m := gorgonia.NewTapeMachine(g.x.Graph())
	defer m.Close()
	return m.RunAll()
}

func backing(v gorgonia.Value) []float32 { return slices.Clone(v.Data().([]float32)) }
