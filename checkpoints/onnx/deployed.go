package onnx

import (
	"math"
	"slices"

	"rampart/configs"
	"rampart/defenses/transform"
	"rampart/nn/registry"
)

// maxFiltered bounds the sides of images whose filters are compared: each takes a matrix of its square.
const maxFiltered = 1 << 12

// deployed takes off a graph's beginning what Export writes for transformations of the image. They stand
// before the network then, as in a checkpoint, where attacks go through them by their gradient or by BPDA.
// What the file says of them is believed as far as the graph has it; a bit depth is known without.
func (t *translator) deployed(g graphProto, said transform.Chain) error {
	input := ""
	for _, v := range g.inputs {
		if t.values[v.name] != nil {
			input = v.name
		}
	}
	for at := input; max(t.input.H, t.input.W) <= maxFiltered; {
		list, err := t.candidates(said)
		if err != nil {
			return err
		}
		next, ok := t.leading(g, at, list)
		if !ok {
			break
		}
		t.values[next] = t.values[input]
		at = next
	}
	return nil
}

// candidates are the transformations that can come next.
func (t *translator) candidates(said transform.Chain) (list transform.Chain, err error) {
	if i := len(t.chain); i < len(said) {
		return said[i : i+1], nil
	}
	for bits := 1; bits <= 8; bits++ {
		v, err := registry.New[transform.Transform]("bit_depth")
		if err != nil {
			return nil, err
		}
		v.(*transform.BitDepth).Bits = bits
		list = append(list, configs.Choice[transform.Transform]{Name: "bit_depth", Value: v})
	}
	return list, nil
}

// leading takes off what a value goes through, if it is one of some transformations, and names the result.
func (t *translator) leading(g graphProto, at string, among transform.Chain) (next string, ok bool) {
	for _, choice := range among {
		e := &exporter{names: map[string]bool{}}
		y, err := e.transforms(transform.Chain{choice}, tensor{"", t.input, false})
		if err != nil {
			continue
		}
		same := map[string]string{"": at} // the graph's names, by those of the export
		var nodes []*nodeProto
		for _, want := range e.graph.nodes {
			i := slices.IndexFunc(g.nodes, func(n *nodeProto) bool { return !t.before[n] && t.alike(g, n, e, want, same) })
			if i < 0 {
				break
			}
			same[want.outputs[0]] = g.nodes[i].outputs[0]
			nodes = append(nodes, g.nodes[i])
		}
		if len(nodes) < len(e.graph.nodes) {
			continue
		}
		for _, n := range nodes {
			t.before[n] = true
		}
		t.chain = append(t.chain, choice)
		if choice.Value.Gradient() == transform.Identity {
			t.note("%s before the network has no gradient: attacks go through it by %s", choice.Value.Label(), transform.Identity)
		}
		return same[y.name], true
	}
	return "", false
}

// alike reports whether a node does what one of an export does, to the same value, which nothing else reads.
func (t *translator) alike(g graphProto, n *nodeProto, e *exporter, want *nodeProto, same map[string]string) bool {
	if n.op != want.op || n.domain != "" && n.domain != "ai.onnx" || len(n.inputs) != len(want.inputs) || len(n.outputs) != 1 {
		return false
	}
	var constants []int // inputs that are constants
	for i, name := range want.inputs {
		from, moving := same[name]
		if !moving {
			constants = append(constants, i)
		} else if n.inputs[i] != from || t.uses[from] != 1 {
			return false
		}
	}
	return !slices.ContainsFunc(constants, func(i int) bool { return !equal(t.fixed(g, n.inputs[i]), e.constant(want.inputs[i])) })
}

// fixed is an initialiser of a graph, or what a Constant in it holds; nil for others.
func (t *translator) fixed(g graphProto, name string) *constant {
	if c := t.constants[name]; c != nil {
		return c
	}
	for _, n := range g.nodes {
		if n.op == "Constant" && len(n.outputs) == 1 && n.outputs[0] == name {
			c, _ := (&node{nodeProto: n, files: t.files}).constant() // an error is reported where it is translated
			return c
		}
	}
	return nil
}

// constant is an initialiser of an export.
func (e *exporter) constant(name string) *tensorProto {
	i := slices.IndexFunc(e.graph.initializers, func(p *tensorProto) bool { return p.name == name })
	return e.graph.initializers[i]
}

// equal compares to what another machine's rounding leaves.
func equal(c *constant, want *tensorProto) bool {
	if c == nil || c.whole || len(c.floats) != len(want.floats) || len(c.floats) > 1 && len(c.dims) != len(want.dims) {
		return false
	}
	for i, v := range want.floats {
		if !(math.Abs(float64(c.floats[i]-v)) <= 1e-6*max(1, math.Abs(float64(v)))) {
			return false
		}
	}
	return true
}
