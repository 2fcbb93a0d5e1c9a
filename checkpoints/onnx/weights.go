package onnx

import (
	"fmt"
	"strings"

	"rampart/checkpoints"
	"rampart/nn"
)

// weight keeps a tensor of the network, in PyTorch's layout.
func (t *translator) weight(name string, data []float32, shape ...int) {
	t.byName[name] = len(t.tensors)
	t.tensors = append(t.tensors, checkpoints.Tensor{Name: name, Shape: shape, Data: data})
}

// drop forgets the weights of a node.
func (t *translator) drop(name string) {
	if name == "" {
		return
	}
	kept := t.tensors[:0:0]
	for _, w := range t.tensors {
		if dot := strings.LastIndexByte(w.Name, '.'); w.Name[:dot] != name {
			kept = append(kept, w)
		}
	}
	t.tensors = kept
}

// unique makes a name that no other weights have.
func (t *translator) unique(name string) string {
	name = strings.Trim(strings.ToValidUTF8(name, "?"), "./")
	if name == "" {
		name = "layer"
	}
	for i := 1; ; i++ {
		candidate := name
		if i > 1 {
			candidate = fmt.Sprintf("%s_%d", name, i)
		}
		if !t.taken(candidate) {
			return candidate
		}
	}
}

func (t *translator) taken(name string) bool {
	for _, suffix := range []string{".weight", ".bias"} {
		if _, ok := t.byName[name+suffix]; ok {
			return true
		}
	}
	return false
}

// title names the weights of a node: after the weight itself, where PyTorch named it, or the node.
func (n *node) title() string {
	if len(n.inputs) > 1 {
		if name, ok := strings.CutSuffix(n.inputs[1], ".weight"); ok {
			return name
		}
	}
	name := strings.ReplaceAll(strings.Trim(n.name, "/"), "/", ".")
	if name == "" {
		return strings.ToLower(n.op)
	}
	return name
}

// layer adds a node with a weight and a bias.
func (t *translator) layer(title string, n nn.Node, weight []float32, shape []int, bias []float32) (id int) {
	n.Name = t.unique(title)
	t.weight(n.Name+".weight", weight, shape...)
	t.weight(n.Name+".bias", bias, len(bias))
	return t.emit(n)
}
