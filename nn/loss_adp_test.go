package nn_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// TestADPGolden compares the loss with PyTorch's, value and gradient; see testdata/golden_adp.py.
func TestADPGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/adp.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Members, Classes int
		Alpha, Beta      float32
		Labels           []int32
		Logits, Gradient [][]float64
		Value            []float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 6 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		width := c.Members * c.Classes
		b := &device.Block{Rows: len(c.Labels), Classes: width, Labels: c.Labels, Value: make([]float32, len(c.Labels)), Grad: make([]float32, len(c.Labels)*width)}
		for _, row := range c.Logits {
			for _, v := range row {
				b.Logits = append(b.Logits, float32(v))
			}
		}
		nn.ADP{Members: c.Members, Alpha: c.Alpha, Beta: c.Beta}.Rows(b)
		for i := range c.Labels {
			if got, want := float64(b.Value[i]), c.Value[i]; math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%d members, %d classes, row %d: value %v, want %v", c.Members, c.Classes, i, got, want)
			}
			for j, want := range c.Gradient[i] {
				if got := float64(b.Grad[i*width+j]); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
					t.Errorf("%d members, %d classes, row %d: gradient %d is %v, want %v", c.Members, c.Classes, i, j, got, want)
				}
			}
		}
	}
}

// TestADPIsFinite: members that agree, and that are as sure as float32 allows, give finite numbers.
func TestADPIsFinite(t *testing.T) {
	for _, z := range [][]float32{{0, 0, 0, 0, 0, 0}, {90, 0, -90, 90, 0, -90}, {0, 500, 0, 500, 0, 0}, {-1e4, 1e4, 0, 1e4, 0, 0}} {
		b := &device.Block{Rows: 1, Classes: 6, Labels: []int32{0}, Logits: z, Value: make([]float32, 1), Grad: make([]float32, 6)}
		nn.ADP{Members: 2, Alpha: 2, Beta: 0.5}.Rows(b)
		for _, v := range append(b.Grad, b.Value[0]) {
			if d := float64(v); math.IsNaN(d) || math.IsInf(d, 0) {
				t.Errorf("logits %v: value %v, gradient %v", z, b.Value, b.Grad)
			}
		}
	}
}
