package attacks_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/data"
	"rampart/nn"
)

// oracleShapes are the networks of testdata/oracle.py: flatten, dense, ReLU, dense.
var oracleShapes = map[string]struct {
	side, hidden, classes int
	scale                 float64 // of the first layer's weights
}{"small": {6, 12, 4, 0.4}, "wide": {6, 24, 10, 0.4}, "square": {17, 16, 4, 0.1}}

const oracleChannels = 2

// oracleNetwork is a network of testdata/oracle.py.
func oracleNetwork(t testing.TB, name string) *nn.Model {
	t.Helper()
	o := oracleShapes[name]
	weight := func(name string, rows, columns int, phase, scale float64, shape ...int) nn.Weight {
		w := nn.Weight{Name: name, Shape: shape}
		for r := range rows {
			for c := range columns {
				w.Data = append(w.Data, float32(scale*math.Sin(phase+1.7*float64(r)+0.9*float64(c)+0.13*float64(r)*float64(c))))
			}
		}
		return w
	}
	size := o.side * o.side * oracleChannels
	m := build(t, nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{o.hidden}},
		Input: nn.Shape{H: o.side, W: o.side, C: oracleChannels}, Classes: o.classes}, 2, 4)
	if err := m.SetWeights([]nn.Weight{
		weight("fc1.weight", o.hidden, size, 0.35, o.scale, o.hidden, size), weight("fc1.bias", 1, o.hidden, 0.5, 0.1, o.hidden),
		weight("fc2.weight", o.classes, o.hidden, 0.7, 0.6, o.classes, o.hidden), weight("fc2.bias", 1, o.classes, 0.9, 0.1, o.classes),
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// oracleData are the first images of testdata/oracle.py with their labels.
func oracleData(t testing.TB, name string, labels []int32) *data.Dataset {
	t.Helper()
	o := oracleShapes[name]
	size := o.side * o.side * oracleChannels
	images := make([]byte, len(labels)*size)
	for i := range images {
		n, j := i/size, i%size
		images[i] = byte(37*n + 53*j + 7*n*j)
	}
	d, err := data.NewDataset("formula", o.side, o.side, oracleChannels, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[:o.classes], images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// oracle reads a golden file, such as "golden_apgd"; the script of that name says what it holds.
func oracle(t testing.TB, name string, into any) {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

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
	oracle(t, "golden_apgd", &apgd)
	if len(apgd.Runs) != 10 {
		t.Fatalf("%d runs", len(apgd.Runs))
	}
	for name, run := range apgd.Runs {
		if name[:2] != "ce" {
			continue
		}
		m, labels := oracleNetwork(t, run.Network), apgd.Labels[run.Network]
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
	oracle(t, "golden_square", &square)
	m := oracleNetwork(t, "square")
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
	d := oracleData(t, "small", apgd.Labels["small"])
	z := logitsOf(t, oracleNetwork(t, "small"), imagesOf(d))
	for n, y := range apgd.Labels["small"] {
		for j := range 4 {
			if j != int(y) && z[n*4+j] >= z[n*4+int(y)] {
				t.Errorf("image %d is of class %d, PyTorch says %d", n, j, y)
			}
		}
	}
}
