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
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// TestSeparates: which defences take clean and adversarial rows to one gradient, as their tables begin.
func TestSeparates(t *testing.T) {
	together := []string{"pgd_at", "ensemble_at", "trades", "mart", "alp", "ard", "rslad", "denoise"}
	for _, name := range registry.Names[defenses.Defense]() {
		d, err := registry.New[defenses.Defense](name)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := defenses.Separates(d), slices.Contains(together, name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if defenses.Separates(&defenses.PGDAT{Adversarial: 1}) {
		t.Error("pgd_at separates without clean rows")
	}
}

// TestSeparateSteps: the attack meets the branch of adversarial rows, clean images are answered by the other,
// and the update tells the rows apart, whichever branch is the auxiliary one.
func TestSeparateSteps(t *testing.T) {
	for _, apart := range []nn.RowKind{nn.CleanRows, nn.AdversarialRows} {
		build := func() *nn.Model {
			m, err := nn.Build(nn.Spec{Arch: "layers", Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: classes, Auxiliary: apart, Options: &nn.Custom{List: []nn.Layer{
				{Type: "conv", Out: 4, Kernel: 3, NoBias: true}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dense"}}}}, cpu.New(2), 2*rows, rng.New(3, "init"))
			if err != nil {
				t.Fatal(err)
			}
			weights := m.Weights()
			for i, w := range weights {
				if len(w.Shape) == 1 {
					rng.New(6, "vectors").Uniform(w.Data, 0.2, 1.2, uint32(i), 0, 0)
				}
			}
			if err := m.SetWeights(weights); err != nil {
				t.Fatal(err)
			}
			return m
		}
		attack := configs.Choice[attacks.Attack]{Name: "pgd", Value: &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, StepSize: 0.03, Steps: 3, Runs: 1, Loss: "cross_entropy"}}
		b := batch(2)
		view := func(m *nn.Model, kind nn.RowKind) attacks.Victim {
			if kind == apart {
				return m.Auxiliary()
			}
			return m
		}
		for name, d := range map[string]defenses.Defense{
			"pgd_at": &defenses.PGDAT{Adversarial: 0.4, Mix: "share", With: attack},
			"trades": &defenses.TRADES{Beta: 2, With: attack},
		} {
			m := build()
			s := session(m, 1)
			s.Auxiliary = m.Auxiliary()
			step(t, d, s, b)
			got := gradient(m)

			other := build()
			attacked, all := 4, rows
			call := &device.Call{Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1. / rows, Noise: 78}
			loop := &device.Loop{Steps: 3, Norm: device.Linf, Epsilon: 0.1, StepSize: 0.03, Restart: 1, Noise: rng.New(4, "noise"), Example: b.Index}
			inner := &device.Call{Rows: attacked, X: other.New(rows * pixels), Labels: b.Labels[:attacked], Loss: nn.CrossEntropy{}, Scale: 1}
			if name == "trades" {
				attacked, all = rows, 2*rows
				inner.Rows, inner.Labels, inner.Loss, inner.Soft = rows, b.Labels, nn.Distill{Temperature: 1}, other.New(rows*classes)
				loop.Start, loop.StartStd = device.FromNormal, 0.001
				call.Loss, call.Labels = nn.TRADES{Beta: 2}, append(slices.Clone(b.Labels), b.Labels...)
			}
			inner.X.Upload(b.X, 0)
			if inner.Soft != nil {
				if err := view(other, nn.CleanRows).Logits(&device.Call{Rows: rows, X: inner.X, Logits: inner.Soft}); err != nil {
					t.Fatal(err)
				}
			}
			loop.Adv = other.New(2 * rows * pixels)
			loop.Adv.Upload(b.X, 0)
			loop.Adv.Upload(b.X, rows*pixels)
			if _, err := view(other, nn.AdversarialRows).Iterate(inner, loop); err != nil {
				t.Fatal(err)
			}
			call.Rows, call.X, call.Adversarial = all, loop.Adv, attacked
			if err := other.ParamGrad(call); err != nil {
				t.Fatal(err)
			}
			for i, want := range gradient(other) {
				if math.Abs(float64(got[i]-want)) > 1e-6 {
					t.Fatalf("%s, %s rows apart: gradient %d is %v, by hand %v", name, apart, i, got[i], want)
				}
			}
			plain := build()
			step(t, d, session(plain, 1), b)
			// Adversarial training that deploys the branch of adversarial rows asks for no other.
			if needs := name == "trades" || apart == nn.AdversarialRows; slices.Equal(gradient(plain), got) == needs {
				t.Errorf("%s, %s rows apart: that the auxiliary branch makes a difference should be %v", name, apart, needs)
			}
		}
	}
}
