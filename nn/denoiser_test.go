package nn_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

func denoised() nn.Spec {
	spec := layers(nn.Shape{H: 5, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 3, Kernel: 3}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	spec.Mean, spec.Std = []float32{0.2, 0.5}, []float32{0.5, 2}
	spec.Denoiser = &nn.Denoiser{Channels: 4, Depth: 3}
	return spec
}

// TestDenoiserFresh: at first a denoiser changes nothing, and a checkpoint can hold it.
func TestDenoiserFresh(t *testing.T) {
	spec := denoised()
	m := build(t, spec, 2)
	var names []string
	for _, w := range m.Weights() {
		names = append(names, w.Name)
	}
	want := "denoiser.conv1.weight denoiser.conv1.bias denoiser.conv2.weight denoiser.conv2.bias denoiser.conv3.weight denoiser.conv3.bias conv1.weight conv1.bias fc1.weight fc1.bias"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
	images := make([]float32, 2*spec.Input.Size())
	rng.New(1, "images").Uniform(images, 0, 1, 0, 0, 0)
	behind, err := m.Classifier()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := logitsOf(t, m, images), logitsOf(t, behind, images); !slices.Equal(got, want) {
		t.Errorf("logits %v, without the denoiser %v", got, want)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var again nn.Spec
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, spec) {
		t.Errorf("%s is read as %+v, %v", text, again, err)
	}
	if name := spec.Name(); name != "layers behind a denoiser" {
		t.Errorf("it is called %q", name)
	}
	if _, err := behind.Classifier(); err == nil || behind.Spec.Denoised() {
		t.Error("the classifier has a denoiser")
	}
}

// TestDenoiserLikeReference compares a network behind a denoiser with gorgonia's machine, in logits and all
// gradients, and with the classifier on the denoiser's images.
func TestDenoiserLikeReference(t *testing.T) {
	const n = 3
	spec := denoised()
	m := build(t, spec, n)
	randomise(t, m, 2)
	images, labels := make([]float32, n*spec.Input.Size()), []int32{2, 0, 1}
	rng.New(1, "images").Uniform(images, 0, 1, 0, 0, 0)
	want, err := nn.Reference(spec, m.Weights(), nn.ReferenceCall{Rows: n, X: images, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1})
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if d := math.Abs(float64(got[i] - want[i])); d > 1e-4*(1+math.Abs(float64(want[i]))) {
				t.Errorf("%s[%d]: %v, want %v", what, i, got[i], want[i])
				return
			}
		}
	}
	c := device.Call{Rows: n, X: m.New(len(images)), Logits: m.New(n * 3), InputGrad: m.New(len(images)), Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1}
	c.X.Upload(images, 0)
	if err := m.InputGrad(&c); err != nil {
		t.Fatal(err)
	}
	near("logits", values(c.Logits), want.Logits)
	near("input gradient", values(c.InputGrad), want.InputGrad)
	c.InputGrad = nil
	if err := m.ParamGrad(&c); err != nil {
		t.Fatal(err)
	}
	for i, g := range m.Gradients() {
		near(g.Name, g.Data, want.ParamGrads[i].Data)
	}
	r, err := nn.NewReconstruction(m, n)
	if err != nil {
		t.Fatal(err)
	}
	cleaned := device.Call{Rows: n, X: c.X, Logits: m.New(len(images))}
	if err := r.Images(&cleaned); err != nil {
		t.Fatal(err)
	}
	behind, err := m.Classifier()
	if err != nil {
		t.Fatal(err)
	}
	near("logits behind", logitsOf(t, behind, values(cleaned.Logits)), want.Logits)
}

