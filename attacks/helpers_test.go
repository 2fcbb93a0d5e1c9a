package attacks_test

import (
	"math"
	"sync"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

const (
	classes = 4
	side    = 6
	pixels  = side * side
)

// bars is a data set of n images: a bright bar at the place of the class, under noise.
func bars(t testing.TB, n int, seed uint64) *data.Dataset {
	t.Helper()
	images, labels := make([]byte, n*pixels), make([]int32, n)
	s := rng.New(seed, "bars")
	for i := range n {
		labels[i] = int32(i % classes)
		u := make([]float32, pixels)
		s.Uniform(u, 0, 120, uint32(i), 0, 0)
		for j, v := range u {
			if j/side == int(labels[i])+1 {
				v += 100
			}
			images[i*pixels+j] = byte(v)
		}
	}
	d, err := data.NewDataset("bars", side, side, 1, []string{"a", "b", "c", "d"}, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func spec(hidden ...int) nn.Spec {
	return nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: hidden}, Input: nn.Shape{H: side, W: side, C: 1}, Classes: classes}
}

func build(t testing.TB, s nn.Spec, threads, rows int) *nn.Model {
	t.Helper()
	m, err := nn.Build(s, cpu.New(threads), rows, rng.New(5, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trainedWeights are those of a small network that has learnt bars.
var trainedWeights = sync.OnceValues(func() ([]nn.Weight, error) {
	m, err := nn.Build(spec(24), cpu.New(1), 40, rng.New(5, "weights"))
	if err != nil {
		return nil, err
	}
	d := bars(&testing.T{}, 400, 1)
	x, b := m.New(40*pixels), d.NewBatch(40)
	for step := range 80 {
		d.Fill(b, step%10*40)
		x.Upload(b.X, 0)
		if err := m.ParamGrad(&device.Call{Rows: 40, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1. / 40}); err != nil {
			return nil, err
		}
		if err := m.Update(device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, 0.01); err != nil {
			return nil, err
		}
	}
	return m.Weights(), nil
})

func trained(t testing.TB, threads, rows int) *nn.Model {
	t.Helper()
	w, err := trainedWeights()
	if err != nil {
		t.Fatal(err)
	}
	m := build(t, spec(24), threads, rows)
	if err := m.SetWeights(w); err != nil {
		t.Fatal(err)
	}
	return m
}

var noise = rng.New(9, "attack")

func never() error { return nil }

func run(t testing.TB, v attacks.Victim, a attacks.Attack, d *data.Dataset) *attacks.Result {
	t.Helper()
	res, err := attacks.Run(v, a, d, noise, never, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// decoded is an attack as a config would give it.
func decoded(name, options string) (attacks.Attack, error) {
	c := struct {
		Attack configs.Choice[attacks.Attack] `toml:"attack"`
	}{}
	err := configs.Decode(&configs.File{Path: "test.toml", Data: []byte("[attack]\nname = \"" + name + "\"\n" + options)}, nil, &c)
	return c.Attack.Value, err
}

func pgd(t testing.TB, change func(a *attacks.PGD)) *attacks.PGD {
	t.Helper()
	a, err := registry.New[attacks.Attack]("pgd")
	if err != nil {
		t.Fatal(err)
	}
	p := a.(*attacks.PGD)
	if change != nil {
		change(p)
	}
	return p
}

// logitsOf computes the logits of images.
func logitsOf(t testing.TB, m *nn.Model, images []float32) []float32 {
	t.Helper()
	size, k := m.Input().Size(), m.Classes()
	n := len(images) / size
	out := make([]float32, n*k)
	for start := 0; start < n; start += m.Rows() {
		rows := min(m.Rows(), n-start)
		x, z := m.New(rows*size), m.New(rows*k)
		x.Upload(images[start*size:(start+rows)*size], 0)
		if err := m.Logits(&device.Call{Rows: rows, X: x, Logits: z}); err != nil {
			t.Fatal(err)
		}
		z.Download(out[start*k:(start+rows)*k], 0)
	}
	return out
}

// crossEntropy is the loss of a row of logits.
func crossEntropy(z []float32, y int) float64 {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - float64(z[y]))
	}
	return math.Log(sum)
}

func imagesOf(d *data.Dataset) []float32 {
	x := make([]float32, d.Len()*d.Size())
	for i := range d.Len() {
		d.Image(i, x[i*d.Size():])
	}
	return x
}

// distances are Linf and L2 of a perturbation.
func distances(a, b []float32) (linf, l2 float64) {
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		linf, l2 = max(linf, d), l2+d*d
	}
	return linf, math.Sqrt(l2)
}

// count returns 0, 1, …, n-1.
func count(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func number(x float64) configs.Number { return configs.Number(x) }
