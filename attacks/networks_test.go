package attacks_test

import (
	"math"
	"path/filepath"
	"testing"

	"rampart/attacks"
	"rampart/checkpoints"
)

// TestNetworks loads the networks that others trained (testdata/networks/NOTICE.md) and compares
// their logits with PyTorch's.
func TestNetworks(t *testing.T) {
	const folder = "testdata/networks"
	var golden struct {
		Pixels [][]byteValue
		Labels []int
		Logits map[string][][]float64
	}
	attacks.ReadGolden(t, "networks/logits", &golden)
	files, err := filepath.Glob(filepath.Join(folder, "*.safetensors"))
	if err != nil || len(files) != 3 || len(golden.Logits) != 3 {
		t.Fatalf("%d networks and logits of %d, want 3 of each; error %v", len(files), len(golden.Logits), err)
	}
	var x []float32
	for _, image := range golden.Pixels {
		for _, v := range image {
			x = append(x, float32(v)/255)
		}
	}
	for _, path := range files {
		n, err := checkpoints.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		want, k, right := golden.Logits[filepath.Base(path)], n.Model.Classes(), 0
		got := logitsOf(t, n.Model, x)
		if len(want) != len(golden.Pixels) || len(want) == 0 {
			t.Fatalf("%s: logits of %d images", path, len(want))
		}
		for i, row := range want {
			best := 0
			for j, v := range row {
				if d := math.Abs(float64(got[i*k+j]) - v); d > 1e-5*max(1, math.Abs(v)) {
					t.Errorf("%s, image %d: logit %d is %v, PyTorch's is %v", path, i, j, got[i*k+j], v)
				}
				if got[i*k+j] > got[i*k+best] {
					best = j
				}
			}
			if best == golden.Labels[i] {
				right++
			}
		}
		if right < len(want)-2 {
			t.Errorf("%s: %d of %d right", path, right, len(want))
		}
	}
}

// byteValue is a pixel: a []byte would be read as base64.
type byteValue byte
