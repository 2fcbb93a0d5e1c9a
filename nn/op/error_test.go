package op

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// TestErrors: a wrong layer list gives an error that names the op and the shapes, from the
// constructor.
func TestErrors(t *testing.T) {
	nan := float32(math.NaN())
	shaped := func(shapes ...[]int) [][]int { return shapes }
	conv := func(win device.Window) builder {
		return func(in nodes) (*gorgonia.Node, error) { return Conv(in[0], in[1], in[2], win) }
	}
	maxPool := func(win device.Window) builder {
		return func(in nodes) (*gorgonia.Node, error) { return MaxPool(in[0], win) }
	}
	dense := func(in nodes) (*gorgonia.Node, error) { return Dense(in[0], in[1], in[2]) }
	batchNorm := func(in nodes) (*gorgonia.Node, error) {
		return BatchNorm(in[0], in[1], in[2], in[3], in[4], 1e-5)
	}
	batchNormTrain := func(eps, momentum float32) builder {
		return func(in nodes) (*gorgonia.Node, error) {
			return BatchNormTrain(in[0], in[1], in[2], in[3], in[4], eps, momentum)
		}
	}
	image, weight := []int{2, 4, 5, 3}, []int{3, 3, 3, 8}
	good := window(4, 5, 3, 3, 3, 1)
	norm := shaped(image, []int{3}, []int{3}, []int{3}, []int{3})
	cases := []struct {
		name   string
		shapes [][]int
		build  builder
		want   []string
	}{
		{"conv: channels of weight", shaped(image, []int{3, 3, 2, 8}, []int{8}), conv(good), []string{"convolution", "(3, 3, 2, 8)", "(3, 3, 3, 8)", "(2, 4, 5, 3)"}},
		{"conv: flat weight", shaped(image, []int{27, 8}, []int{8}), conv(good), []string{"convolution", "(27, 8)", "(2, 4, 5, 3)"}},
		{"conv: bias", shaped(image, weight, []int{7}), conv(good), []string{"convolution", "bias", "(7)", "(3, 3, 3, 8)"}},
		{"conv: flat input", shaped([]int{2, 60}, weight, []int{8}), conv(good), []string{"convolution", "(2, 60)", "(N, 4, 5, 3)"}},
		{"conv: kernel too large", shaped(image, []int{7, 7, 3, 8}, []int{8}), conv(window(4, 5, 3, 7, 7, 1, 1, 1, 1, 1)), []string{"convolution", "7x7", "6x7", "(2, 4, 5, 3)"}},
		{"conv: stride 0", shaped(image, weight, []int{8}), conv(window(4, 5, 3, 3, 3, 0)), []string{"convolution", "stride 0"}},
		{"conv: negative padding", shaped(image, weight, []int{8}), conv(window(4, 5, 3, 3, 3, 1, -1, 0, 0, 0)), []string{"convolution", "top -1"}},
		{"conv: empty window", shaped(image, weight, []int{8}), conv(device.Window{}), []string{"convolution", "0x0x0"}},
		{"max pool: other image", shaped(image), maxPool(window(4, 4, 3, 2, 2, 2)), []string{"max pooling", "(2, 4, 5, 3)", "(N, 4, 4, 3)"}},
		{"max pool: padding as large as the kernel", shaped(image), maxPool(window(4, 5, 3, 2, 2, 2, 2, 0, 0, 0)), []string{"max pooling", "top 2", "2x2"}},
		{"max pool: kernel above a byte", shaped([]int{1, 20, 20, 1}), maxPool(window(20, 20, 1, 17, 17, 1)), []string{"max pooling", "17x17", "256"}},
		{"average pool: kernel too large", shaped(image), func(in nodes) (*gorgonia.Node, error) {
			return AvgPool(in[0], window(4, 5, 3, 8, 8, 1))
		}, []string{"average pooling", "8x8", "(2, 4, 5, 3)"}},
		{"dense: inputs", shaped([]int{2, 6}, []int{5, 4}, []int{4}), dense, []string{"dense", "(2, 6)", "(5, 4)"}},
		{"dense: images", shaped(image, []int{60, 4}, []int{4}), dense, []string{"dense", "(2, 4, 5, 3)", "(60, 4)", "flatten"}},
		{"dense: weight", shaped([]int{2, 6}, []int{6}, []int{4}), dense, []string{"dense", "(6)", "(2, 6)"}},
		{"dense: bias", shaped([]int{2, 6}, []int{6, 4}, []int{6}), dense, []string{"dense", "bias", "(6)", "(6, 4)"}},
		{"add", shaped(image, []int{2, 4, 5, 8}), func(in nodes) (*gorgonia.Node, error) { return Add(in[0], in[1]) }, []string{"add", "(2, 4, 5, 3)", "(2, 4, 5, 8)"}},
		{"concat", shaped(image, []int{2, 4, 4, 3}), func(in nodes) (*gorgonia.Node, error) { return Concat(in[0], in[1]) }, []string{"concat", "(2, 4, 5, 3)", "(2, 4, 4, 3)"}},
		{"reshape", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Reshape(in[0], 4, 4) }, []string{"reshape", "(2, 4, 5, 3)", "[4 4]"}},
		{"relu of a vector", shaped([]int{4}), func(in nodes) (*gorgonia.Node, error) { return ReLU(in[0]) }, []string{"relu", "(4)"}},
		{"flatten of a vector", shaped([]int{4}), func(in nodes) (*gorgonia.Node, error) { return Flatten(in[0]) }, []string{"flatten", "(4)"}},
		{"scale by NaN", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Scale(in[0], nan) }, []string{"scale", "NaN", "(2, 4, 5, 3)"}},
		{"normalize: channels", shaped(image), func(in nodes) (*gorgonia.Node, error) {
			return Normalize(in[0], []float32{0.1}, []float32{0.3})
		}, []string{"normalize", "(2, 4, 5, 3)", "1"}},
		{"normalize: lengths", shaped(image), func(in nodes) (*gorgonia.Node, error) {
			return Normalize(in[0], []float32{0.1, 0, 0}, []float32{0.3})
		}, []string{"normalize", "3 means", "1 standard"}},
		{"normalize: zero deviation", shaped(image), func(in nodes) (*gorgonia.Node, error) {
			return Normalize(in[0], []float32{0, 0, 0}, []float32{1, 0, 1})
		}, []string{"normalize", "channel 1", "deviation 0"}},
		{"dropout: rate", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Dropout(in[0], 1, 0) }, []string{"dropout", "rate is 1", "(2, 4, 5, 3)"}},
		{"dropout: rate NaN", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Dropout(in[0], nan, 0) }, []string{"dropout", "NaN"}},
		{"dropout: layer", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Dropout(in[0], 0.5, -1) }, []string{"dropout", "layer is -1"}},
		{"dropout of a vector", shaped([]int{4}), func(in nodes) (*gorgonia.Node, error) { return Dropout(in[0], 0.5, 0) }, []string{"dropout", "(4)"}},
		{"batch norm: gamma", shaped(image, []int{5}, []int{3}, []int{3}, []int{3}), batchNorm, []string{"batch norm", "gamma", "(5)", "(2, 4, 5, 3)"}},
		{"batch norm: variance", shaped(image, []int{3}, []int{3}, []int{3}, []int{1}), batchNorm, []string{"batch norm", "variance", "(1)", "(2, 4, 5, 3)"}},
		{"batch norm in training: one value", shaped([]int{1, 3}, []int{3}, []int{3}, []int{3}, []int{3}), batchNormTrain(1e-5, 0.1), []string{"batch norm", "(1, 3)", "at least 2"}},
		{"batch norm in training: epsilon", norm, batchNormTrain(0, 0.1), []string{"batch norm", "epsilon is 0"}},
		{"batch norm in training: momentum", norm, batchNormTrain(1e-5, 1.5), []string{"batch norm", "momentum is 1.5"}},
		{"grouped conv: channels", shaped(image, weight), func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], nil, good, 2) }, []string{"grouped convolution", "3 channels", "2 groups"}},
		{"grouped conv: outputs", shaped(image, weight), func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], nil, good, 3) }, []string{"grouped convolution", "(3, 3, 3, 8)", "3 groups"}},
		{"grouped conv: weight", shaped(image, []int{3, 3, 3, 9}), func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], nil, good, 3) }, []string{"grouped convolution", "(3, 3, 3, 9)", "(3, 3, 1, 9)"}},
		{"grouped conv: bias", shaped(image, []int{3, 3, 1, 9}, []int{8}), func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], in[2], good, 3) }, []string{"grouped convolution", "bias", "(8)"}},
		{"group norm: groups", shaped(image, []int{3}, []int{3}), func(in nodes) (*gorgonia.Node, error) { return GroupNorm(in[0], in[1], in[2], 2, 1e-5) }, []string{"group norm", "3 channels", "2 groups"}},
		{"layer norm: beta", shaped(image, []int{3}, []int{4}), func(in nodes) (*gorgonia.Node, error) { return LayerNorm(in[0], in[1], in[2], 1e-5) }, []string{"norm", "beta", "(4)"}},
		{"leaky relu: no slope", shaped(image), func(in nodes) (*gorgonia.Node, error) { return Activation(in[0], device.LeakyReLU, 0) }, []string{"leaky_relu", "slope is 0"}},
		{"ensemble: classes", shaped([]int{2, 10}, []int{2, 9}), func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) }, []string{"log-mean-softmax", "(2, 9)", "(2, 10)"}},
		{"ensemble of images", shaped(image), func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) }, []string{"log-mean-softmax", "(2, 4, 5, 3)"}},
		{"vote: classes", shaped([]int{2, 10}, []int{2, 9}), func(in nodes) (*gorgonia.Node, error) { return Vote(in) }, []string{"vote", "(2, 9)", "(2, 10)"}},
		{"vote of none", nil, func(in nodes) (*gorgonia.Node, error) { return Vote(in) }, []string{"vote", "no members"}},
		{"stack: classes", shaped([]int{2, 10}, []int{2, 9}), func(in nodes) (*gorgonia.Node, error) { return Stack(in) }, []string{"stack", "(2, 9)", "(2, 10)"}},
		{"stack of none", nil, func(in nodes) (*gorgonia.Node, error) { return Stack(in) }, []string{"stack", "no members"}},
		{"ensemble of none", nil, func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) }, []string{"log-mean-softmax", "no members"}},
		{"head", shaped([]int{2, 10}, []int{3, 10}), func(in nodes) (*gorgonia.Node, error) { return Head(in[0], in[1]) }, []string{"head", "(3, 10)", "(2, 10)"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := gorgonia.NewGraph()
			var in nodes
			for i, s := range c.shapes {
				in = append(in, random(string(rune('a'+i)), 1, s...).node(g))
			}
			n, err := c.build(in)
			if err == nil {
				t.Fatalf("no error, but a node of shape %v", n.Shape())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not mention %q", err, want)
				}
			}
		})
	}
}

