package nn_test

import (
	"math"
	"reflect"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// TestPerturbedGradLeavesWeights: after the pass every weight has its bits of before, biases were
// never moved, and running statistics have moved once, at the perturbed weights.
func TestPerturbedGradLeavesWeights(t *testing.T) {
	layers := []nn.Layer{{Type: "conv", Out: 4, Kernel: 3}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dense", Out: 9}, {Type: "relu"}, {Type: "dense"}}
	spec := nn.Spec{Arch: "layers", Options: &nn.Custom{List: layers}, Input: nn.Shape{H: 6, W: 6, C: 1}, Classes: 10}
	build := func() *nn.Model {
		m, err := nn.Build(spec, cpu.New(2), 8, rng.New(1, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, plain, moved := build(), build(), build()
	before := m.Weights()
	const gamma = 0.2
	if err := m.PerturbedGrad(torchBatch(m, 8, 1), gamma); err != nil {
		t.Fatal(err)
	}
	if err := plain.ParamGrad(torchBatch(plain, 8, 1)); err != nil {
		t.Fatal(err)
	}
	weights, at := moved.Weights(), 0
	grads := plain.Gradients()
	for _, w := range weights {
		if w.Name == "bn1.running_mean" || w.Name == "bn1.running_var" {
			continue
		}
		g := grads[at]
		if at++; g.Name != w.Name {
			t.Fatalf("gradient %q beside weight %q", g.Name, w.Name)
		}
		if len(w.Shape) < 2 {
			continue
		}
		var ww, gg float64
		for j, v := range w.Data {
			ww, gg = ww+float64(v)*float64(v), gg+float64(g.Data[j])*float64(g.Data[j])
		}
		for j, v := range w.Data {
			w.Data[j] = float32(float64(v) + gamma*math.Sqrt(ww/gg)*float64(g.Data[j]))
		}
	}
	if err := moved.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	if err := moved.ParamGrad(torchBatch(moved, 8, 1)); err != nil {
		t.Fatal(err)
	}
	for i, w := range m.Gradients() {
		want, plain := moved.Gradients()[i], plain.Gradients()[i]
		top, off, apart := 0.0, 0.0, 0.0
		for j, v := range want.Data {
			top = max(top, math.Abs(float64(v)))
			off, apart = max(off, math.Abs(float64(w.Data[j]-v))), max(apart, math.Abs(float64(plain.Data[j]-v)))
		}
		if off > 1e-4*top && w.Name != "conv1.bias" { // below a normalisation it is but rounding
			t.Errorf("gradient of %s is off by %v of %v", w.Name, off, top)
		}
		if apart < 1e-3*top {
			t.Errorf("%s: the perturbation makes a difference of only %v of %v", w.Name, apart, top)
		}
	}
	for i, w := range m.Weights() {
		want := before[i].Data
		if w.Name == "bn1.running_mean" || w.Name == "bn1.running_var" {
			want = moved.Weights()[i].Data
			for j, v := range w.Data {
				if math.Abs(float64(v-want[j])) > 1e-5 {
					t.Errorf("%s[%d] is %v, want %v", w.Name, j, v, want[j])
				}
			}
			if reflect.DeepEqual(w.Data, before[i].Data) {
				t.Errorf("%s has not moved", w.Name)
			}
			continue
		}
		for j, v := range w.Data {
			if math.Float32bits(v) != math.Float32bits(want[j]) {
				t.Fatalf("%s[%d] went from %v to %v", w.Name, j, want[j], v)
			}
		}
	}
	// The packed copies of the weights are those of before, too.
	a, b := torchBatch(m, 8, 1), torchBatch(plain, 8, 1)
	if err := m.SetWeights(before); err != nil {
		t.Fatal(err)
	}
	if err := plain.SetWeights(before); err != nil {
		t.Fatal(err)
	}
	if err := m.PerturbedGrad(a, gamma); err != nil {
		t.Fatal(err)
	}
	a.InputGrad, b.InputGrad = nil, nil
	if err := m.ParamGrad(a); err != nil {
		t.Fatal(err)
	}
	if err := plain.ParamGrad(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Gradients(), plain.Gradients()) {
		t.Error("after a perturbed gradient a plain one is another")
	}
}

// TestPerturbedGradNotFinite: weights that have diverged are reported, and left as they were.
func TestPerturbedGradNotFinite(t *testing.T) {
	m, err := nn.Build(nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{4}}, Input: nn.Shape{H: 4, W: 4, C: 1}, Classes: 10}, cpu.New(1), 4, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	w := m.Weights()
	w[0].Data[0] = float32(math.Inf(1))
	if err := m.SetWeights(w); err != nil {
		t.Fatal(err)
	}
	if err := m.PerturbedGrad(torchBatch(m, 4, 1), 0.01); err == nil {
		t.Error("no error")
	}
	if !reflect.DeepEqual(m.Weights(), w) {
		t.Error("the weights have changed")
	}
}
