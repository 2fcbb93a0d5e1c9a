package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/nn"
)

// sameBits compares a weight of two files.
func sameBits(a, b *checkpoints.File, name string) bool {
	x, y := tensor(a, name), tensor(b, name)
	return slices.EqualFunc(x, y, func(v, w float32) bool { return math.Float32bits(v) == math.Float32bits(w) })
}

func tensor(f *checkpoints.File, name string) []float32 {
	i := slices.IndexFunc(f.Tensors, func(t checkpoints.Tensor) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return f.Tensors[i].Data
}

// tinyNormed is a config without what is mlp's own.
func tinyNormed(t *testing.T) {
	t.Helper()
	text := strings.Replace(tiny, "name = \"mlp\"\nhidden = [16]\ndropout = 0.1\n", "name = \"layers\"\n"+`layer = [{type="conv", name="conv1", out=4, kernel=3}, {type="batchnorm", name="bn1"}, {type="relu"}, {type="conv", name="conv2", out=6, kernel=3}, {type="batchnorm", name="bn2"}, {type="relu"}, {type="flatten"}, {type="dense", name="fc"}]`+"\n", 1)
	if text == tiny {
		t.Fatal("the config has changed")
	}
	if err := os.WriteFile("normed.toml", []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func loadNormed(t *testing.T, set ...string) *Config {
	t.Helper()
	c, err := Load("normed.toml", append([]string{"train.epochs=2", "eval.n=20", "eval.protocol=none", "eval.curve_eps=[]"}, set...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFrozen: through a whole run what is frozen keeps its bits, batch norm's statistics too, under
// weight decay, with perturbed weights, with averages, and resumed at any place; all else moves.
func TestFrozen(t *testing.T) {
	tinyNormed(t)
	for name, set := range map[string][]string{
		"decay":   {`train.optimizer={name="adamw", lr=1e-2, weight_decay=0.1}`},
		"awp":     {`defense={name="awp", warmup=0.3}`},
		"average": {`train.average={name="ema"}`},
	} {
		for _, c := range []struct{ freeze, frozen string }{
			{"all_but_head", "conv1 bn1 conv2 bn2"},
			{`["conv1", "bn1"]`, "conv1 bn1"},
		} {
			set := append(slices.Clone(set), "train.freeze="+c.freeze)
			dir := newFolder(t)
			if err := Train(context.Background(), loadNormed(t, set...), quiet(dir)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			before, after := read(t, filepath.Join(dir, "baseline.safetensors")), read(t, filepath.Join(dir, "last.safetensors"))
			for _, w := range before.Tensors {
				layer, _, _ := strings.Cut(w.Name, ".")
				stays := slices.Contains(strings.Fields(c.frozen), layer)
				if same := sameBits(before, after, w.Name); same != stays {
					t.Errorf("%s, freeze %s: %s stayed: %v, want %v", name, c.freeze, w.Name, same, stays)
				}
			}
			if c.freeze == "all_but_head" {
				continue
			}
			broken := newFolder(t)
			o := quiet(broken)
			if err := Train(stopAt(30), loadNormed(t, set...), o); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: the run ended with %v", name, err)
			}
			if err := Train(context.Background(), loadNormed(t, set...), resumed(o)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			same(t, name+", resumed", broken, dir)
		}
	}
}

// TestGroupRate: a group's factor is at work in a run: with one so small that float32 swallows its
// steps, weights stay.
func TestGroupRate(t *testing.T) {
	dir := trained(t, `train.group=[{names=["fc1"], lr_factor=1e-30}]`)
	before, after := read(t, filepath.Join(dir, "baseline.safetensors")), read(t, filepath.Join(dir, "last.safetensors"))
	if !sameBits(before, after, "fc1.weight") || sameBits(before, after, "fc2.weight") {
		t.Error("the group's weights moved, or the others did not")
	}
}

// TestTransferToFolder: a hardened checkpoint becomes a network for a folder of photographs of other
// sizes and classes.
func TestTransferToFolder(t *testing.T) {
	from := trained(t, "input.mean=[0.3]", "input.std=[0.4]", "train.epochs=1", "eval.protocol=none", "eval.curve_eps=[]")
	best := filepath.Join(from, "best.safetensors")
	photos := t.TempDir()
	for _, class := range []string{"left", "right"} {
		for i := range 60 {
			img := image.NewGray(image.Rect(0, 0, 16, 12+i%5))
			for p := range img.Pix {
				img.Pix[p] = byte((p*31 + i*57) % 90)
			}
			for y := range img.Bounds().Dy() {
				img.SetGray(map[string]int{"left": 4, "right": 11}[class], y, color.Gray{240})
			}
			var file bytes.Buffer
			if err := png.Encode(&file, img); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(photos, class, fmt.Sprintf("%02d.png", i))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, file.Bytes(), 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var said strings.Builder
	dir := newFolder(t)
	o := quiet(dir)
	o.Stderr = &said
	c := load(t, "init="+best, "warmup.epochs=0", "train.freeze=all_but_head", fmt.Sprintf("data.source={name=\"images\", path=%q, train=\"\", test=\"\", test_share=0.25, channels=1}", photos), "data.limit=0",
		"data.held_out=20", "probe.n=20", "eval.n=0", "eval.curve_n=10", "eval.protocol=none", "eval.curve_eps=[]")
	if err := Train(context.Background(), c, o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"init: 2 of the network's 4 weights are loaded (Rampart checkpoint)\n",
		"init: the head starts fresh, for its classes are others: fc2.weight, fc2.bias\n",
		"init: its normalisation is taken along: mean [0.3], std [0.4]\n",
		"init: images are brought to its input size, 8 x 8\n",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing said of %q:\n%s", want, &said)
		}
	}
	source, hardened := read(t, best), read(t, filepath.Join(dir, "best.safetensors"))
	if got := hardened.Meta.Model; got.Spec.Input != (nn.Shape{H: 8, W: 8, C: 1}) || got.Spec.Classes != 2 || !slices.Equal(got.Spec.Mean, []float32{0.3}) {
		t.Errorf("the network became %+v", got)
	}
	if !sameBits(source, hardened, "fc1.weight") || len(tensor(hardened, "fc2.bias")) != 2 {
		t.Error("features that are frozen have moved, or the head has other classes")
	}
	// Of as many classes with other names the head starts fresh, too.
	said.Reset()
	o.Out = newFolder(t)
	shift := load(t, "init="+best, "warmup.epochs=0", "data.source={name=\"bars\", kinds=4, named=\"line\"}", "train.epochs=1", "eval.protocol=none", "eval.curve_eps=[]")
	if err := Train(context.Background(), shift, o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "the head starts fresh, for its classes are others: fc2.weight, fc2.bias\n") {
		t.Errorf("classes of other names: %s", &said)
	}
}

// TestInitRefused: what no network starts from.
func TestInitRefused(t *testing.T) {
	ensemble := trained(t, "ensemble.members=2", "train.epochs=1", "eval.protocol=none", "eval.curve_eps=[]")
	for path, want := range map[string]string{
		filepath.Join(ensemble, "best.safetensors"):  "holds an ensemble of 2 x mlp (mean logits): a network starts from a single one",
		filepath.Join(ensemble, "state.safetensors"): "the file is a state, not a checkpoint",
		"tiny.toml": "no safetensors file",
	} {
		dir := newFolder(t)
		if err := Train(context.Background(), load(t, "init="+path), quiet(dir)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s left a folder", path)
		}
	}
}
