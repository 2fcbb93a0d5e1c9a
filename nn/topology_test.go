package nn_test

import (
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// TestTopologyErrors: a checkpoint's topology is checked like a user's input.
func TestTopologyErrors(t *testing.T) {
	dense := nn.Node{Op: "dense", Name: "fc", In: []int{0}, Out: 3}
	for _, test := range []struct {
		nodes []nn.Node
		want  string
	}{
		{nil, `a model named "onnx" comes from a file`},
		{[]nn.Node{{Op: "cast", In: []int{0}}}, "unknown operation"},
		{[]nn.Node{{Op: "relu", In: []int{0, 0}}}, "2 inputs"},
		{[]nn.Node{{Op: "concat", In: []int{0}}}, "1 inputs"},
		{[]nn.Node{{Op: "relu", In: []int{1}}, dense}, "inputs [1], of values 0 to 0"},
		{[]nn.Node{{Op: "relu", In: []int{-1}}, dense}, "inputs [-1]"},
		{[]nn.Node{dense, {Op: "relu", In: []int{0}}}, "nothing reads value 1"},
		{[]nn.Node{{Op: "dense", In: []int{0}, Out: 3}}, "a name belongs to"},
		{[]nn.Node{{Op: "relu", In: []int{0}, Name: "r"}, dense}, "a name belongs to"},
		{[]nn.Node{{Op: "dense", Name: "fc", In: []int{0}}}, "0 outputs"},
		{[]nn.Node{{Op: "dense", Name: "fc", In: []int{0}, Out: 1 << 30}}, "1073741824 outputs"},
		{[]nn.Node{{Op: "conv", Name: "c", In: []int{0}, Out: 3, Kernel: [2]int{2, 2}}}, "stride 0"},
		{[]nn.Node{{Op: "avgpool", In: []int{0}, Stride: 1, Kernel: [2]int{2, 2}, Pads: [4]int{0, -1, 0, 0}}, dense}, "padding [0 -1 0 0]"},
		{[]nn.Node{{Op: "reshape", In: []int{0}}, dense}, "no shape"},
		{[]nn.Node{{Op: "conv", Name: "c", In: []int{0}, Out: 3, Kernel: [2]int{2, 2}, Stride: 1, Groups: 4}}, "4 groups"},
		// from here on the shapes tell
		{[]nn.Node{{Op: "reshape", In: []int{0}, Shape: &nn.Shape{H: 1, W: 1, C: 17}}, {Op: "dense", Name: "fc", In: []int{1}, Out: 3}}, "a value of 4x4x1 cannot become 1x1x17"},
		{[]nn.Node{{Op: "conv", Name: "c", In: []int{0}, Out: 3, Kernel: [2]int{5, 5}, Stride: 1}}, "kernel 5x5 is larger"},
		{[]nn.Node{{Op: "conv", Name: "c", In: []int{0}, Out: 3, Kernel: [2]int{4, 4}, Stride: 1, Groups: 3}}, "1 channels do not fall into 3 groups"},
		{[]nn.Node{{Op: "batchnorm", Name: "n", In: []int{0}}, {Op: "dense", Name: "fc", In: []int{1}, Out: 3}}, "epsilon is 0"},
		{[]nn.Node{dense, {Op: "add", In: []int{0, 1}}}, "the values have shapes 4x4x1 and 1x1x3"},
		{[]nn.Node{dense, {Op: "concat", In: []int{0, 1}}}, "images of 4x4x1 and 1x1x3 cannot lie side by side"},
		{[]nn.Node{{Op: "dense", Name: "fc", In: []int{0}, Out: 4}}, "ends with 1x1x4 values, for 3 classes"},
		{[]nn.Node{dense, {Op: "dense", Name: "fc", In: []int{1}, Out: 3}}, `two layers give a weight named "fc.weight"`},
	} {
		spec := nn.Spec{Arch: "onnx", Options: &nn.Topology{Nodes: test.nodes}, Input: nn.Shape{H: 4, W: 4, C: 1}, Classes: 3}
		_, err := nn.Build(spec, cpu.New(1), 1, rng.New(1, "weights"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.nodes, err, test.want)
		}
	}
}