// TestReconstructionGradient compares the gradient of the reconstruction with finite differences, on top
// of what ParamGrad has left, which stays as it is elsewhere.
func TestReconstructionGradient(t *testing.T) {
	const n, scale = 2, 0.5
	spec := denoised()
	m := build(t, spec, n)
	randomise(t, m, 4)
	r, err := nn.NewReconstruction(m, n)
	if err != nil {
		t.Fatal(err)
	}
	size := n * spec.Input.Size()
	clean, noisy := make([]float32, size), make([]float32, size)
	rng.New(1, "images").Uniform(clean, 0, 1, 0, 0, 0)
	rng.New(2, "images").Uniform(noisy, 0, 1, 0, 0, 0)
	c := device.Call{Rows: n, X: m.New(size), Soft: m.New(size), Scale: scale, Value: m.New(n), Labels: []int32{0, 1}, Loss: nn.CrossEntropy{}}
	c.X.Upload(noisy, 0)
	if err := m.ParamGrad(&c); err != nil {
		t.Fatal(err)
	}
	before := m.Gradients()
	c.Soft.Upload(clean, 0)
	if err := r.AddGrad(&c); err != nil {
		t.Fatal(err)
	}
	after := m.Gradients()
	loss := func() (sum float64) {
		out := device.Call{Rows: n, X: c.X, Logits: m.New(size)}
		if err := r.Images(&out); err != nil {
			t.Fatal(err)
		}
		for i, v := range values(out.Logits) {
			d := float64(v) - float64(clean[i])
			sum += d * d / float64(spec.Input.Size())
		}
		return sum
	}
	total := 0.0
	for _, v := range values(c.Value) {
		total += float64(v)
	}
	if math.Abs(total-loss()) > 1e-5 {
		t.Errorf("loss %v, want %v", total, loss())
	}
	list := m.Weights()
	for i, w := range list {
		for j := 0; j < len(w.Data); j += 1 + len(w.Data)/10 {
			slope, smooth := slope(t, m, list, &w.Data[j], loss)
			if !smooth {
				continue
			}
			got, want := float64(after[i].Data[j]-before[i].Data[j]), scale*slope
			if math.Abs(got-want) > 2e-3+2e-2*math.Abs(want) || !strings.HasPrefix(w.Name, "denoiser.") && got != 0 {
				t.Errorf("%s[%d]: gradient %v, finite difference %v", w.Name, j, got, want)
			}
		}
	}
}

// TestDenoiserBounds: interval bounds go through a denoiser; those of CROWN-IBP say that they do not.
func TestDenoiserBounds(t *testing.T) {
	m := build(t, denoised(), 2)
	randomise(t, m, 4)
	checkBounds(t, m, newBounds(t, m, 2), 2, 3, 6)
	if _, err := nn.NewCrown(m, 2); err == nil || !strings.Contains(err.Error(), "denoiser") {
		t.Errorf("error %v", err)
	}
}

func TestDenoiserErrors(t *testing.T) {
	for want, change := range map[string]func(s *nn.Spec){
		"channels":               func(s *nn.Spec) { s.Denoiser.Channels = 0 },
		"at least 2":             func(s *nn.Spec) { s.Denoiser.Depth = 1 },
		"give it to the members": func(s *nn.Spec) { s.Members, s.Combine, s.Mean, s.Std = []nn.Spec{denoised()}, nn.MeanLogits, nil, nil },
	} {
		spec := denoised()
		change(&spec)
		if _, err := nn.Build(spec, nil, 1, rng.New(1, "weights")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	m := build(t, crownNetworks()["linear"], 1)
	if _, err := nn.NewReconstruction(m, 1); err == nil || !strings.Contains(err.Error(), "[input.denoiser]") {
		t.Errorf("error %v", err)
	}
}

// TestFrozenDenoiser: a denoiser that training leaves as it is gets no gradient of the reconstruction.
func TestFrozenDenoiser(t *testing.T) {
	m, err := nn.BuildTuned(denoised(), cpu.New(2), 2, rng.New(3, "weights"), nn.Tuning{Freeze: []string{"denoiser"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := nn.NewReconstruction(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	size := 2 * m.Spec.Input.Size()
	c := device.Call{Rows: 2, X: m.New(size), Soft: m.New(size), Scale: 1, Value: m.New(2), Labels: []int32{0, 1}, Loss: nn.CrossEntropy{}}
	if err := m.ParamGrad(&c); err != nil {
		t.Fatal(err)
	}
	want := m.Gradients()
	if err := r.AddGrad(&c); err != nil {
		t.Fatal(err)
	}
	if got := m.Gradients(); !reflect.DeepEqual(got, want) || slices.ContainsFunc(got, func(w nn.Weight) bool { return strings.HasPrefix(w.Name, "denoiser.") }) {
		t.Errorf("gradients %v", got)
	}
}
