package onnx

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	return onImages(t, f, func(n *checkpoints.Network, c *device.Call) (device.Tensor, error) {
		c.Logits = n.Model.New(c.Rows * n.Model.Classes())
		return c.Logits, n.Deployed.Logits(c)
	})
}

// gradientOf is that of cross-entropy, as attacks on a deployed network get it, for those images.
func gradientOf(t testing.TB, f *checkpoints.File) []float64 {
	t.Helper()
	return onImages(t, f, func(n *checkpoints.Network, c *device.Call) (device.Tensor, error) {
		c.Labels, c.Loss, c.Scale, c.InputGrad = []int32{0, 1, 2}, nn.CrossEntropy{}, 1, n.Model.New(c.X.Len())
		return c.InputGrad, n.Deployed.InputGrad(c)
	})
}

// onImages is what a network computes for three random images.
func onImages(t testing.TB, f *checkpoints.File, run func(n *checkpoints.Network, c *device.Call) (device.Tensor, error)) []float64 {
	t.Helper()
	const rows = 3
	n, err := f.Network(cpu.New(1), rows)
	if err != nil {
		t.Fatal(err)
	}
	size := n.Model.Input().Size()
	c := &device.Call{Rows: rows, X: n.Model.New(rows * size)}
	c.X.Upload(images(rows*size), 0)
	out, err := run(n, c)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, out.Len())
	out.Download(values, 0)
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = float64(v)
	}
	return list
}

func images(n int) []float32 {
	x := make([]float32, n)
	rng.New(3, "images").Uniform(x, 0, 1, 0, 0, 0)
	return x
}

// TestRoundTrip exports every network of the executors' suite and every registered architecture, reads
// the file again, and gets the same logits; of ensembles, also the gradient that attacks get.
func TestRoundTrip(t *testing.T) {
	for _, network := range networks(t) {
		t.Run(network.Name, func(t *testing.T) {
			f := exported(t, network.Spec)
			back := throughFile(t, f)
			if !back.Named || back.File.Meta.Model.Classes[1] != "xx" {
				t.Errorf("classes %q", back.File.Meta.Model.Classes)
			}
			near(t, "logits", logitsOf(t, back.File), logitsOf(t, f))
			if len(network.Spec.Members) > 0 {
				near(t, "gradient", gradientOf(t, back.File), gradientOf(t, f))
			}
			voted := slices.ContainsFunc(back.Notes, func(s string) bool { return strings.Contains(s, "votes have no gradient") })
			if want := strings.Contains(network.Name, "vote"); voted != want {
				t.Errorf("notes %q", back.Notes)
			}
		})
	}
}

// throughFile exports a network and reads it again.
func throughFile(t testing.TB, f *checkpoints.File) *Network {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := Export(path, f); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path, Options{Input: f.Meta.Model.Spec.Input})
	if err != nil {
		t.Fatal(err)
	}
	return back
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

// TestEnsemblesOfOthers: what looks like an ensemble's combination and is none is refused by its first node
// that has no form here.
func TestEnsemblesOfOthers(t *testing.T) {
	constant := func(value float32) func(g *graphProto) { // of one number: another by a tenth
		return func(g *graphProto) {
			for i, p := range g.initializers {
				if p.dataType == typeFloat && len(p.raw) == 4 && math.Float32frombits(binary.LittleEndian.Uint32(p.raw)) == value {
					other := *p
					other.raw, other.floats = nil, []float32{1.1 * value}
					g.initializers[i] = &other
					return
				}
			}
			t.Fatalf("no constant %v", value)
		}
	}
	attribute := func(op, name string, value int64) func(g *graphProto) {
		return func(g *graphProto) {
			i := slices.IndexFunc(g.nodes, func(n *nodeProto) bool { return n.op == op })
			g.nodes[i].attributes = append([]attributeProto{{name: name, kind: attributeInt, i: value}}, g.nodes[i].attributes...)
		}
	}
	for _, test := range []struct {
		combine nn.Combine
		change  func(g *graphProto)
		want    string
	}{
		{nn.MajorityVote, constant(3), "(ArgMax): the operation is not supported: it has no gradient to attack through"},
		{nn.MajorityVote, constant(0.5), "(ArgMax): the operation is not supported"},
		{nn.MajorityVote, constant(device.VoteFloor), "(ArgMax): the operation is not supported"},
		{nn.MajorityVote, attribute("ArgMax", "select_last_index", 1), "(ArgMax): the operation is not supported"},
		{nn.MajorityVote, attribute("OneHot", "axis", 0), "(ArgMax): the operation is not supported"},
		{nn.MeanProbability, constant(float32(math.Log(2))), "(Unsqueeze): "},
		{nn.MeanProbability, attribute("Concat", "axis", 1), "(Unsqueeze): "},
	} {
		one := backendtest.Networks()[0].Spec
		f := exported(t, nn.Spec{Input: one.Input, Classes: one.Classes, Members: []nn.Spec{one, one}, Combine: test.combine})
		content, err := encode(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := decodeModel(content)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.network(content, nil, Options{}); err != nil {
			t.Fatalf("%s: %v", test.combine, err)
		}
		if m, err = decodeModel(content); err != nil {
			t.Fatal(err)
		}
		test.change(&m.graph)
		if _, err := m.network(content, nil, Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.combine, err, test.want)
		}
	}
}

