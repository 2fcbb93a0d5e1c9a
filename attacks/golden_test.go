package attacks_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
)

// TestGolden compares each step of FGSM and PGD with torchattacks, which wrote
// testdata/golden.json by golden_torchattacks.py beside it.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Labels []int32
		FGSM   [][]float64 `json:"fgsm linf"`
		Linf   [][]float64 `json:"pgd linf"`
		L2     [][]float64 `json:"pgd l2"`
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	m, d := attacks.OracleNetwork(t, "small", 4), attacks.OracleData(t, "small", golden.Labels)
	clean, err := attacks.Clean(m, d)
	if err != nil {
		t.Fatal(err)
	}
	if clean.Correct(d) != d.Len() {
		t.Fatalf("predictions %v, PyTorch's are %v", clean.Prediction, golden.Labels)
	}
	bound := func(norm attacks.Norm, eps configs.Number) attacks.Bound {
		return attacks.Bound{Norm: norm, Epsilon: eps}
	}
	for _, c := range []struct {
		name   string
		attack func(steps int) attacks.Attack
		want   [][]float64
	}{
		{"FGSM", func(int) attacks.Attack {
			return &attacks.FGSM{Bound: bound(attacks.Linf, 0.1), Loss: "cross_entropy"}
		}, golden.FGSM},
		{"PGD in Linf", func(k int) attacks.Attack {
			return &attacks.PGD{Bound: bound(attacks.Linf, 0.1), StepSize: 0.03, Steps: k, Runs: 1, Loss: "cross_entropy"}
		}, golden.Linf},
		{"PGD in L2", func(k int) attacks.Attack {
			return &attacks.PGD{Bound: bound(attacks.L2, 0.6), StepSize: 0.25, Steps: k, Runs: 1, Loss: "cross_entropy"}
		}, golden.L2},
	} {
		if len(c.want) == 0 {
			t.Errorf("%s: nothing to compare with", c.name)
		}
		for k, want := range c.want {
			got := run(t, m, c.attack(k+1), d).Adv
			if len(got) != len(want) {
				t.Fatalf("%s: %d values for %d", c.name, len(want), len(got))
			}
			worst := 0.0
			for i := range want {
				worst = max(worst, math.Abs(float64(got[i])-want[i]))
			}
			if worst > 1e-5 {
				t.Errorf("%s, step %d: off by %.2g", c.name, k+1, worst)
			}
			if slices.Equal(got, imagesOf(d)) {
				t.Errorf("%s, step %d: nothing has moved", c.name, k+1)
			}
		}
	}
}
