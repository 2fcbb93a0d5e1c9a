package nn

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"rampart/nn/device"
)

// TestMixedLabelsLikePyTorch compares the losses of mixed examples with testdata/mix.json, which
// golden_mix.py wrote with PyTorch.
func TestMixedLabelsLikePyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/mix.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Loss               string
		Smoothing          float32
		Classes            int
		Labels, Other      []int32
		Weight             []float64
		Adversarial, Clean []float32
		Value              float64
		AG                 []float64 `json:"adversarial_grad"`
		CG                 []float64 `json:"clean_grad"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 8 {
		t.Fatalf("%d cases", len(cases))
	}
	for i, c := range cases {
		what, n := fmt.Sprintf("case %d, %s", i, c.Loss), len(c.Labels)
		soft := make([]float32, n*c.Classes)
		smoothing := 0.0
		if c.Loss == "cross_entropy" {
			smoothing = float64(c.Smoothing) // lies in the target
		}
		for r, y := range c.Labels {
			target := make([]float64, c.Classes)
			target[y] += (1 - smoothing) * c.Weight[r]
			target[c.Other[r]] += (1 - smoothing) * (1 - c.Weight[r])
			for j, p := range target {
				soft[r*c.Classes+j] = float32(max(math.Log(p+smoothing/float64(c.Classes)), -1e30))
			}
		}
		b := tiedBlock(c.Classes, c.Labels, c.Adversarial, c.Clean, soft)
		loss := map[string]device.Loss{
			"cross_entropy": Distill{},
			"mixed":         Blend{Mixed{Adversarial: 0.25, Smoothing: c.Smoothing}},
			"trades":        Blend{TRADES{Beta: 6, Smoothing: c.Smoothing}},
			"pairing":       Blend{LogitPairing{Weight: 0.5, Smoothing: c.Smoothing}},
		}[c.Loss]
		want := slices.Concat(c.AG, c.CG)
		if c.Loss == "cross_entropy" {
			b.Rows, want = n, c.AG
		}
		loss.Rows(b)
		value, top := 0.0, 0.0
		for _, v := range b.Value[:b.Rows] {
			value += float64(v) / float64(n)
		}
		if math.Abs(value-c.Value) > 1e-6*(1+math.Abs(c.Value)) {
			t.Errorf("%s: value %v, PyTorch's is %v", what, value, c.Value)
		}
		for _, w := range want {
			top = max(top, math.Abs(w))
		}
		for j, w := range want {
			if got := float64(b.Grad[j]) / float64(n); math.Abs(got-w) > 2e-6*top {
				t.Errorf("%s: gradient[%d] is %v, PyTorch's is %v", what, j, got, w)
				break
			}
		}
	}
}
