package attacks

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// readGolden reads a file that a script of the same name in testdata wrote.
func readGolden(t *testing.T, name string, to any) {
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
	if err := json.NewDecoder(z).Decode(to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// oracleNetwork is a network of testdata/oracle.py.
func oracleNetwork(t *testing.T, name string, rows int) *nn.Model {
	t.Helper()
	shape, ok := map[string]struct {
		side, hidden, classes int
		scale                 float64 // of the first layer's weights
	}{"small": {6, 12, 4, 0.4}, "wide": {6, 24, 10, 0.4}, "square": {17, 16, 4, 0.1}}[name]
	if !ok {
		t.Fatalf("no network %q", name)
	}
	const channels = 2
	size := shape.side * shape.side * channels
	m, err := nn.Build(nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{shape.hidden}}, Input: nn.Shape{H: shape.side, W: shape.side, C: channels},
		Classes: shape.classes}, cpu.New(2), rows, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	weight := func(name string, rows, columns int, phase, scale float64, shape ...int) nn.Weight {
		w := nn.Weight{Name: name, Shape: shape}
		for o := range rows {
			for i := range columns {
				w.Data = append(w.Data, float32(scale*math.Sin(phase+1.7*float64(o)+0.9*float64(i)+0.13*float64(o)*float64(i))))
			}
		}
		return w
	}
	if err := m.SetWeights([]nn.Weight{
		weight("fc1.weight", shape.hidden, size, 0.35, shape.scale, shape.hidden, size), weight("fc1.bias", 1, shape.hidden, 0.5, 0.1, shape.hidden),
		weight("fc2.weight", shape.classes, shape.hidden, 0.7, 0.6, shape.classes, shape.hidden), weight("fc2.bias", 1, shape.classes, 0.9, 0.1, shape.classes),
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// oracleImages are images of testdata/oracle.py.
func oracleImages(size int, index []int) (x []float32) {
	for _, n := range index {
		for j := range size {
			x = append(x, float32((37*n+53*j+7*n*j)%256)/255)
		}
	}
	return x
}

// watched notes the images that it is asked about.
type watched struct {
	*nn.Model
	asked [][]float32
}

func (w *watched) note(c *device.Call) {
	x := make([]float32, c.Rows*w.Input().Size())
	c.X.Download(x, 0)
	w.asked = append(w.asked, x)
}

func (w *watched) Logits(c *device.Call) error {
	w.note(c)
	return w.Model.Logits(c)
}

func (w *watched) InputGrad(c *device.Call) error {
	w.note(c)
	return w.Model.InputGrad(c)
}

// farthest is the largest difference of two lists.
func farthest(a, b []float32) (worst float64) {
	for i, v := range a {
		worst = max(worst, math.Abs(float64(v)-float64(b[i])))
	}
	return worst
}
