package nn_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/backendtest"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

func TestSpecJSON(t *testing.T) {
	for _, network := range backendtest.Networks() {
		text, err := json.Marshal(network.Spec)
		if err != nil {
			t.Fatal(err)
		}
		var got nn.Spec
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(got, network.Spec) {
			t.Errorf("%s: %+v became %+v", network.Name, network.Spec, got)
		}
	}
	for text, want := range map[string]string{
		`{"arch":"fastcnn","input":[1,1,1]}`:                 `unknown model "fastcnn": did you mean "fast_cnn"?`,
		`{"arch":"mlp","options":{"hidden":3}}`:              `options of "mlp"`,
		`{"arch":"mlp","input":"28x28"}`:                     `input`,
		`{"members":[{"arch":"x"}],"combine":"probability"}`: `unknown model "x"`,
	} {
		var s nn.Spec
		if err := json.Unmarshal([]byte(text), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestArchitectureErrors(t *testing.T) {
	for _, test := range []struct {
		options nn.Architecture
		want    string
	}{
		{&nn.MadryCNN{Init: "he"}, `"init": unknown initialiser "he": known: glorot, kaiming, madry, pytorch`},
		{&nn.MLP{Hidden: []int{3, 0}}, `"hidden": a hidden layer needs at least 1 unit, not 0`},
		{&nn.MLP{Dropout: 1}, `"dropout": 1 must lie in [0,1)`},
		{&nn.Custom{}, `"layer": a model named "layers" needs [[model.layer]] tables`},
		{&nn.Custom{List: []nn.Layer{{Type: "dense"}, {Type: "rleu"}}}, `"layer": layer 2: "type": unknown layer "rleu": did you mean "relu"?`},
	} {
		if err := test.options.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.options, err, test.want)
		}
	}
}

func TestSpecErrors(t *testing.T) {
	good := layers(nn.Shape{H: 4, W: 4, C: 1}, 3, nn.Layer{Type: "dense"})
	for _, test := range []struct {
		change func(*nn.Spec)
		want   string
	}{
		{func(s *nn.Spec) { s.Input.W = 0 }, "input shape 4x0x1: each side must be between 1 and 16384"},
		{func(s *nn.Spec) { s.Input.H = 1 << 30 }, "input shape 1073741824x4x1"},
		{func(s *nn.Spec) { s.Classes = 1 }, "1 classes: at least 2 are needed"},
		{func(s *nn.Spec) { s.Options = nil }, "no architecture"},
		{func(s *nn.Spec) { s.Mean = []float32{1} }, "normalisation has 1 means and 0 standard deviations"},
		{func(s *nn.Spec) { s.Mean, s.Std = []float32{1, 2}, []float32{1, 2} }, "for each of the 1 channels"},
		{func(s *nn.Spec) { s.Mean, s.Std = []float32{1}, []float32{0} }, "standard deviation of 0"},
		{func(s *nn.Spec) { *s = nn.Spec{Input: s.Input, Classes: 3, Members: []nn.Spec{*s}} }, `unknown combination ""`},
		{func(s *nn.Spec) {
			*s = nn.Spec{Input: s.Input, Classes: 4, Members: []nn.Spec{*s}, Combine: nn.MeanLogits}
		}, "ensemble member 0 takes 4x4x1 images of 3 classes, the ensemble 4x4x1 of 4"},
		{func(s *nn.Spec) {
			*s = nn.Spec{Input: s.Input, Classes: 3, Members: []nn.Spec{*s, {Input: s.Input, Classes: 3}}, Combine: nn.MeanLogits}
		}, "ensemble member 1: no architecture"},
		{func(s *nn.Spec) {
			*s = nn.Spec{Input: s.Input, Classes: 3, Members: []nn.Spec{*s}, Combine: nn.MeanLogits, Mean: []float32{0.1}, Std: []float32{1}}
		}, "an ensemble has no normalisation of its own"},
	} {
		spec := good
		test.change(&spec)
		_, err := nn.Build(spec, cpu.New(1), 2, rng.New(1, ""))
		if err == nil || !strings.HasPrefix(err.Error(), "build model: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

func TestLayerErrors(t *testing.T) {
	type L = nn.Layer
	conv := L{Type: "conv", Out: 2, Kernel: 3}
	last, flatten := L{Type: "dense"}, L{Type: "flatten"}
	for _, test := range []struct {
		list []L
		want string
	}{
		{[]L{flatten, conv, last}, "layer 2 (conv): needs images, but the layers before have flattened them"},
		{[]L{last, {Type: "maxpool", Kernel: 2}}, "layer 2 (maxpool): needs images"},
		{[]L{{Type: "conv", Out: 2, Kernel: 7}, last}, "layer 1 (conv): a conv of kernel 7 does not fit on its 6x6x1 input"},
		{[]L{{Type: "maxpool", Kernel: 4}, {Type: "avgpool", Kernel: 2}, last}, "layer 2 (avgpool): a avgpool of kernel 2 does not fit on its 1x1x1 input"},
		{[]L{conv}, "ends with 4x4x2 images: the last layer must be a dense layer with an output for each of the 5 classes"},
		{[]L{{Type: "dense", Out: 7}}, "ends with 7 features: the last layer must be a dense layer with an output for each of the 5 classes"},
		{[]L{flatten, {Type: "batchnorm"}, last}, "layer 2 (batchnorm): must come before flatten or after a dense layer"},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Name: "a"}, {Type: "conv", Out: 2, Kernel: 3, Name: "a"}, last}, `two layers give a weight named "a.weight": name them apart`},
		{[]L{{Type: "conv", Out: 1, Kernel: 3, Name: "a"}, {Type: "conv", Out: 1, Kernel: 3, Name: "a"}, last}, `two layers give a weight named "a.weight": name them apart`},
		{[]L{{Type: "dense", Out: 4, Name: "fc2"}, last}, `two layers give a weight named "fc2.weight": name them apart`},
		{[]L{{Type: "residual", Body: []L{conv}}, last}, "layer 1 (residual): the block's branches give 4x4x2 images and 6x6x1 images: both must have one shape"},
		{[]L{{Type: "residual", Body: []L{flatten, conv}}, last}, "residual, layer 2 (conv): needs images"},
		{[]L{flatten, {Type: "residual", Body: []L{{Type: "dense", Out: 36}}}, last}, "the block adds a flattened image to something else"},
		{[]L{{Type: "residual"}, last}, "a residual block needs layers"},
		{[]L{{Type: "residual", Body: []L{{Type: "conv", Kernel: 1}}}, last}, `"out": conv needs a number of output channels above 0, not 0`},
		{[]L{{Type: "conv", Out: 2}, last}, `"kernel": conv needs a kernel of at least 1, not 0`},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Stride: -1}, last}, `"stride": -1 must not be negative`},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Padding: "full"}, last}, `"padding": "full" is neither "same" nor "valid" nor a number of pixels such as "2"`},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Padding: "02"}, last}, `"padding": "02" is neither`},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Padding: "-1"}, last}, `"padding": "-1" is neither`},
		{[]L{{Type: "maxpool", Kernel: 2, Padding: "2"}, last}, `padding "2" of a maxpool must be smaller than its kernel 2`},
		{[]L{{Type: "conv", Out: 2, Kernel: 3, Padding: "99999999999"}, last}, `padding "99999999999" of a conv must be smaller than its kernel 3`},
		{[]L{{Type: "dense", Out: -1}, last}, `"out": -1 must not be negative`},
		{[]L{{Type: "dense", Out: 1 << 40}, last}, `the largest that is allowed is 1048576`},
		{[]L{{Type: "dense", Out: 1 << 20}, {Type: "dense", Out: 1 << 20}, last}, `more than`},
		{[]L{{Type: "dropout", Rate: 1}, last}, `"rate": dropout needs a rate between 0 and 1, not 1`},
		{[]L{{Type: "dropout"}, last}, `"rate": dropout needs a rate between 0 and 1, not 0`},
		{[]L{{Type: "conv", Out: 3, Kernel: 3, Groups: 2}, last}, "layer 1 (conv): 1 channels in and 3 out do not fall into 2 groups"},
		{[]L{{Type: "conv", Out: 3, Kernel: 3, Groups: -1}, last}, `"groups": -1 must not be negative`},
		{[]L{{Type: "relu", Groups: 2}, last}, `"groups": a relu has no groups`},
		{[]L{{Type: "dense", NoBias: true}}, `"no_bias": only a conv can do without its bias, not a dense`},
		{[]L{{Type: "gelu", Slope: 0.1}, last}, `"slope": a gelu has no slope`},
		{[]L{{Type: "leaky_relu", Slope: -0.1}, last}, `"slope": -0.1 must lie in [0,1); 0 stands for 0.01`},
		{[]L{{Type: "groupnorm"}, last}, `"groups": groupnorm needs a number of groups above 0, not 0`},
		{[]L{{Type: "conv", Out: 4, Kernel: 3}, {Type: "groupnorm", Groups: 3}, last}, "4 channels do not fall into 3 groups"},
		{[]L{flatten, {Type: "layernorm"}, last}, "layer 2 (layernorm): must come before flatten or after a dense layer"},
		{[]L{flatten, {Type: "globalavgpool"}, last}, "layer 2 (globalavgpool): needs images"},
		{[]L{{Type: "dense", Init: &nn.Init{Weights: "ones"}}}, `"init": unknown initialiser "ones": known: glorot, kaiming, pytorch, truncated_normal, zeros`},
		{[]L{{Type: "dense", Init: &nn.Init{Weights: "truncated_normal"}}}, `"init": truncated_normal needs std above 0, not 0`},
		{[]L{{Type: "linear"}}, `"type": unknown layer "linear": known: avgpool, batchnorm, conv`},
		{[]L{{Type: "maxpool", Kernel: 17, Stride: 1, Padding: "16"}, last}, "max pooling: kernel 17x17 has more than 256 elements"},
	} {
		spec := layers(nn.Shape{H: 6, W: 6, C: 1}, 5, test.list...)
		_, err := nn.Build(spec, cpu.New(1), 2, rng.New(1, ""))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v:\n  error %v\n  want  %s", test.list, err, test.want)
		}
	}
}

