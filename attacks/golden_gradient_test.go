package attacks_test

import (
	"math"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn/kernel"
)

// near compares images with golden ones, by example.
func near(t *testing.T, what string, got []float32, want [][]float64, tolerance float64) {
	t.Helper()
	worst := 0.0
	for r, row := range want {
		for i, v := range row {
			worst = max(worst, math.Abs(float64(got[r*len(row)+i])-v))
		}
	}
	if worst > tolerance || len(want) == 0 {
		t.Errorf("%s: off by %.2g", what, worst)
	}
}

// TestGoldenGradient compares deterministic attacks with torchattacks and foolbox, step by step.
func TestGoldenGradient(t *testing.T) {
	var file struct {
		Labels, Targets []int32
		Steps           map[string][][][]float64
	}
	attacks.ReadGolden(t, "golden_gradient", &file)
	m, d := attacks.OracleNetwork(t, "small", 4), attacks.OracleData(t, "small", file.Labels)
	bound := func(norm attacks.Norm, eps configs.Number) attacks.Bound {
		return attacks.Bound{Norm: norm, Epsilon: eps}
	}
	for name, attack := range map[string]func(k int) attacks.Attack{
		"mi-fgsm linf": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.Linf, 0.1), Runs: 1, Steps: k, StepSize: 0.025, Decay: 1, Normalise: attacks.L1, Loss: "cross_entropy"}
		},
		"mi-fgsm linf targeted": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.Linf, 0.1), Runs: 1, Steps: k, StepSize: 0.025, Decay: 0.7, Normalise: attacks.L1, Loss: "cross_entropy", Target: "next"}
		},
		"mi-fgsm l2": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.L2, 0.6), Runs: 1, Steps: k, StepSize: 0.15, Decay: 1, Normalise: attacks.L2, Loss: "cross_entropy"}
		},
		"pgd linf targeted": func(k int) attacks.Attack {
			return &attacks.PGD{Bound: bound(attacks.Linf, 0.1), StepSize: 0.03, Steps: k, Runs: 1, Loss: "cross_entropy", Target: "next"}
		},
		"pgd l2 targeted": func(k int) attacks.Attack {
			return &attacks.PGD{Bound: bound(attacks.L2, 0.6), StepSize: 0.25, Steps: k, Runs: 1, Loss: "cross_entropy", Target: "next"}
		},
		// A quantile of .9 of 72 entries keeps 8 of them.
		"pgd l1 sparse": func(k int) attacks.Attack {
			return &attacks.PGD{Bound: bound(attacks.L1, 3), Sparse: attacks.Sparse{Sparsity: 8. / 72}, StepSize: 0.8, Steps: k, Runs: 1, Loss: "cross_entropy"}
		},
		"deepfool l2": func(k int) attacks.Attack {
			return &attacks.DeepFool{Bound: bound(attacks.L2, 8), Steps: k, Overshoot: 0.02, Candidates: 10}
		},
		"deepfool linf": func(k int) attacks.Attack {
			return &attacks.DeepFool{Bound: bound(attacks.Linf, 1), Steps: k, Overshoot: 0.02, Candidates: 4}
		},
	} {
		want := file.Steps[name]
		if len(want) == 0 {
			t.Errorf("%s: nothing to compare with", name)
		}
		for k := range want {
			near(t, name, run(t, m, attack(k+1), d).Adv, want[k], 1e-5)
		}
	}
}

// TestGoldenProjectL1 compares the projection onto ball and box with pyautoattack's.
func TestGoldenProjectL1(t *testing.T) {
	var file struct {
		L1 []struct {
			Eps         float64
			X, Y, Delta []float64
		} `json:"l1 box"`
	}
	attacks.ReadGolden(t, "golden_projections", &file)
	if len(file.L1) < 30 {
		t.Errorf("only %d cases", len(file.L1))
	}
	for k, c := range file.L1 {
		x, adv, want := make([]float32, len(c.X)), make([]float32, len(c.X)), make([]float64, len(c.X))
		for i := range x {
			x[i], adv[i] = float32(c.X[i]), float32(c.X[i]+c.Y[i])
			want[i] = c.X[i] + c.Delta[i]
		}
		kernel.ProjectL1(adv, x, float32(c.Eps))
		near(t, "projection", adv, [][]float64{want}, 1e-6)
		if t.Failed() {
			t.Fatalf("case %d", k)
		}
	}
}
