package attacks_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/kernel"
	"rampart/nn/rng"
)

// golden reads testdata/golden_NAME.json.gz, which the script of the same name wrote.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	f, err := os.Open("testdata/golden_" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// goldenSmall is the network "small" of testdata/oracle.py and its first n images.
func goldenSmall(t *testing.T, rows int, labels []int32) (*nn.Model, *data.Dataset) {
	t.Helper()
	const h, w, c, hidden, outputs = 6, 6, 2, 12, 4
	weight := func(name string, rows, columns int, phase, scale float64, shape ...int) nn.Weight {
		v := nn.Weight{Name: name, Shape: shape}
		for o := range rows {
			for i := range columns {
				v.Data = append(v.Data, float32(scale*math.Sin(phase+1.7*float64(o)+0.9*float64(i)+0.13*float64(o)*float64(i))))
			}
		}
		return v
	}
	s := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{hidden}}, Input: nn.Shape{H: h, W: w, C: c}, Classes: outputs}
	m, err := nn.Build(s, cpu.New(2), rows, rng.New(5, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetWeights([]nn.Weight{
		weight("fc1.weight", hidden, h*w*c, 0.35, 0.4, hidden, h*w*c), weight("fc1.bias", 1, hidden, 0.5, 0.1, hidden),
		weight("fc2.weight", outputs, hidden, 0.7, 0.6, outputs, hidden), weight("fc2.bias", 1, outputs, 0.9, 0.1, outputs),
	}); err != nil {
		t.Fatal(err)
	}
	images := make([]byte, len(labels)*h*w*c)
	for i := range images {
		n, j := i/(h*w*c), i%(h*w*c)
		images[i] = byte(37*n + 53*j + 7*n*j)
	}
	d, err := data.NewDataset("formula", h, w, c, []string{"a", "b", "c", "d"}, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

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
	golden(t, "gradient", &file)
	m, d := goldenSmall(t, 4, file.Labels)
	bound := func(norm attacks.Norm, eps configs.Number) attacks.Bound {
		return attacks.Bound{Norm: norm, Epsilon: eps}
	}
	for name, attack := range map[string]func(k int) attacks.Attack{
		"mi-fgsm linf": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.Linf, 0.1), Steps: k, StepSize: 0.025, Decay: 1, Normalise: attacks.L1, Loss: "cross_entropy"}
		},
		"mi-fgsm linf targeted": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.Linf, 0.1), Steps: k, StepSize: 0.025, Decay: 0.7, Normalise: attacks.L1, Loss: "cross_entropy", Target: "next"}
		},
		"mi-fgsm l2": func(k int) attacks.Attack {
			return &attacks.MIFGSM{Bound: bound(attacks.L2, 0.6), Steps: k, StepSize: 0.15, Decay: 1, Normalise: attacks.L2, Loss: "cross_entropy"}
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
	golden(t, "projections", &file)
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
