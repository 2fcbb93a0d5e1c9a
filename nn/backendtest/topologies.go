package backendtest

import "rampart/nn"

// topologies are networks with what a list of layers cannot express.
func topologies() []Network {
	network := func(name string, h, w, c, classes int, nodes ...nn.Node) Network {
		return Network{name, nn.Spec{Arch: "onnx", Options: &nn.Topology{Nodes: nodes},
			Input: nn.Shape{H: h, W: w, C: c}, Classes: classes}}
	}
	return []Network{
		network("topology: unequal kernels and paddings", 6, 7, 2, 10,
			nn.Node{Op: "conv", Name: "a", In: []int{0}, Out: 5, Kernel: [2]int{3, 2}, Stride: 2, Pads: [4]int{0, 1, 2, 0}},
			nn.Node{Op: "leaky_relu", In: []int{1}, Slope: 0.125},
			nn.Node{Op: "maxpool", In: []int{2}, Kernel: [2]int{2, 3}, Stride: 1, Pads: [4]int{1, 0, 0, 2}},
			nn.Node{Op: "avgpool", In: []int{3}, Kernel: [2]int{3, 2}, Stride: 2, Pads: [4]int{0, 1, 1, 0}},
			nn.Node{Op: "dense", Name: "b", In: []int{4}, Out: 10, ChannelsFirst: true}),
		network("topology: concatenations", 5, 4, 2, 10,
			nn.Node{Op: "conv", Name: "a", In: []int{0}, Out: 3, Kernel: [2]int{3, 3}, Stride: 1, Pads: [4]int{1, 1, 1, 1}},
			nn.Node{Op: "concat", In: []int{0, 1, 0}},
			nn.Node{Op: "batchnorm", Name: "n", In: []int{2}, Epsilon: 1e-3},
			nn.Node{Op: "relu", In: []int{3}},
			nn.Node{Op: "conv", Name: "c", In: []int{4}, Out: 4, Kernel: [2]int{1, 1}, Stride: 1},
			nn.Node{Op: "concat", In: []int{3, 5}},
			nn.Node{Op: "dense", Name: "d", In: []int{6}, Out: 6},
			nn.Node{Op: "dense", Name: "e", In: []int{6}, Out: 4, ChannelsFirst: true},
			nn.Node{Op: "concat", In: []int{7, 8}}),
		network("topology: fixed normalisation, by value and by channel", 4, 4, 2, 10,
			nn.Node{Op: "batchnorm", Name: "n", In: []int{0}, Epsilon: 0x1p-10, Elementwise: true, Fixed: true, Constant: true},
			nn.Node{Op: "conv", Name: "a", In: []int{1}, Out: 3, Kernel: [2]int{3, 3}, Stride: 1},
			nn.Node{Op: "batchnorm", Name: "m", In: []int{2}, Epsilon: 0x1p-10, Fixed: true},
			nn.Node{Op: "scale", In: []int{3}, Factor: -0.5},
			nn.Node{Op: "relu", In: []int{4}},
			nn.Node{Op: "add", In: []int{3, 5}},
			nn.Node{Op: "reshape", In: []int{6}, Shape: &nn.Shape{H: 1, W: 3, C: 4}},
			nn.Node{Op: "conv", Name: "b", In: []int{7}, Out: 6, Kernel: [2]int{1, 2}, Stride: 1, Groups: 2},
			nn.Node{Op: "dense", Name: "c", In: []int{8}, Out: 10}),
		network("topology: gates and norms", 4, 4, 2, 10,
			nn.Node{Op: "conv", Name: "a", In: []int{0}, Out: 4, Kernel: [2]int{3, 3}, Stride: 1, Pads: [4]int{1, 1, 1, 1}},
			nn.Node{Op: "groupnorm", Name: "g", In: []int{1}, Groups: 2, Epsilon: 1e-3},
			nn.Node{Op: "elu", In: []int{2}, Slope: 0.5},
			nn.Node{Op: "avgpool", In: []int{3}, Kernel: [2]int{4, 4}, Stride: 1},
			nn.Node{Op: "conv", Name: "s", In: []int{4}, Out: 4, Kernel: [2]int{1, 1}, Stride: 1, Constant: true},
			nn.Node{Op: "sigmoid", In: []int{5}},
			nn.Node{Op: "mul", In: []int{3, 6}},
			nn.Node{Op: "layernorm", Name: "l", In: []int{7}, Epsilon: 1e-3},
			nn.Node{Op: "softplus", In: []int{8}},
			nn.Node{Op: "reciprocal", In: []int{9}},
			nn.Node{Op: "mul", In: []int{8, 10}},
			nn.Node{Op: "dense", Name: "d", In: []int{11}, Out: 10}),
		network("topology: members that vote, and their mean", 3, 4, 1, 10,
			nn.Node{Op: "dense", Name: "a", In: []int{0}, Out: 10},
			nn.Node{Op: "dense", Name: "b", In: []int{0}, Out: 10},
			nn.Node{Op: "dense", Name: "c", In: []int{0}, Out: 10},
			nn.Node{Op: "vote", In: []int{1, 2, 3}},
			nn.Node{Op: "log_mean_softmax", In: []int{1, 3}},
			nn.Node{Op: "add", In: []int{4, 5}}),
	}
}
