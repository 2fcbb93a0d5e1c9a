package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rampart/checkpoints"
)

// Contents are what a file holds, for a person, whether Rampart can run it or not.
type Contents struct {
	// Network is what Read gives, nil where Refused says why it gives none.
	Network *Network
	Refused error
	// Source says what has written the file, Architecture what network it was, where Rampart has.
	Source, Architecture string
	Opset                int64
	// Operations lists the graph's, with their numbers: "Conv 2, Relu 3".
	Operations string
	// Inputs and Outputs are the graph's, with types and shapes.
	Inputs, Outputs []string
	// Tensors are the initialisers, without their values: those of floats have empty Data, others none.
	Tensors []checkpoints.Tensor
	Types   map[string]string // of Tensors, by name
}

// Inspect describes a file. What Read would refuse is no error, as long as the file can be decoded.
func Inspect(path string) (*Contents, error) {
	content, root, err := open(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	m, err := decodeModel(content)
	if err != nil {
		return nil, unusable(path, err)
	}
	c := m.contents()
	c.Network, c.Refused = m.network(content, root, Options{})
	if c.Refused == nil {
		c.Refused = c.Network.File.Finite()
	}
	return c, nil
}

func (m *modelProto) contents() *Contents {
	c := &Contents{Source: m.source(), Opset: m.opset, Types: map[string]string{}}
	m.said(keyArch, &c.Architecture)
	number, initial := map[string]int{}, map[string]bool{}
	for _, n := range m.graph.nodes {
		number[n.op]++
	}
	var list []string
	for _, op := range slices.Sorted(maps.Keys(number)) {
		list = append(list, fmt.Sprintf("%s %d", op, number[op]))
	}
	c.Operations = strings.Join(list, ", ")
	for _, p := range m.graph.initializers {
		initial[p.name] = true
		t := checkpoints.Tensor{Name: p.name}
		for _, d := range p.dims {
			t.Shape = append(t.Shape, int(d))
		}
		c.Types[p.name] = typeName(p.dataType)
		if strings.Contains(c.Types[p.name], "float") {
			t.Data = []float32{}
		}
		c.Tensors = append(c.Tensors, t)
	}
	for _, v := range m.graph.inputs {
		if !initial[v.name] {
			c.Inputs = append(c.Inputs, v.String())
		}
	}
	for _, v := range m.graph.outputs {
		c.Outputs = append(c.Outputs, v.String())
	}
	return c
}

// String is such as `"input" float32 [N,1,28,28]`.
func (v valueProto) String() string {
	text := fmt.Sprintf("%q %s", v.name, typeName(v.elemType))
	if !v.shaped {
		return text + ", of a shape that the file does not say"
	}
	var dims []string
	for _, d := range v.dims {
		switch {
		case d.param != "":
			dims = append(dims, d.param)
		case d.value != 0:
			dims = append(dims, fmt.Sprint(d.value))
		default:
			dims = append(dims, "?")
		}
	}
	return text + " [" + strings.Join(dims, ",") + "]"
}

func typeName(t int64) string {
	if name := typeNames[t]; name != "" {
		return name
	}
	return fmt.Sprintf("type %d", t)
}