// TestPrograms: an attack's program computes no weight's gradient, the update's writes each
// once and does not go back to the input, and every buffer is written before it is read.
func TestPrograms(t *testing.T) {
	for _, network := range backendtest.Networks() {
		m := build(t, network.Spec, 2)
		for i, p := range m.Programs() {
			written := map[int]int{p.X: 1}
			for _, in := range p.Instrs {
				for _, b := range in.In {
					if kind := p.Buffers[b].Kind; kind != device.Param && written[b] != 1 {
						t.Errorf("%s, %s: %T reads buffer %d, written %d times", network.Name, p.Name, in.Op, b, written[b])
					}
				}
				for _, b := range in.Out {
					written[b]++
				}
			}
			grads := map[int]int{}
			for b, buffer := range p.Buffers {
				if buffer.Kind == device.ParamGrad {
					grads[buffer.Param] += written[b]
				}
			}
			want := 0
			if i == 2 {
				want = len(m.Gradients())
			}
			if len(grads) != want {
				t.Errorf("%s, %s: gradients of %d weights, want %d", network.Name, p.Name, len(grads), want)
			}
			for param, n := range grads {
				if n != 1 {
					t.Errorf("%s, %s: the gradient of weight %d is written %d times", network.Name, p.Name, param, n)
				}
			}
			if (p.InputGrad >= 0) != (i == 1) || (p.Seed >= 0) != (i > 0) || p.Logits < 0 {
				t.Errorf("%s, %s: logits %d, seed %d, input gradient %d", network.Name, p.Name, p.Logits, p.Seed, p.InputGrad)
			}
		}
	}
}