// chainOf makes a chain of transformations by name, the first with other options than its default.
func chainOf(t testing.TB, names ...string) (c transform.Chain) {
	t.Helper()
	for _, name := range names {
		v, err := registry.New[transform.Transform](name)
		if err != nil {
			t.Fatal(err)
		}
		switch v := v.(type) {
		case *transform.BitDepth:
			v.Bits = 3
		case *transform.Gaussian:
			v.Sigma = 0.7
		}
		c = append(c, configs.Choice[transform.Transform]{Name: name, Value: v})
	}
	return c
}

// TestTransforms: chains of what has a form in ONNX are read again as they stood before the network, with the
// same logits and gradients; what has none is refused.
func TestTransforms(t *testing.T) {
	spec := backendtest.Networks()[1].Spec
	colour := spec
	colour.Input.C, colour.Mean, colour.Std = 3, []float32{0.5, 0.4, 0.3}, []float32{0.2, 0.25, 0.3}
	for _, names := range [][]string{{"bit_depth"}, {"gaussian"}, {"gaussian", "bit_depth"}, {"bit_depth", "gaussian", "bit_depth"}} {
		for _, spec := range []nn.Spec{spec, colour} {
			t.Run(fmt.Sprint(spec.Input, names), func(t *testing.T) {
				f := exported(t, spec)
				f.Meta.Transforms = chainOf(t, names...)
				back := throughFile(t, f)
				if got, want := back.File.Meta.Transforms.Label(), f.Meta.Transforms.Label(); got != want {
					t.Fatalf("transformations %q, want %q", got, want)
				}
				if !slices.Equal(back.File.Meta.Model.Spec.Mean, spec.Mean) {
					t.Errorf("means %v, want %v", back.File.Meta.Model.Spec.Mean, spec.Mean)
				}
				near(t, "logits", logitsOf(t, back.File), logitsOf(t, f))
				near(t, "gradient", gradientOf(t, back.File), gradientOf(t, f))
			})
		}
	}
	f := exported(t, spec)
	f.Meta.Transforms = chainOf(t, "jpeg")
	if _, err := encode(f); err == nil || !strings.Contains(err.Error(), "JPEG (quality 75), has no form in ONNX") {
		t.Errorf("error %v", err)
	}
}

// TestTransformsOfOthers: what the metadata say is believed only of what the graph does.
func TestTransformsOfOthers(t *testing.T) {
	f := exported(t, backendtest.Networks()[1].Spec)
	f.Meta.Transforms = chainOf(t, "bit_depth")
	content, err := encode(f)
	if err != nil {
		t.Fatal(err)
	}
	read := func(change func(m *modelProto)) (*Network, error) {
		m, err := decodeModel(content)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		return m.network(nil, nil, Options{Input: f.Meta.Model.Spec.Input})
	}
	metadata := func(chain transform.Chain) func(m *modelProto) {
		text, err := json.Marshal(chain)
		if err != nil {
			t.Fatal(err)
		}
		return func(m *modelProto) { m.metadata = []entryProto{{keyTransforms, string(text)}} }
	}
	// A bit depth is known without metadata, also where its levels are Constants.
	n, err := read(func(m *modelProto) {
		m.metadata = nil
		levels := m.graph.initializers[0]
		m.graph.initializers = m.graph.initializers[1:]
		constant := &nodeProto{op: "Constant", outputs: []string{levels.name}, attributes: []attributeProto{{name: "value", kind: attributeTensor, t: levels}}}
		m.graph.nodes = append([]*nodeProto{constant}, m.graph.nodes...)
	})
	if err != nil || n.File.Meta.Transforms.Label() != f.Meta.Transforms.Label() {
		t.Fatalf("without metadata: %+v, %v", n, err)
	}
	near(t, "logits", logitsOf(t, n.File), logitsOf(t, f))
	for what, change := range map[string]func(m *modelProto){
		"a filter":        metadata(chainOf(t, "gaussian")),
		"what ONNX lacks": metadata(chainOf(t, "jpeg")),
		"another divisor": func(m *modelProto) {
			other := *m.graph.initializers[0]
			other.name, other.floats, other.raw = "other", []float32{6}, nil
			m.graph.initializers = append(m.graph.initializers, &other)
			m.graph.nodes[2].inputs[1] = "other"
		},
		"the unrounded image is read, too": func(m *modelProto) {
			m.graph.outputs = append(m.graph.outputs, valueProto{name: m.graph.nodes[0].outputs[0]})
		},
	} {
		if n, err := read(change); err == nil || !strings.Contains(err.Error(), `node 2, "Round_2" (Round): the operation is not supported`) || !strings.Contains(err.Error(), "train eval -checkpoint") {
			t.Errorf("%s: %+v, error %v", what, n, err)
		}
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
