package nn_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/nn"
)

// TestCrownLikePyTorch compares bounds, loss and gradient with testdata/crown.json, which golden_crown.py
// wrote with PyTorch in float64. Ours are bounds, so they may only be the larger ones.
func TestCrownLikePyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/crown.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct {
		Eps, Beta, Scale   float64
		Labels             []int32
		Images             []float32
		Weights, Gradients [][]float32
		Interval, Crown    []float64
		Loss               float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]nn.Spec{
		"conv": layers(nn.Shape{H: 6, W: 6, C: 2}, 4, nn.Layer{Type: "conv", Out: 4, Kernel: 3, Stride: 2, Padding: "1"}, nn.Layer{Type: "relu"},
			nn.Layer{Type: "conv", Out: 3, Kernel: 2}, nn.Layer{Type: "relu"}, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: 8}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
		"dense": layers(nn.Shape{H: 4, W: 4, C: 1}, 3, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: 10}, nn.Layer{Type: "relu"},
			nn.Layer{Type: "dense", Out: 10}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
	} {
		c, n := cases[name], len(cases[name].Labels)
		if n == 0 {
			t.Fatalf("no case %s", name)
		}
		m := build(t, spec, n)
		list := m.Weights()
		for i := range list {
			copy(list[i].Data, c.Weights[i])
		}
		set(t, m, list)
		crown := newCrown(t, m, n)
		interval, linear, err := crown.UpperBounds(c.Images, c.Labels, c.Eps)
		if err != nil {
			t.Fatal(err)
		}
		for what, both := range map[string][2][]float64{"interval": {interval, c.Interval}, "linear": {linear, c.Crown}} {
			for r, want := range both[1] {
				if d := both[0][r] - want; d < 0 || d > 5e-4*(1+math.Abs(want)) {
					t.Errorf("%s: %s bound %d is %v, PyTorch's %v", name, what, r, both[0][r], want)
				}
			}
		}
		loss, grad := crownGradient(t, m, crown, c.Images, c.Labels, c.Eps, c.Beta, c.Scale)
		if math.Abs(loss-c.Loss) > 1e-4*(1+c.Loss) {
			t.Errorf("%s: loss %v, PyTorch's is %v", name, loss, c.Loss)
		}
		for i, g := range grad {
			top := 0.0
			for _, w := range c.Gradients[i] {
				top = max(top, math.Abs(float64(w)))
			}
			for j, want := range c.Gradients[i] {
				if d := math.Abs(float64(g.Data[j] - want)); d > 1e-3*top+1e-5 {
					t.Errorf("%s: gradient of %s[%d] is %v, PyTorch's %v", name, g.Name, j, g.Data[j], want)
				}
			}
		}
	}
}
