package onnx

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/configs"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/backendtest"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// exported is a network with random weights, as a checkpoint.
func exported(t testing.TB, spec nn.Spec) *checkpoints.File {
	t.Helper()
	m, err := nn.Build(spec, cpu.New(1), 1, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	f := &checkpoints.File{}
	f.Meta.Model.Spec = spec
	for i := range spec.Classes {
		f.Meta.Model.Classes = append(f.Meta.Model.Classes, strings.Repeat("x", i+1))
	}
	for i, w := range m.Weights() {
		if v := rng.New(2, "new"); strings.HasSuffix(w.Name, "running_var") {
			v.Uniform(w.Data, 0.5, 2, uint32(i), 0, 0)
		} else if len(w.Shape) == 1 {
			v.Normal(w.Data, 0.5, 0.25, uint32(i), 0, 0)
		}
		f.Tensors = append(f.Tensors, checkpoints.Tensor(w))
	}
	return f
}

// logitsOf are a deployed network's logits for a few random images.
func logitsOf(t testing.TB, f *checkpoints.File) []float64 {
	t.Helper()
	const rows = 3
	n, err := f.Network(cpu.New(1), rows)
	if err != nil {
		t.Fatal(err)
	}
	size := n.Model.Input().Size()
	c := &device.Call{Rows: rows, X: n.Model.New(rows * size), Logits: n.Model.New(rows * n.Model.Classes())}
	c.X.Upload(images(rows*size), 0)
	if err := n.Deployed.Logits(c); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, c.Logits.Len())
	c.Logits.Download(logits, 0)
	list := make([]float64, len(logits))
	for i, v := range logits {
		list[i] = float64(v)
	}
	return list
}

func images(n int) []float32 {
	x := make([]float32, n)
	rng.New(3, "images").Uniform(x, 0, 1, 0, 0, 0)
	return x
}

// oneWay are networks that are exported but not read back: their operations stand outside of the
// import's list.
var oneWay = []string{"ensemble by probability", "ensemble that votes"}

// TestRoundTrip exports every network of the executors' suite and every registered architecture, reads
// the file again, and gets the same logits.
func TestRoundTrip(t *testing.T) {
	for _, network := range networks(t) {
		t.Run(network.Name, func(t *testing.T) {
			f := exported(t, network.Spec)
			path := filepath.Join(t.TempDir(), "net.onnx")
			if err := Export(path, f); err != nil {
				t.Fatal(err)
			}
			back, err := Read(path, Options{Input: network.Spec.Input})
			for _, name := range oneWay {
				if strings.HasPrefix(network.Name, name) {
					if err == nil || !strings.Contains(err.Error(), "node ") {
						t.Errorf("error %v, want one that names the node", err)
					}
					return
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if !back.Named || back.File.Meta.Model.Classes[1] != "xx" {
				t.Errorf("classes %q", back.File.Meta.Model.Classes)
			}
			near(t, "logits", logitsOf(t, back.File), logitsOf(t, f))
		})
	}
}

// networks are those of the executors' suite, and every registered architecture beside.
func networks(t testing.TB) []backendtest.Network {
	list := backendtest.Networks()
	covered := map[string]bool{"onnx": true, "layers": true}
	for _, n := range list {
		covered[n.Spec.Arch] = true
	}
	for _, name := range registry.Names[nn.Architecture]() {
		if covered[name] {
			continue
		}
		options, err := registry.New[nn.Architecture](name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "vgg") && testing.Short() {
			continue // their 15 million weights take a while
		}
		// Narrow, where they can be: widths change nothing in the graph.
		if err := json.Unmarshal([]byte(`{"width": 4, "depth": 16}`), options); err != nil {
			t.Fatal(err)
		}
		list = append(list, backendtest.Network{Name: name, Spec: nn.Spec{Arch: name, Options: options,
			Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10, Mean: []float32{0.5, 0.4, 0.3}, Std: []float32{0.2, 0.25, 0.3}}})
	}
	return list
}

// TestTransforms: a bit depth and a filter are exported, what has no form in ONNX is refused.
func TestTransforms(t *testing.T) {
	spec := backendtest.Networks()[1].Spec
	chain := func(names ...string) (c transform.Chain) {
		for _, name := range names {
			v, err := registry.New[transform.Transform](name)
			if err != nil {
				t.Fatal(err)
			}
			c = append(c, configs.Choice[transform.Transform]{Name: name, Value: v})
		}
		return c
	}
	f := exported(t, spec)
	f.Meta.Transforms = chain("bit_depth", "gaussian")
	if _, err := encode(f); err != nil {
		t.Error(err)
	}
	f.Meta.Transforms = chain("jpeg")
	if _, err := encode(f); err == nil || !strings.Contains(err.Error(), "JPEG (quality 75), has no form in ONNX") {
		t.Errorf("error %v", err)
	}
}

// TestFilter: the matrices of a Gaussian filter make what the filter makes.
func TestFilter(t *testing.T) {
	v, err := registry.New[transform.Transform]("gaussian")
	if err != nil {
		t.Fatal(err)
	}
	in := nn.Shape{H: 5, W: 7, C: 1}
	x := images(in.Size())
	rows, columns := filter1D(v, in.H, false), filter1D(v, in.W, true)
	want := append([]float32(nil), x...)
	v.Forward(&transform.View{In: in, X: want})
	for y := range in.H {
		for c := range in.W {
			sum := 0.0
			for i := range in.H {
				for j := range in.W {
					sum += float64(rows[y*in.H+i]) * float64(x[i*in.W+j]) * float64(columns[j*in.W+c])
				}
			}
			if math.Abs(sum-float64(want[y*in.W+c])) > 1e-6 {
				t.Fatalf("at %d,%d: %v, want %v", y, c, sum, want[y*in.W+c])
			}
		}
	}
}

// TestONNXRuntime writes what testdata/check.py compares with ONNX Runtime, where ONNX_CHECK names a
// folder for it: the export of every network, with images and our logits.
func TestONNXRuntime(t *testing.T) {
	dir := os.Getenv("ONNX_CHECK")
	if dir == "" {
		t.Skip("ONNX_CHECK names no folder: testdata/check.py does")
	}
	list := networks(t)
	for _, deployed := range []string{"bit_depth", "gaussian"} {
		list = append(list, backendtest.Network{Name: deployed, Spec: list[1].Spec})
	}
	for _, network := range list {
		f := exported(t, network.Spec)
		if v, err := registry.New[transform.Transform](network.Name); err == nil {
			f.Meta.Transforms = transform.Chain{{Name: network.Name, Value: v}}
		}
		name := strings.Map(func(r rune) rune {
			if strings.ContainsRune(" ,:/", r) {
				return '_'
			}
			return r
		}, network.Name)
		if err := Export(filepath.Join(dir, name+".onnx"), f); err != nil {
			t.Errorf("%s: %v", network.Name, err)
			continue
		}
		in := network.Spec.Input
		x, z := images(3*in.Size()), []float32{}
		for _, v := range logitsOf(t, f) {
			z = append(z, float32(v))
		}
		if err := checkpoints.WriteTensors(filepath.Join(dir, name+".safetensors"), []checkpoints.Tensor{
			{Name: "images", Shape: []int{3, in.H, in.W, in.C}, Data: x},
			{Name: "logits", Shape: []int{3, network.Spec.Classes}, Data: z}}, nil); err != nil {
			t.Fatal(err)
		}
	}
}
