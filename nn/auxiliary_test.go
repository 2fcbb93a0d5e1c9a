package nn_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestAuxiliaryIsTwoNetworks: rows of either kind meet what a network with their branch's parameters alone
// makes of them; running statistics and gradients of branches are that network's, and shared weights have the
// sum of both gradients.
func TestAuxiliaryIsTwoNetworks(t *testing.T) {
	bn := nn.Layer{Type: "batchnorm"}
	plain := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 20, Kernel: 3, NoBias: true}, bn, nn.Layer{Type: "relu"},
		nn.Layer{Type: "dense", Out: 5}, bn, nn.Layer{Type: "dense"})
	const rows, adversarial, size = 9, 4, 32
	for _, apart := range []nn.RowKind{nn.CleanRows, nn.AdversarialRows} {
		spec := plain
		spec.Auxiliary = apart
		m := build(t, spec, rows)
		all := m.Weights()
		for i, w := range all {
			if len(w.Shape) == 1 { // the branches differ
				rng.New(4, "vectors").Uniform(w.Data, 0.5, 1.5, uint32(i), 0, 0)
			}
		}
		if err := m.SetWeights(all); err != nil {
			t.Fatal(err)
		}
		x := make([]float32, rows*size)
		for i, u := range fraction(len(x), 5) {
			x[i] = float32(u)
		}
		labels := []int32{0, 1, 2, 0, 1, 2, 0, 1, 2}
		call := func(m *nn.Model, from, to int) *device.Call {
			c := &device.Call{Rows: to - from, X: m.New((to - from) * size), Loss: nn.CrossEntropy{}, Labels: labels[from:to], Scale: 1,
				Logits: m.New((to - from) * 3), InputGrad: m.New((to - from) * size), Adversarial: adversarial}
			c.X.Upload(x[from*size:to*size], 0)
			return c
		}
		joint := call(m, 0, rows)
		if err := m.ParamGrad(joint); err != nil {
			t.Fatal(err)
		}
		grads := byName(m.Gradients())
		sums := map[string][]float32{}
		for _, kind := range []nn.RowKind{nn.AdversarialRows, nn.CleanRows} {
			from, to := 0, adversarial
			if kind == nn.CleanRows {
				from, to = adversarial, rows
			}
			rename := func(name string) string { return name }
			if kind == apart {
				rename = func(name string) string {
					if strings.HasPrefix(name, "bn") {
						layer, last, _ := strings.Cut(name, ".")
						return layer + ".aux_bn.0." + last
					}
					return name
				}
			}
			one := build(t, plain, rows)
			own := one.Weights()
			for i := range own {
				own[i].Data = byName(all)[rename(own[i].Name)]
			}
			if err := one.SetWeights(own); err != nil {
				t.Fatal(err)
			}
			evaluated := call(m, from, to) // before running statistics move
			if err := one.Logits(evaluated); err != nil {
				t.Fatal(err)
			}
			other := build(t, spec, rows)
			if err := other.SetWeights(all); err != nil {
				t.Fatal(err)
			}
			logits, again := other.Logits, call(m, from, to)
			if kind == apart {
				logits = other.Auxiliary().Logits
			}
			if err := logits(again); err != nil {
				t.Fatal(err)
			}
			close(t, "evaluation's logits", values(again.Logits), values(evaluated.Logits))
			c := call(one, from, to)
			if err := one.ParamGrad(c); err != nil {
				t.Fatal(err)
			}
			close(t, "logits", values(joint.Logits)[from*3:to*3], values(c.Logits))
			close(t, "input gradient", values(joint.InputGrad)[from*size:to*size], values(c.InputGrad))
			for name, grad := range byName(one.Gradients()) {
				if strings.HasPrefix(name, "bn") {
					close(t, "gradient of "+rename(name), grads[rename(name)], grad)
					continue
				}
				if sums[name] == nil {
					sums[name] = make([]float32, len(grad))
				}
				for i, g := range grad {
					sums[name][i] += g
				}
			}
			moved := byName(m.Weights())
			for name, v := range byName(one.Weights()) {
				close(t, rename(name), moved[rename(name)], v)
			}
		}
		for name, sum := range sums {
			close(t, "gradient of "+name, grads[name], sum)
		}
	}
}

func byName(list []nn.Weight) map[string][]float32 {
	m := map[string][]float32{}
	for _, w := range list {
		m[w.Name] = w.Data
	}
	return m
}

