package attacks_test

import (
	"math"
	"testing"

	"rampart/attacks"
)

// TestOracleNetworks compares the networks and images with Python's, by what the golden files say
// of them.
func TestOracleNetworks(t *testing.T) {
	var apgd struct {
		Labels map[string][]int32
		Runs   map[string]struct {
			Network string
			Phases  []struct {
				X    [][][]float32
				Loss [][]float64
			}
		}
	}
	attacks.ReadGolden(t, "golden_apgd", &apgd)
	if len(apgd.Runs) != 10 {
		t.Fatalf("%d runs", len(apgd.Runs))
	}
	for name, run := range apgd.Runs {
		if name[:2] != "ce" {
			continue
		}
		m, labels := attacks.OracleNetwork(t, run.Network, 4), apgd.Labels[run.Network]
		for i, images := range run.Phases[0].X {
			for n, x := range images {
				z := logitsOf(t, m, x)
				if got, want := crossEntropy(z, int(labels[n])), run.Phases[0].Loss[i][n]; math.Abs(got-want) > 1e-5*max(1, want) {
					t.Errorf("%s, iteration %d, example %d: loss %v, PyTorch's is %v", name, i, n, got, want)
				}
			}
		}
	}
	var square struct {
		Labels []int32
		Runs   map[string]struct {
			Examples []struct {
				X      []float32 `json:"start x"`
				Margin float64   `json:"start margin"`
				FinalX []float32 `json:"final x"`
				Final  float64   `json:"final margin"`
			}
		}
	}
	attacks.ReadGolden(t, "golden_square", &square)
	m := attacks.OracleNetwork(t, "square", 4)
	for norm, run := range square.Runs {
		for n, e := range run.Examples {
			y := int(square.Labels[n])
			for x, want := range map[*[]float32]float64{&e.X: e.Margin, &e.FinalX: e.Final} {
				z := logitsOf(t, m, *x)
				other := math.Inf(-1)
				for j, v := range z {
					if j != y {
						other = max(other, float64(v))
					}
				}
				if got := float64(z[y]) - other; math.Abs(got-want) > 1e-5 {
					t.Errorf("%s, example %d: margin %v, PyTorch's is %v", norm, n, got, want)
				}
			}
		}
	}
	d := attacks.OracleData(t, "small", apgd.Labels["small"])
	z := logitsOf(t, attacks.OracleNetwork(t, "small", 4), imagesOf(d))
	for n, y := range apgd.Labels["small"] {
		for j := range 4 {
			if j != int(y) && z[n*4+j] >= z[n*4+int(y)] {
				t.Errorf("image %d is of class %d, PyTorch says %d", n, j, y)
			}
		}
	}
}
