package defenses_test

import (
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestAttackOnBatch: with OnBatch the training attack is the one made by hand on that view, and the
// step then trains on its examples.
func TestAttackOnBatch(t *testing.T) {
	spec := nn.Spec{Arch: "layers", Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: classes, Options: &nn.Custom{List: []nn.Layer{
		{Type: "conv", Out: 4, Kernel: 3, NoBias: true}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dense"}}}}
	build := func() *nn.Model {
		m, err := nn.Build(spec, cpu.New(2), rows, rng.New(3, "init"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	d := &defenses.PGDAT{Adversarial: 1, Mix: "share"}
	pgd := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, StepSize: 0.03, Steps: 3, Runs: 1, Loss: "cross_entropy"}
	d.With = configs.Choice[attacks.Attack]{Name: "pgd", Value: pgd}
	b := batch(2)

	m := build()
	s := session(m, 1)
	var err error
	if s.OnBatch, err = m.OnBatch(); err != nil {
		t.Fatal(err)
	}
	got := step(t, d, s, b)
	trained := gradient(m)

	other := build()
	view, err := other.OnBatch()
	if err != nil {
		t.Fatal(err)
	}
	x, adv, value := other.New(rows*pixels), other.New(rows*pixels), other.New(rows)
	x.Upload(b.X, 0)
	adv.Upload(b.X, 0)
	grad, clean, moved := other.New(rows*pixels), slices.Clone(b.X), slices.Clone(b.X)
	g := make([]float32, rows*pixels)
	for range 3 {
		if err := view.InputGrad(&device.Call{Rows: rows, X: adv, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1, InputGrad: grad, Value: value}); err != nil {
			t.Fatal(err)
		}
		grad.Download(g, 0)
		for i, v := range g {
			move := float32(0)
			if v > 0 {
				move = 0.03
			} else if v < 0 {
				move = -0.03
			}
			moved[i] = min(max(moved[i]+move, clean[i]-0.1, 0), clean[i]+0.1, 1)
		}
		adv.Upload(moved, 0)
	}
	if err := other.ParamGrad(&device.Call{Rows: rows, X: adv, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1. / rows, Noise: 78}); err != nil {
		t.Fatal(err)
	}
	for i, want := range gradient(other) {
		if math.Abs(float64(trained[i]-want)) > 1e-5 {
			t.Fatalf("gradient %d is %v, by hand %v", i, trained[i], want)
		}
	}
	if got.Gradients != 3*rows {
		t.Errorf("%d gradients, want %d", got.Gradients, 3*rows)
	}

	plain := build()
	step(t, d, session(plain, 1), b)
	if slices.Equal(gradient(plain), trained) {
		t.Error("the attack by running statistics gives the same step")
	}
}