// TestFusion counts kernels of madry_cnn's attack: each ReLU belongs to the layer before, and its
// gradient works on pooled values.
func TestFusion(t *testing.T) {
	spec := layers(nn.Shape{H: 8, W: 8, C: 1}, 5, nn.Layer{Type: "conv", Out: 2, Kernel: 3, Padding: "same"}, nn.Layer{Type: "relu"},
		nn.Layer{Type: "maxpool", Kernel: 2}, nn.Layer{Type: "dense", Out: 7}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	var got []string
	for _, in := range build(t, spec, 2).Programs()[1].Instrs {
		name := strings.TrimPrefix(reflect.TypeOf(in.Op).String(), "device.")
		switch op := in.Op.(type) {
		case device.ReLUGrad:
			if want := map[bool]int{true: 7, false: 32}[len(got) < 8]; op.Size != want {
				t.Errorf("ReLUGrad on %d values, want %d", op.Size, want)
			}
		case device.Conv:
			name += map[bool]string{true: "+ReLU"}[op.ReLU]
		case device.Dense:
			name += map[bool]string{true: "+ReLU"}[op.ReLU]
		}
		got = append(got, name)
	}
	want := "Conv+ReLU MaxPool Dense+ReLU Dense ApplyLoss DenseInputGrad ReLUGrad DenseInputGrad ReLUGrad MaxPoolGrad ConvInputGrad"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("program\n  %s, want\n  %s", text, want)
	}
}
