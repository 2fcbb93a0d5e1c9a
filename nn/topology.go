package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rampart/nn/registry"
)

// Topology is a network as a graph of nodes: what an ONNX file holds, which need be no list of layers.
// It is made by checkpoints/onnx, and kept in checkpoints; configs cannot describe it.
type Topology struct {
	// Source says where the network comes from, for a person.
	Source string `json:"source,omitempty"`
	// Nodes are in an order in which each follows those that it reads. The last gives the logits.
	Nodes []Node `json:"nodes"`
}

// Node is one operation of a Topology. Its values are images, or rows of features, which count as
// images of 1x1 with a channel for each.
type Node struct {
	// Op is one of TopologyOps.
	Op string `json:"op"`
	// Name prefixes the weights' names ("conv1.weight"), in PyTorch's layouts.
	Name string `json:"name,omitempty"`
	// In are the values that it reads: 0 is the network's input, i what Nodes[i-1] gives.
	In []int `json:"in"`
	// Out is the number of channels (conv) or features (dense).
	Out int `json:"out,omitempty"`
	// Kernel is the window's height and width, Pads its padding: top, left, bottom, right.
	Kernel [2]int `json:"kernel,omitzero"`
	Stride int    `json:"stride,omitempty"`
	Pads   [4]int `json:"pads,omitzero"`
	// Groups divides the channels of a conv or groupnorm; 0 is 1.
	Groups int `json:"groups,omitempty"`
	// ChannelsFirst says that the columns of a dense weight are an image's values in C,H,W order.
	ChannelsFirst bool    `json:"channels_first,omitempty"`
	Factor        float32 `json:"factor,omitempty"` // of scale
	Slope         float32 `json:"slope,omitempty"`  // of leaky_relu below 0; elu's limit
	Shape         *Shape  `json:"shape,omitempty"`  // of reshape
	// Epsilon is a normalisation's. Elementwise gives batchnorm a mean for each value of an image, not
	// for each channel; Fixed keeps its running statistics in training.
	Epsilon     float32 `json:"epsilon,omitempty"`
	Elementwise bool    `json:"elementwise,omitempty"`
	Fixed       bool    `json:"fixed,omitempty"`
	// Constant says that training leaves the node's weights as they are.
	Constant bool `json:"constant,omitempty"`
}

// TopologyOps are the operations of a Topology, with the number of values that each reads; -1 is any
// from two on.
var TopologyOps = map[string]int{
	"conv": 1, "dense": 1, "maxpool": 1, "avgpool": 1, "relu": 1, "scale": 1, "reshape": 1,
	"batchnorm": 1, "groupnorm": 1, "layernorm": 1, // layernorm is over the channels of each position
	"elu": 1, "gelu": 1, "leaky_relu": 1, "reciprocal": 1, "sigmoid": 1, "silu": 1, "softplus": 1, "tanh": 1,
	"add": 2, "mul": 2, "concat": -1, // mul's second may be an image of 1x1: factors for the channels
	// The logits of an ensemble, of its members' logits; see MeanProbability and MajorityVote.
	"log_mean_softmax": -1, "vote": -1,
}

// Layers implements Architecture: there are none.
func (*Topology) Layers(Shape, int) []Layer { return nil }

// Validate implements Architecture.
func (t *Topology) Validate() error {
	if len(t.Nodes) == 0 {
		return registry.Errorf("name", `a model named "onnx" comes from a file: give it by -model FILE.onnx`)
	}
	used := make([]bool, len(t.Nodes)+1)
	for i, n := range t.Nodes {
		if err := n.validate(i); err != nil {
			return fmt.Errorf("node %d (%s %q): %w", i+1, n.Op, n.Name, err)
		}
		for _, v := range n.In {
			used[v] = true
		}
	}
	if i := slices.Index(used[:len(t.Nodes)], false); i >= 0 {
		return fmt.Errorf("nothing reads value %d of the network", i)
	}
	return nil
}

// validate reports what needs no shapes to be seen; i counts the nodes before.
func (n Node) validate(i int) error {
	arity, known := TopologyOps[n.Op]
	switch {
	case !known:
		return errors.New("unknown operation")
	case arity >= 0 && len(n.In) != arity, arity < 0 && len(n.In) < 2:
		return fmt.Errorf("%d inputs", len(n.In))
	case slices.ContainsFunc(n.In, func(v int) bool { return v < 0 || v > i }):
		return fmt.Errorf("inputs %v, of values 0 to %d", n.In, i)
	}
	switch n.Op {
	case "conv", "maxpool", "avgpool":
		if n.Stride < 1 || min(n.Kernel[0], n.Kernel[1]) < 1 || slices.Min(n.Pads[:]) < 0 || max(slices.Max(n.Pads[:]), slices.Max(n.Kernel[:]), n.Stride) > maxOut {
			return fmt.Errorf("kernel %v, stride %d, padding %v", n.Kernel, n.Stride, n.Pads)
		}
	case "reshape":
		if s := n.Shape; s == nil || min(s.H, s.W, s.C) < 1 || max(s.H, s.W, s.C) > maxOut {
			return errors.New("no shape to reshape to")
		}
	}
	if n.weighted() != (n.Name != "") || strings.HasPrefix(n.Name, ".") {
		return errors.New("a name belongs to what has weights, and to nothing else")
	}
	if n.Groups < 0 || n.Op == "conv" && n.Groups > n.Out || n.Groups > 0 && n.Op != "conv" && n.Op != "groupnorm" {
		return fmt.Errorf("%d groups", n.Groups)
	}
	if (n.Op == "conv" || n.Op == "dense") != (n.Out != 0) || n.Out < 0 || n.Out > maxOut {
		return fmt.Errorf("%d outputs", n.Out)
	}
	return nil
}

func (n Node) weighted() bool {
	return slices.Contains([]string{"conv", "dense", "batchnorm", "groupnorm", "layernorm"}, n.Op)
}

// learns reports whether the network behaves otherwise in training.
func (t *Topology) learns() bool {
	return slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.Op == "batchnorm" && !n.Fixed })
}

func init() { registry.Register("onnx", func() Architecture { return &Topology{} }) }
