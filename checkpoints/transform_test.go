package checkpoints

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/configs"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// TestTransforms: a checkpoint keeps its chain, and predictions go through it.
func TestTransforms(t *testing.T) {
	spec := layersSpec()
	spec.Input = nn.Shape{H: 16, W: 16, C: 3}
	m, err := nn.Build(spec, cpu.New(1), 2, rng.New(3, "test"))
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, spec.Input.Size())
	rng.New(1, "x").Uniform(x, 0, 1, 0, 0, 0)
	for _, name := range registry.Names[transform.Transform]() {
		link, err := configs.Choose[transform.Transform](name)
		if err != nil {
			t.Fatal(err)
		}
		chain := transform.Chain{link}
		path := filepath.Join(t.TempDir(), "net.safetensors")
		if err := Save(path, m, Meta{Model: Model{Classes: classes(spec.Classes)}, Seed: 3, Transforms: chain}); err != nil {
			t.Fatal(err)
		}
		n, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(n.Meta.Transforms, chain) {
			t.Errorf("%s: read as %v", name, n.Meta.Transforms)
		}
		logits := func(asked uint64) []float32 {
			in, out, z := m.New(len(x)), m.New(spec.Classes), make([]float32, spec.Classes)
			in.Upload(x, 0)
			if err := transform.Behind(m, chain, 3).Logits(&device.Call{Rows: 1, X: in, Logits: out, Noise: asked}); err != nil {
				t.Fatal(err)
			}
			out.Download(z, 0)
			return z
		}
		for asked := range uint64(2) {
			p, err := n.PredictPixels(x)
			if err != nil {
				t.Fatal(err)
			}
			z := logits(asked)
			if want := softmax(z, slices.Max(z)); !slices.Equal(p.Probabilities, want) {
				t.Errorf("%s, question %d: %v, want %v", name, asked, p.Probabilities, want)
			}
		}
	}
	// A chain that the images do not allow is an error of the checkpoint.
	spec.Input = nn.Shape{H: 4, W: 6, C: 3}
	if m, err = nn.Build(spec, cpu.New(1), 2, rng.New(3, "test")); err != nil {
		t.Fatal(err)
	}
	link, err := configs.Choose[transform.Transform]("random_resize_pad")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := Save(path, m, Meta{Model: Model{Classes: classes(spec.Classes)}, Transforms: transform.Chain{link}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "leaves no choice of sizes") {
		t.Errorf("an impossible chain: %v", err)
	}
}