func TestWrongValues(t *testing.T) {
	g := gorgonia.NewGraph()
	doubles := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 3), gorgonia.WithName("doubles"))
	if _, err := ReLU(doubles); err == nil || !strings.Contains(err.Error(), "float64") {
		t.Errorf("float64 node: error %v", err)
	}
	n, err := ReLU(random("x", 1, 2, 3).node(g))
	if err != nil {
		t.Fatal(err)
	}
	sliced, err := random("y", 1, 2, 4).tensor().Slice(nil, gorgonia.S(0, 3))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		values []gorgonia.Value
		want   string
	}{
		"too many":       {[]gorgonia.Value{n.Value(), n.Value()}, "got 2 inputs"},
		"other size":     {[]gorgonia.Value{random("z", 1, 2, 4).tensor()}, "(2, 4)"},
		"not contiguous": {[]gorgonia.Value{sliced.(*tensor.Dense)}, "not contiguous"},
		"float64":        {[]gorgonia.Value{tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Float64))}, "float64"},
	}
	for name, c := range cases {
		if _, err := n.Op().Do(c.values...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that mentions %q", name, err, c.want)
		}
	}
	// Fewer rows than the graph was built for are fine.
	if _, err := n.Op().Do(random("z", 1, 1, 3).tensor()); err != nil {
		t.Errorf("one row: %v", err)
	}
}
