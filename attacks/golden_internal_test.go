package attacks

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// What is exported here serves the tests of package attacks_test, too.

// ReadGolden reads a file that a script of the same name in testdata wrote, such as "golden_apgd".
func ReadGolden(t testing.TB, name string, into any) {
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

// oracles are the networks of testdata/oracle.py: flatten, dense, ReLU, dense.
var oracles = map[string]struct {
	side, hidden, classes int
	scale                 float64 // of the first layer's weights
}{"small": {6, 12, 4, 0.4}, "wide": {6, 24, 10, 0.4}, "square": {17, 16, 4, 0.1}}

const oracleChannels = 2

// OracleNetwork is a network of testdata/oracle.py.
func OracleNetwork(t testing.TB, name string, rows int) *nn.Model {
	t.Helper()
	o, ok := oracles[name]
	if !ok {
		t.Fatalf("no network %q", name)
	}
	m, err := nn.Build(nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{o.hidden}}, Input: nn.Shape{H: o.side, W: o.side, C: oracleChannels},
		Classes: o.classes}, cpu.New(2), rows, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	weight := func(name string, rows, columns int, phase, scale float64, shape ...int) nn.Weight {
		w := nn.Weight{Name: name, Shape: shape}
		for r := range rows {
			for c := range columns {
				w.Data = append(w.Data, float32(scale*math.Sin(phase+1.7*float64(r)+0.9*float64(c)+0.13*float64(r)*float64(c))))
			}
		}
		return w
	}
	size := m.Input().Size()
	if err := m.SetWeights([]nn.Weight{
		weight("fc1.weight", o.hidden, size, 0.35, o.scale, o.hidden, size), weight("fc1.bias", 1, o.hidden, 0.5, 0.1, o.hidden),
		weight("fc2.weight", o.classes, o.hidden, 0.7, 0.6, o.classes, o.hidden), weight("fc2.bias", 1, o.classes, 0.9, 0.1, o.classes),
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// OracleData are the first images of testdata/oracle.py with their labels.
func OracleData(t testing.TB, name string, labels []int32) *data.Dataset {
	t.Helper()
	o := oracles[name]
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
