package transform

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/nn"
	"rampart/nn/registry"
)

// golden is a case of testdata/golden.py.
type golden struct {
	Name    string
	H, W, C int
	X       []float32 // in bytes
	Options json.RawMessage
	Want    []float64
	Box     [4]int // of random_resize_pad: top, left, height, width
	Keep    []bool // of total_variation
}

func goldens(t *testing.T) (list []golden) {
	t.Helper()
	f, err := os.Open("testdata/golden.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&list)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list {
		for i := range g.X {
			g.X[i] /= 255
		}
	}
	return list
}

// limits are the largest and the mean difference that is allowed. Median and bit depth are exact.
// Two JPEG codecs share tables and subsampling but neither the transform's rounding nor the way back
// from 4:2:0: a coefficient may fall on the other side of a half, and Pillow's decoder interpolates colour, Go's repeats it.
var limits = map[string]struct{ most, mean float64 }{
	"median": {0, 0}, "bit_depth": {0, 0}, "gaussian": {1e-6, 1e-6}, "random_resize_pad": {1e-6, 1e-6},
	"total_variation": {1e-4, 2e-5}, "jpeg": {4.5 / 255, 0.3 / 255}, "jpeg in colour": {25. / 255, 6. / 255},
}

// TestGolden compares with scipy, NumPy, PyTorch, Pillow, and a total variation solved otherwise.
func TestGolden(t *testing.T) {
	seen := map[string]int{}
	for _, g := range goldens(t) {
		tr, err := registry.New[Transform](g.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(g.Options, tr); err != nil {
			t.Fatal(err)
		}
		v := &View{In: nn.Shape{H: g.H, W: g.W, C: g.C}, X: g.X}
		switch tr := tr.(type) {
		case *RandomResizePad:
			tr.place(v.In, box{g.Box[0], g.Box[1], g.Box[2], g.Box[3]}, v.X)
		case *TotalVariation:
			x := make([]float64, len(v.X))
			for i, p := range v.X {
				x[i] = float64(p)
			}
			for i, p := range leastVariation(x, g.Keep, v.In, tr.Weight, 3000) {
				v.X[i] = float32(p)
			}
		default:
			tr.Forward(v)
		}
		name := g.Name
		if name == "jpeg" && g.C == 3 {
			name += " in colour"
		}
		seen[name]++
		most, mean := 0.0, 0.0
		for i, w := range g.Want {
			d := math.Abs(float64(v.X[i]) - float64(float32(w)))
			most, mean = max(most, d), mean+d/float64(len(g.Want))
		}
		t.Logf("%s %s: differs by %.2g, %.2g on average", name, g.Options, most, mean)
		if limit := limits[name]; most > limit.most || mean > limit.mean {
			t.Errorf("%s %s, %v: differs by %.3g, %.3g on average", name, g.Options, v.In, most, mean)
		}
	}
	if len(seen) != len(limits) {
		t.Errorf("cases: %v", seen)
	}
}
