package attacks_test

import (
	"math"
	"testing"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestMeanLoss: value and gradient are the means over the members, the logits those of the
// combination.
func TestMeanLoss(t *testing.T) {
	spec := func(width int) nn.Spec {
		return nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{width}}, Input: nn.Shape{H: 4, W: 4, C: 1}, Classes: 3}
	}
	build := func(s nn.Spec, seed uint64) *nn.Model {
		m, err := nn.Build(s, cpu.New(1), 2, rng.New(seed, "init"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	members := []attacks.Victim{build(spec(5), 1), build(spec(9), 2)}
	whole := build(nn.Spec{Input: spec(1).Input, Classes: 3, Combine: nn.MeanProbability, Members: []nn.Spec{spec(5), spec(9)}}, 3)
	x := whole.New(32)
	pixels := make([]float32, 32)
	rng.New(1, "x").Uniform(pixels, 0, 1, 0, 0, 0)
	x.Upload(pixels, 0)
	ask := func(v attacks.Victim) (value, gradient, logits []float32) {
		c := &device.Call{Rows: 2, X: x, Labels: []int32{0, 2}, Loss: nn.CrossEntropy{}, Scale: 1, Value: whole.New(2), InputGrad: whole.New(32), Logits: whole.New(6)}
		if err := v.InputGrad(c); err != nil {
			t.Fatal(err)
		}
		value, gradient, logits = make([]float32, 2), make([]float32, 32), make([]float32, 6)
		c.Value.Download(value, 0)
		c.InputGrad.Download(gradient, 0)
		c.Logits.Download(logits, 0)
		return value, gradient, logits
	}
	value, gradient, logits := ask(attacks.MeanLoss{Victim: whole, Members: members})
	v0, g0, _ := ask(members[0])
	v1, g1, _ := ask(members[1])
	_, other, deployed := ask(whole)
	near := func(what string, got, a, b []float32) {
		for i := range got {
			if want := (a[i] + b[i]) / 2; math.Abs(float64(got[i]-want)) > 1e-6 {
				t.Errorf("%s %d: %v, want %v", what, i, got[i], want)
			}
		}
	}
	near("value", value, v0, v1)
	near("gradient", gradient, g0, g1)
	near("logit", logits, deployed, deployed)
	same := true
	for i := range gradient {
		same = same && gradient[i] == other[i]
	}
	if same {
		t.Error("the mean loss has the gradient of the combination's loss")
	}
}
