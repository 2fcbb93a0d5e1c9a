package nn_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/backendtest"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

func build(t *testing.T, spec nn.Spec, rows int) *nn.Model {
	t.Helper()
	m, err := nn.Build(spec, cpu.New(2), rows, rng.New(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func layers(in nn.Shape, classes int, list ...nn.Layer) nn.Spec {
	return nn.Spec{Arch: "layers", Options: &nn.Custom{List: list}, Input: in, Classes: classes}
}

// TestTorchLayout: a 2x2 image of 2 channels and weights that are the identity in PyTorch's order
// give the pixels in PyTorch's C,H,W order, behind a flatten and by a convolution.
func TestTorchLayout(t *testing.T) {
	in := nn.Shape{H: 2, W: 2, C: 2}
	//              y0x0    y0x1    y1x0    y1x1, each with its two channels
	x := []float32{1, 10, 2, 20, 3, 30, 4, 40}
	want := []float32{1, 2, 3, 4, 10, 20, 30, 40}
	for name, spec := range map[string]nn.Spec{
		"dense": layers(in, 8, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Name: "last"}),
		"conv":  layers(in, 8, nn.Layer{Type: "conv", Out: 8, Kernel: 2, Name: "last"}, nn.Layer{Type: "dense", Name: "identity"}),
	} {
		m := build(t, spec, 1)
		list := m.Weights()
		for _, w := range list {
			clear(w.Data)
			if wantShape := map[string][]int{"dense": {8, 8}, "conv": {8, 2, 2, 2}}[name]; w.Name == "last.weight" && !slices.Equal(w.Shape, wantShape) {
				t.Errorf("%s: shape %v, want %v", name, w.Shape, wantShape)
			}
			for i := range 8 {
				if strings.HasSuffix(w.Name, ".weight") {
					w.Data[8*i+i] = 1
				}
			}
		}
		if err := m.SetWeights(list); err != nil {
			t.Fatal(err)
		}
		c := &device.Call{Rows: 1, X: m.New(8), Logits: m.New(8)}
		c.X.Upload(x, 0)
		if err := m.Logits(c); err != nil {
			t.Fatal(err)
		}
		if got := values(c.Logits); !slices.Equal(got, want) {
			t.Errorf("%s: logits %v, want the pixels in the order %v", name, got, want)
		}
	}
}

// TestWeightsRoundTrip: what is set comes back, and the network is the same.
func TestWeightsRoundTrip(t *testing.T) {
	for _, network := range backendtest.Networks() {
		m := build(t, network.Spec, 2)
		list := m.Weights()
		for i, w := range list {
			rng.New(8, "new").Normal(w.Data, 0, 1, uint32(i), 0, 0)
		}
		if err := m.SetWeights(list); err != nil {
			t.Fatal(err)
		}
		if got := m.Weights(); !reflect.DeepEqual(got, list) {
			t.Errorf("%s: weights change on their way", network.Name)
		}
	}
}

func TestSetWeightsErrors(t *testing.T) {
	m := build(t, layers(nn.Shape{H: 3, W: 3, C: 1}, 2, nn.Layer{Type: "conv", Out: 2, Kernel: 3}, nn.Layer{Type: "dense"}), 1)
	good := m.Weights()
	for _, test := range []struct {
		name   string
		change func([]nn.Weight) []nn.Weight
		want   string
	}{
		{"missing", func(l []nn.Weight) []nn.Weight { return l[:2] }, `weights of layers are missing: fc1.weight, fc1.bias`},
		{"extra", func(l []nn.Weight) []nn.Weight {
			return append(l, nn.Weight{Name: "z"}, nn.Weight{Name: "a"})
		}, `layers has no weights named a, z`},
		{"shape", func(l []nn.Weight) []nn.Weight {
			l[0].Shape = []int{2, 3, 3, 1}
			return l
		}, `weight "conv1.weight" has shape [2 3 3 1] where the network needs [2 1 3 3]`},
		{"values", func(l []nn.Weight) []nn.Weight {
			l[2].Data = l[2].Data[1:]
			return l
		}, `weight "fc1.weight" of shape [2 2] has 3 values, not 4`},
		{"twice", func(l []nn.Weight) []nn.Weight { return append(l, l[0]) }, `weight "conv1.weight" is there twice`},
	} {
		list := slices.Clone(good)
		for i := range list {
			list[i].Data = slices.Repeat([]float32{9}, len(list[i].Data))
		}
		if err := m.SetWeights(test.change(list)); err == nil || err.Error() != test.want {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
		if !reflect.DeepEqual(m.Weights(), good) {
			t.Fatalf("%s: the weights have changed", test.name)
		}
	}
}

// TestOptimizerState: training that goes on from saved weights and state makes the same steps.
func TestOptimizerState(t *testing.T) {
	spec := layers(nn.Shape{H: 4, W: 4, C: 1}, 10, nn.Layer{Type: "conv", Out: 3, Kernel: 3}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	for _, rule := range []device.Optimizer{device.SGD{}, device.SGD{Momentum: 0.9}, device.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}} {
		train := func(m *nn.Model, from, to int) {
			for step := from; step < to; step++ {
				if err := m.ParamGrad(torchBatch(m, 4, step)); err != nil {
					t.Fatal(err)
				}
				if err := m.Update(rule, 0.01); err != nil {
					t.Fatal(err)
				}
			}
		}
		unbroken, first, second := build(t, spec, 4), build(t, spec, 4), build(t, spec, 4)
		train(unbroken, 0, 5)
		train(first, 0, 2)
		state, steps := first.OptimizerState()
		if err := second.SetWeights(first.Weights()); err != nil {
			t.Fatal(err)
		}
		if err := second.SetOptimizerState(state, steps); err != nil {
			t.Fatal(err)
		}
		train(second, 2, 5)
		if !reflect.DeepEqual(second.Weights(), unbroken.Weights()) {
			t.Errorf("%T%+v: training that went on from saved state ends elsewhere", rule, rule)
		}
		state["conv1.weight"] = [][]float32{{1, 2}}
		if err := second.SetOptimizerState(state, steps); err == nil || !strings.Contains(err.Error(), `"conv1.weight" has 2 values for 27`) {
			t.Errorf("state of a wrong size: error %v", err)
		}
	}
}

func TestCallErrors(t *testing.T) {
	m := build(t, layers(nn.Shape{H: 2, W: 2, C: 1}, 3, nn.Layer{Type: "dense"}), 4)
	for _, test := range []struct {
		call device.Call
		want string
	}{
		{device.Call{Rows: 0, X: m.New(16)}, "0 rows: the model was built for 1 to 4"},
		{device.Call{Rows: 5, X: m.New(20)}, "5 rows: the model was built for 1 to 4"},
		{device.Call{Rows: 3, X: m.New(11)}, "11 values for 3 examples of 2x2x1"},
		{device.Call{Rows: 2, X: m.New(8), Labels: []int32{1}}, "1 labels for 2 rows"},
		{device.Call{Rows: 2, X: m.New(8), Labels: []int32{1, 3}}, "label 3: the model knows classes 0 to 2"},
		{device.Call{Rows: 2, X: m.New(8), Labels: []int32{-1, 0}}, "label -1: the model knows classes 0 to 2"},
	} {
		test.call.Loss = nn.CrossEntropy{}
		_, iterate := m.Iterate(&test.call, &device.Loop{})
		for what, err := range map[string]error{"logits": m.Logits(&test.call), "input gradient": m.InputGrad(&test.call),
			"parameter gradient": m.ParamGrad(&test.call), "attack loop": iterate} {
			if want := what + ": " + test.want; err == nil || err.Error() != want {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
}

// TestInitialWeights checks moments. Bounds are five standard deviations of the estimates: of a
// mean std/sqrt(n), of a mean square var*sqrt((kurtosis-1)/n), at most var*sqrt(2/n).
func TestInitialWeights(t *testing.T) {
	const fanIn, out = 5 * 5 * 8, 40
	for _, test := range []struct {
		init  *nn.Init
		std   float64
		bound float64
		bias  float32
	}{
		{nil, math.Sqrt(2. / fanIn), 6.67 * math.Sqrt(2./fanIn), 0},
		{&nn.Init{Weights: "kaiming", Bias: 0.5}, math.Sqrt(2. / fanIn), 6.67 * math.Sqrt(2./fanIn), 0.5},
		{&nn.Init{Weights: "glorot"}, math.Sqrt(2. / (fanIn + 25*out)), math.Sqrt(6. / (fanIn + 25*out)), 0},
		{&nn.Init{Weights: "pytorch"}, math.Sqrt(1. / (3 * fanIn)), math.Sqrt(1. / fanIn), 0},
		{&nn.Init{Weights: "truncated_normal", Std: 0.1, Bias: 0.1}, 0.087962566 /* 0.1 of the truncated std */, 0.2, 0.1},
	} {
		spec := layers(nn.Shape{H: 5, W: 5, C: 8}, out, nn.Layer{Type: "conv", Out: out, Kernel: 5, Init: test.init}, nn.Layer{Type: "dense"})
		list := build(t, spec, 1).Weights()
		w, n := list[0].Data, float64(len(list[0].Data))
		mean, square := 0.0, 0.0
		for _, v := range w {
			mean, square = mean+float64(v)/n, square+float64(v)*float64(v)/n
			if math.Abs(float64(v)) > test.bound*(1+1e-6) {
				t.Errorf("%+v: a weight is %v, beyond %v", test.init, v, test.bound)
			}
		}
		variance := test.std * test.std
		if math.Abs(mean) > 5*test.std/math.Sqrt(n) || math.Abs(square-variance) > 5*variance*math.Sqrt(2/n) {
			t.Errorf("%+v: mean %v and mean square %v, want 0 and %v", test.init, mean, square, variance)
		}
		if test.init != nil && test.init.Weights == "pytorch" { // biases as the weights
			least, most := slices.Min(list[1].Data), slices.Max(list[1].Data)
			// 40 draws all miss an outer quarter of the interval with probability .75^40 = 1e-5.
			if b := float32(test.bound); least < -b || least > -b/2 || most > b || most < b/2 {
				t.Errorf("%+v: biases from %v to %v", test.init, least, most)
			}
		} else if slices.ContainsFunc(list[1].Data, func(v float32) bool { return v != test.bias }) {
			t.Errorf("%+v: biases %v", test.init, list[1].Data)
		}
		if again := build(t, spec, 1).Weights(); !reflect.DeepEqual(again, list) {
			t.Errorf("%+v: the same stream gives other weights", test.init)
		}
		if slices.Equal(list[0].Data[:8], list[2].Data[:8]) {
			t.Errorf("%+v: two layers begin with the same draws", test.init)
		}
	}
}
