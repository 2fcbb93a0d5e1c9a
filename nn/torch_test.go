package nn_test

import (
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// golden reads what golden_torch.py or golden_networks.py in testdata wrote with PyTorch.
type golden struct {
	t      *testing.T
	values []float32
}

func openGolden(t *testing.T, name string) *golden {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{t: t}
	for ; len(raw) >= 4; raw = raw[4:] {
		g.values = append(g.values, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return g
}

// next compares with the values that come next, to a part of the largest of them or of atLeast.
func (g *golden) next(what string, got []float32, tolerance, atLeast float64) {
	g.t.Helper()
	if len(got) > len(g.values) {
		g.t.Fatalf("%s: the golden file ends", what)
	}
	want := g.values[:len(got)]
	g.values = g.values[len(got):]
	top := atLeast
	for _, v := range want {
		top = math.Max(top, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*top) {
			g.t.Errorf("%s[%d] is %v, PyTorch's is %v (the largest is %v)", what, i, got[i], want[i], top)
			return
		}
	}
}

// fraction is frac((i+offset) * golden ratio), as in golden_torch.py.
func fraction(n int, offset float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		x := (float64(i) + offset) * 0.61803398875
		v[i] = x - math.Floor(x)
	}
	return v
}

// torchBatch is golden_torch.py's batch.
func torchBatch(m *nn.Model, n, number int) *device.Call {
	x := make([]float32, n*m.Input().Size())
	for i, v := range fraction(len(x), 1000*float64(number)) {
		x[i] = float32(v)
	}
	c := &device.Call{Rows: n, X: m.New(len(x)), Loss: nn.CrossEntropy{}, Scale: 1,
		Logits: m.New(n * m.Classes()), Value: m.New(n), InputGrad: m.New(len(x))}
	c.X.Upload(x, 0)
	for i := range n {
		c.Labels = append(c.Labels, int32((i*3+number)%10))
	}
	return c
}

// torchModel has golden_torch.py's weights.
func torchModel(t *testing.T, spec nn.Spec) *nn.Model {
	t.Helper()
	m, err := nn.Build(spec, cpu.New(2), 8, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	list := m.Weights()
	for k, w := range list {
		scale, first := 0.1, 0.0
		if len(w.Shape) > 1 {
			scale = math.Sqrt(6 / float64(len(w.Data)/w.Shape[0]))
		} else if strings.HasSuffix(w.Name, ".weight") || strings.HasSuffix(w.Name, ".running_var") {
			first = 1
		}
		for i, v := range fraction(len(w.Data), 77*float64(k+1)) {
			w.Data[i] = float32(first + scale*(v*2-1))
		}
	}
	if err := m.SetWeights(list); err != nil {
		t.Fatal(err)
	}
	return m
}

func values(t device.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.Download(v, 0)
	return v
}

// gradients compares all weights' gradients, to a part of the largest of each or of a tenth of the
// largest of all: that of a bias below a batch normalisation is nothing but PyTorch's rounding. Of a
// large tensor the file holds every 37th value.
func (g *golden) gradients(list []nn.Weight) {
	g.t.Helper()
	top := 0.0
	for _, w := range list {
		for _, v := range w.Data {
			top = math.Max(top, math.Abs(float64(v)))
		}
	}
	for _, w := range list {
		sample := w.Data
		if len(sample) > 2000 {
			sample = nil
			for i := 0; i < len(w.Data); i += 37 {
				sample = append(sample, w.Data[i])
			}
		}
		g.next("gradient of "+w.Name, sample, 1e-4, top/10)
	}
}

func (g *golden) pass(m *nn.Model, run func(*device.Call) error, c *device.Call) {
	g.t.Helper()
	if err := run(c); err != nil {
		g.t.Fatal(err)
	}
	g.next("logits", values(c.Logits), 1e-4, 0)
	g.next("loss", values(c.Value), 1e-4, 0)
}

// train compares the losses of natural training.
func (g *golden) train(m *nn.Model, rule device.Optimizer, lr float64, steps int) {
	g.t.Helper()
	for step := range steps {
		c := torchBatch(m, 8, step)
		c.Scale = 1. / 8
		if err := m.ParamGrad(c); err != nil {
			g.t.Fatal(err)
		}
		mean := 0.0
		for _, v := range values(c.Value) {
			mean += float64(v) / 8
		}
		g.next("loss in training", []float32{float32(mean)}, 1e-3, 0)
		if err := m.Update(rule, lr); err != nil {
			g.t.Fatal(err)
		}
	}
}

// TestTorch compares two networks with PyTorch: values and gradients of a pass, the losses of the
// first steps of training with each optimiser, and running statistics.
func TestTorch(t *testing.T) {
	g := openGolden(t, "torch_golden.bin.gz")
	options, err := registry.New[nn.Architecture]("fast_cnn")
	if err != nil {
		t.Fatal(err)
	}
	fast := nn.Spec{Arch: "fast_cnn", Options: options, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 10}
	m := torchModel(t, fast)
	c := torchBatch(m, 4, 0)
	g.pass(m, m.InputGrad, c)
	g.next("input gradient", values(c.InputGrad), 1e-4, 0)
	c.Scale = 1. / 4
	if err := m.ParamGrad(c); err != nil {
		t.Fatal(err)
	}
	g.gradients(m.Gradients())
	adam := device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	adamW := adam
	adamW.WeightDecay, adamW.Decoupled = 0.1, true
	g.train(torchModel(t, fast), device.SGD{Momentum: 0.9}, 0.02, 10)
	g.train(torchModel(t, fast), device.SGD{Momentum: 0.9, Nesterov: true, WeightDecay: 5e-3}, 0.02, 10)
	g.train(torchModel(t, fast), adam, 1e-3, 10)
	g.train(torchModel(t, fast), adamW, 1e-3, 10)

	residual := nn.Spec{Arch: "layers", Options: &nn.Custom{List: torchResidual}, Input: nn.Shape{H: 8, W: 8, C: 3}, Classes: 10}
	m = torchModel(t, residual)
	c = torchBatch(m, 8, 0)
	g.pass(m, m.InputGrad, c)
	g.next("input gradient", values(c.InputGrad), 1e-4, 0)
	g.evalGradients(residual, c)
	c.Scale = 1. / 8
	g.pass(m, m.ParamGrad, c)
	g.gradients(m.Gradients())
	m = torchModel(t, residual)
	g.train(m, device.SGD{Momentum: 0.9}, 0.02, 3)
	for _, w := range m.Weights() {
		if strings.Contains(w.Name, ".running_") {
			g.next(w.Name+" after three steps", w.Data, 1e-4, 0)
		}
	}
	if len(g.values) > 0 {
		t.Errorf("the golden file holds %d values more", len(g.values))
	}
}

// torchResidual is golden_torch.py's Residual.
var torchResidual = []nn.Layer{
	{Type: "conv", Out: 6, Kernel: 3, Padding: "1"}, {Type: "batchnorm"}, {Type: "relu"},
	{Type: "maxpool", Kernel: 3, Stride: 1, Padding: "1"},
	{Type: "residual",
		Body: []nn.Layer{{Type: "conv", Out: 8, Kernel: 3, Stride: 2, Padding: "1"}, {Type: "batchnorm"}, {Type: "relu"},
			{Type: "conv", Out: 8, Kernel: 3, Padding: "1"}, {Type: "batchnorm"}},
		Shortcut: []nn.Layer{{Type: "conv", Out: 8, Kernel: 1, Stride: 2}}},
	{Type: "relu"}, {Type: "avgpool", Kernel: 2}, {Type: "flatten"},
	{Type: "dense", Out: 12}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dense"},
}

// evalGradients compares the gradients in evaluation mode, which only Reference computes.
func (g *golden) evalGradients(spec nn.Spec, c *device.Call) {
	g.t.Helper()
	r, err := nn.Reference(spec, torchModel(g.t, spec).Weights(), nn.ReferenceCall{Rows: c.Rows, X: values(c.X), Loss: c.Loss,
		Labels: c.Labels, Scale: 1 / float32(c.Rows)})
	if err != nil {
		g.t.Fatal(err)
	}
	g.gradients(r.ParamGrads)
}
