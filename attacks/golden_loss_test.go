package attacks

import (
	"math"
	"strconv"
	"testing"

	"rampart/nn/device"
)

// TestGoldenLosses compares the losses that attacks ascend, and their gradients, with those that
// testdata/golden_losses.py recorded.
func TestGoldenLosses(t *testing.T) {
	var golden map[string]struct {
		Logits          [][]float32
		Labels, Targets []int32
		Losses          map[string]struct {
			Value []float64
			Grad  [][]float64
		}
	}
	ReadGolden(t, "golden_losses", &golden)
	compared := 0
	for text, g := range golden {
		k, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		n := len(g.Labels)
		for name, loss := range map[string]string{"cross_entropy": "cross_entropy", "margin": "margin", "logit_difference": "logit_difference",
			"dlr": "dlr", "dlr_pyautoattack": "dlr", "dlr_targeted": "targeted_dlr", "dlr_targeted_pyautoattack": "targeted_dlr",
			"cross_entropy_targeted": "cross_entropy"} {
			want, ok := g.Losses[name]
			if !ok {
				continue
			}
			var targets []int32
			if loss == "logit_difference" || loss == "targeted_dlr" || name == "cross_entropy_targeted" {
				targets = g.Targets
			}
			goal, err := newObjective(loss, g.Labels, targets, k)
			if err != nil {
				t.Fatal(err)
			}
			b := device.Block{Rows: n, Classes: k, Logits: flat(g.Logits), Labels: goal.labels, Soft: goal.soft, Value: make([]float32, n), Grad: make([]float32, n*k)}
			goal.loss.Rows(&b)
			for r := range n {
				if off := math.Abs(float64(b.Value[r]) - want.Value[r]); off > 1e-6*(1+math.Abs(want.Value[r])) {
					t.Errorf("%s of %d classes, row %d: %v, want %v", name, k, r, b.Value[r], want.Value[r])
				}
				scale := 0.0
				for _, v := range want.Grad[r] {
					scale = max(scale, math.Abs(v))
				}
				for j, v := range want.Grad[r] {
					if off := math.Abs(float64(b.Grad[r*k+j]) - v); off > 1e-6*scale+1e-7 {
						t.Errorf("%s of %d classes, row %d: gradient %v, want %v", name, k, r, b.Grad[r*k:][:k], want.Grad[r])
						break
					}
				}
				compared++
			}
		}
	}
	if compared < 400 {
		t.Errorf("only %d rows compared", compared)
	}
}