// close compares to 1e-5 of the largest value, and of 1: what is 0 but for rounding has no scale.
func close(t *testing.T, what string, got, want []float32) {
	t.Helper()
	top := 1.0
	for _, v := range want {
		top = math.Max(top, math.Abs(float64(v)))
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 1e-5*top) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestAuxiliaryLoop: an attack's loop on the branch is that on the network of that branch.
func TestAuxiliaryLoop(t *testing.T) {
	plain := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	spec := plain
	spec.Auxiliary = nn.AdversarialRows
	m, one := build(t, spec, 3), build(t, plain, 3)
	weights := m.WithAuxiliary(one.Weights())
	if len(weights) != len(one.Weights())+4 {
		t.Fatalf("%d weights", len(weights))
	}
	for i, w := range weights { // the main branch is another
		if w.Name == "bn1.weight" {
			weights[i].Data = []float32{3, -1, 2, 5}
		}
	}
	if err := m.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	v := m.Auxiliary()
	var found [2][]float32
	for i, victim := range []interface {
		New(int) device.Tensor
		Iterate(*device.Call, *device.Loop) (device.Counts, error)
		InputGrad(*device.Call) error
	}{one, v} {
		c := &device.Call{Rows: 3, X: m.New(96), Loss: nn.CrossEntropy{}, Labels: []int32{0, 1, 2}, Scale: 1, InputGrad: m.New(96)}
		c.X.Upload(randomPixels(96), 0)
		l := &device.Loop{Steps: 3, Norm: device.Linf, Epsilon: 0.1, StepSize: 0.05, Example: make([]uint32, 3), Adv: m.New(96)}
		if _, err := victim.Iterate(c, l); err != nil {
			t.Fatal(err)
		}
		if err := victim.InputGrad(c); err != nil {
			t.Fatal(err)
		}
		found[i] = append(values(l.Adv), values(c.InputGrad)...)
	}
	close(t, "adversarial examples and gradient", found[1], found[0])
}

// TestDeployed: a network without its auxiliary branches gives the same logits.
func TestDeployed(t *testing.T) {
	member := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "dense"})
	member.Auxiliary = nn.AdversarialRows
	spec := nn.Spec{Input: member.Input, Classes: 3, Combine: nn.MeanLogits, Members: []nn.Spec{member, member}}
	m := build(t, spec, 2)
	few, weights := nn.Deployed(spec, m.Weights())
	if spec.Members[0].Auxiliary == "" || len(weights) != len(m.Weights())-8 {
		t.Errorf("%d weights are deployed, and the network itself has become %v", len(weights), spec.Members[0])
	}
	one := build(t, few, 2)
	if err := one.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	var found [2][]float32
	for i, m := range []*nn.Model{m, one} {
		c := &device.Call{Rows: 2, X: m.New(64), Logits: m.New(6)}
		c.X.Upload(randomPixels(64), 0)
		if err := m.Logits(c); err != nil {
			t.Fatal(err)
		}
		found[i] = values(c.Logits)
	}
	close(t, "logits", found[1], found[0])
}

func randomPixels(n int) []float32 {
	x := make([]float32, n)
	rng.New(2, "x").Uniform(x, 0, 1, 0, 0, 0)
	return x
}

// TestAuxiliaryFreeze: a frozen normalisation freezes both of its branches.
func TestAuxiliaryFreeze(t *testing.T) {
	spec := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "dense"})
	spec.Auxiliary = nn.CleanRows
	m, err := nn.BuildTuned(spec, cpu.New(1), 4, rng.New(1, "init"), nn.Tuning{Freeze: []string{"bn1.weight"}})
	if err != nil {
		t.Fatal(err)
	}
	before := m.Weights()
	if err := m.ParamGrad(&device.Call{Rows: 4, X: m.New(128), Labels: make([]int32, 4), Loss: nn.CrossEntropy{}, Scale: 1, Adversarial: 2}); err != nil {
		t.Fatal(err)
	}
	for name := range byName(m.Gradients()) {
		if strings.Contains(name, "aux_bn") || name == "bn1.weight" {
			t.Errorf("%s has a gradient", name)
		}
	}
	after := byName(m.Weights())
	for name, v := range byName(before) {
		close(t, name, after[name], v)
	}
}

// TestAuxiliarySpec: a checkpoint's description keeps the kind of rows, and a wrong one is refused.
func TestAuxiliarySpec(t *testing.T) {
	spec := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "dense"})
	spec.Auxiliary = nn.AdversarialRows
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var back nn.Spec
	if err := json.Unmarshal(text, &back); err != nil || back.Auxiliary != nn.AdversarialRows {
		t.Errorf("%s became %v (%v)", text, back, err)
	}
	spec.Auxiliary = "noisy"
	if _, err := nn.WeightShapes(spec); err == nil || !strings.Contains(err.Error(), `auxiliary batch normalisation: "noisy": use "adversarial" or "clean"`) {
		t.Errorf("error %v", err)
	}
}

// TestAuxiliaryBounds: bounds are those of the branch that is deployed.
func TestAuxiliaryBounds(t *testing.T) {
	plain := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"},
		nn.Layer{Type: "dense", Out: 5}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	spec := plain
	spec.Auxiliary = nn.CleanRows
	one, m := build(t, plain, 2), build(t, spec, 2)
	weights := m.WithAuxiliary(one.Weights())
	for i, w := range weights {
		if strings.Contains(w.Name, ".aux_bn.") {
			weights[i].Data = make([]float32, len(w.Data))
		}
	}
	if err := m.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	images := randomPixels(64)
	var found [2][]float32
	for i, m := range []*nn.Model{one, m} {
		b, err := nn.NewBounds(m, 2)
		if err != nil {
			t.Fatal(err)
		}
		box := make([]float32, 128)
		b.Box(box, images, 0.05)
		c := &device.Call{Rows: 2, X: m.New(128), Logits: m.New(18)}
		c.X.Upload(box, 0)
		if err := b.Differences(c); err != nil {
			t.Fatal(err)
		}
		found[i] = values(c.Logits)
		if _, err := nn.NewCrown(m, 2); err != nil {
			t.Error(err)
		}
	}
	close(t, "bounds", found[1], found[0])
}
