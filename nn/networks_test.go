package nn_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/registry"
)

func architecture(t *testing.T, name string, change func(nn.Architecture)) nn.Architecture {
	t.Helper()
	m, err := registry.New[nn.Architecture](name)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	return m
}

// TestTorchNetworks compares networks with torchvision's, and with PreActResNet and WideResNet as
// written in golden_networks.py: evaluation with the input gradient, and a pass in training.
func TestTorchNetworks(t *testing.T) {
	g := openGolden(t, "torch_networks.bin.gz")
	for _, test := range []struct {
		name    string
		n, size int
		trained bool
		slow    bool
		change  func(nn.Architecture)
	}{
		{"resnet18", 4, 16, true, false, nil},
		{"resnet18", 2, 64, false, false, nil}, // ImageNet's stem
		{"resnet50", 1, 64, false, true, nil},
		{"preact_resnet18", 8, 16, true, false, func(m nn.Architecture) { m.(*nn.PreActResNet18).Width = 8 }},
		{"wide_resnet", 4, 16, true, false, func(m nn.Architecture) { m.(*nn.WideResNet).Depth, m.(*nn.WideResNet).Width = 16, 2 }},
		{"vgg11", 2, 32, false, false, nil},
	} {
		spec := nn.Spec{Arch: test.name, Options: architecture(t, test.name, test.change), Input: nn.Shape{H: test.size, W: test.size, C: 3}, Classes: 10}
		if test.slow && testing.Short() {
			g.values = g.values[10*test.n+test.n+len(some(make([]float32, test.n*test.size*test.size*3))):]
			continue
		}
		m := torchModel(t, spec)
		c := torchBatch(m, test.n, 0)
		g.t.Logf("%s: %d weights", test.name, m.Parameters())
		g.pass(m, m.InputGrad, c)
		g.next("input gradient", some(values(c.InputGrad)), 1e-4, 0)
		if !test.trained {
			continue
		}
		c.Scale = 1 / float32(test.n)
		g.pass(m, m.ParamGrad, c)
		top := 0.0
		for _, w := range m.Gradients() {
			for _, v := range w.Data {
				top = math.Max(top, math.Abs(float64(v)))
			}
		}
		for _, w := range m.Gradients() {
			g.next(test.name+"'s gradient of "+w.Name, some(w.Data), 1e-4, top/10)
		}
	}
	if len(g.values) > 0 {
		t.Errorf("the golden file holds %d values more", len(g.values))
	}
}

// some is golden_networks.py's sample.
func some(x []float32) (list []float32) {
	for i := 0; i < len(x); i += max(1, len(x)/64) {
		list = append(list, x[i])
	}
	return list
}

// TestTorchNames: weights have torchvision's names, shapes and order at 224 pixels and 1000 classes.
func TestTorchNames(t *testing.T) {
	raw, err := os.ReadFile("testdata/torch_names.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	for name, list := range want {
		spec := nn.Spec{Arch: name, Options: architecture(t, name, nil), Input: nn.Shape{H: 224, W: 224, C: 3}, Classes: 1000}
		shapes, err := nn.WeightShapes(spec)
		if err != nil {
			t.Fatal(err)
		}
		if len(shapes) != len(list) {
			t.Errorf("%s has %d weights, torchvision's %d", name, len(shapes), len(list))
			continue
		}
		for i, w := range shapes {
			got, err := json.Marshal([]any{w.Name, w.Shape})
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != strings.ReplaceAll(string(list[i]), ", ", ",") {
				t.Errorf("%s: weight %d is %s, torchvision's %s", name, i, got, list[i])
				break
			}
		}
	}
}

// TestPublishedSizes: the networks have as many weights as their papers and implementations say.
func TestPublishedSizes(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(nn.Architecture)
		want   int
	}{
		{"resnet18", nil, 11173962},        // with CIFAR's stem
		{"preact_resnet18", nil, 11172170}, // with the last normalisation
		{"wide_resnet", nil, 46160474},     // WRN-34-10
		{"wide_resnet", func(m nn.Architecture) { m.(*nn.WideResNet).Depth, m.(*nn.WideResNet).Width = 28, 10 }, 36479194},
		{"wide_resnet", func(m nn.Architecture) { m.(*nn.WideResNet).Depth, m.(*nn.WideResNet).Width = 16, 4 }, 2748890},
	} {
		shapes, err := nn.WeightShapes(nn.Spec{Arch: test.name, Options: architecture(t, test.name, test.change), Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, w := range shapes {
			n := 1
			for _, d := range w.Shape {
				n *= d
			}
			if !strings.Contains(w.Name, ".running_") {
				got += n
			}
		}
		if got != test.want {
			t.Errorf("%s has %d weights, want %d", test.name, got, test.want)
		}
	}
}

func TestNetworkErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(nn.Architecture)
		want   string
	}{
		{"resnet18", func(m nn.Architecture) { m.(*nn.ResNet).Stem = "mnist" }, `"stem": unknown stem "mnist": known: auto, cifar, imagenet`},
		{"resnet34", func(m nn.Architecture) { m.(*nn.ResNet).Width = 0 }, `"width": 0 must lie between 1 and 4096`},
		{"resnet50", func(m nn.Architecture) { m.(*nn.ResNet).Activation = "dense" }, `"activation": unknown activation "dense"`},
		{"preact_resnet18", func(m nn.Architecture) { m.(*nn.PreActResNet18).Width = -1 }, `"width": -1`},
		{"wide_resnet", func(m nn.Architecture) { m.(*nn.WideResNet).Depth = 30 }, `"depth": 30 is not 10, 16, 22, 28, 34 or a greater 6n+4`},
		{"wide_resnet", func(m nn.Architecture) { m.(*nn.WideResNet).Dropout = 1 }, `"dropout": 1 must lie in [0,1)`},
		{"vgg16", func(m nn.Architecture) { m.(*nn.VGG).Head = "none" }, `"head": unknown head "none"`},
	} {
		if err := architecture(t, test.name, test.change).Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}
