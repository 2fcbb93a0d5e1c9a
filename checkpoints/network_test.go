package checkpoints

import (
	"image"
	"image/color"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// layersSpec is a network with every kind of weight: convolution, dense, running statistics.
func layersSpec() nn.Spec {
	return nn.Spec{Arch: "layers", Input: nn.Shape{H: 4, W: 6, C: 3}, Classes: 3, Mean: []float32{.1, .2, .3}, Std: []float32{1, 2, 3},
		Options: &nn.Custom{List: []nn.Layer{
			{Type: "conv", Out: 5, Kernel: 3, Padding: "same", Init: &nn.Init{Weights: "glorot"}}, {Type: "batchnorm"}, {Type: "relu"},
			{Type: "residual", Body: []nn.Layer{{Type: "conv", Out: 5, Kernel: 1}}},
			{Type: "flatten"}, {Type: "dense"},
		}}}
}

func ensembleSpec() nn.Spec {
	member := layersSpec()
	return nn.Spec{Members: []nn.Spec{member, member}, Combine: nn.MeanProbability, Input: member.Input, Classes: member.Classes}
}

func classes(n int) []string { return []string{"zero", "one", "two", "three"}[:n] }

// saved builds a network, saves it, and returns it with its file.
func saved(t *testing.T, spec nn.Spec) (*nn.Model, string) {
	t.Helper()
	m, err := nn.Build(spec, cpu.New(1), 2, rng.New(3, "test"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	if err := Save(path, m, Meta{Model: Model{Classes: classes(spec.Classes)}, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	return m, path
}

func TestSaveLoadPredict(t *testing.T) {
	for name, spec := range map[string]nn.Spec{"layers": layersSpec(), "ensemble": ensembleSpec()} {
		t.Run(name, func(t *testing.T) {
			m, path := saved(t, spec)
			n, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(n.Meta.Model.Spec, spec) || !reflect.DeepEqual(n.Model.Weights(), m.Weights()) {
				t.Fatalf("the network differs: %+v", n.Meta.Model.Spec)
			}
			x := make([]float32, spec.Input.Size())
			rng.New(1, "x").Uniform(x, 0, 1, 0, 0, 0)
			in, out := m.New(len(x)), m.New(spec.Classes)
			in.Upload(x, 0)
			if err := m.Logits(&device.Call{Rows: 1, X: in, Logits: out}); err != nil {
				t.Fatal(err)
			}
			logits := make([]float32, spec.Classes)
			out.Download(logits, 0)
			p, err := n.PredictPixels(x)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for j, v := range p.Probabilities {
				sum += float64(v)
				ratio := math.Exp(float64(logits[j] - logits[p.Class]))
				if got := float64(v / p.Confidence); math.Abs(got-ratio) > 1e-5 {
					t.Errorf("probability %d is %v of the highest, want %v", j, got, ratio)
				}
			}
			if math.Abs(sum-1) > 1e-6 || p.Class != device.Argmax(logits) || p.Name != classes(3)[p.Class] || p.Confidence != slices.Max(p.Probabilities) {
				t.Errorf("prediction %+v of logits %v", p, logits)
			}
		})
	}
}

func TestLoadRejects(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(f *File)
	}{
		{"not finite", `"conv1.bias" holds 1 values that are NaN`, func(f *File) { at(f, "conv1.bias").Data[2] = float32(math.NaN()) }},
		{"missing", `are missing: fc1.weight`, func(f *File) { at(f, "fc1.weight").Name = "fc9.weight" }},
		{"extra", `has no weights named more`, func(f *File) { f.Tensors = append(f.Tensors, Tensor{"more", []int{1}, []float32{1}}) }},
		{"shape", `"fc1.weight" has shape`, func(f *File) { s := at(f, "fc1.weight").Shape; s[0], s[1] = s[1], s[0] }},
		{"classes", `2 class names for 3 classes`, func(f *File) { f.Meta.Model.Classes = classes(2) }},
		{"normalisation", `2 means and 3 standard deviations`, func(f *File) { f.Meta.Model.Spec.Mean = []float32{0, 0} }},
		{"layer", `unknown layer "cnv": did you mean "conv"`, func(f *File) { f.Meta.Model.Spec.Options.(*nn.Custom).List[0].Type = "cnv" }},
		{"architecture", `unknown model "layerz"`, func(f *File) { f.Meta.Model.Spec.Arch = "layerz" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, path := saved(t, layersSpec())
			f, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			c.change(f)
			if err := Write(path, f); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got  %v\nwant %s, and the file's name", err, c.want)
			}
		})
	}
}

func at(f *File, name string) *Tensor {
	return &f.Tensors[slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })]
}

func TestSaveNeedsClassNames(t *testing.T) {
	m, path := saved(t, layersSpec())
	if err := Save(path, m, Meta{}); err == nil || !strings.Contains(err.Error(), "0 class names for a network of 3 classes") {
		t.Errorf("Save: %v", err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("the file that was there: %v", err)
	}
}

func TestPredictRejects(t *testing.T) {
	_, path := saved(t, layersSpec())
	n, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, pixels := range map[string][]float32{
		"3 pixels, where the network takes images of 4x6x3: 72": make([]float32, 3),
		"pixel 71 is 255, outside [0,1]":                        append(make([]float32, 71), 255),
		"pixel 0 is NaN":                                        append([]float32{float32(math.NaN())}, make([]float32, 71)...),
	} {
		if _, err := n.PredictPixels(pixels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := n.Predict(image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty image was classified")
	}
	if _, err := Pixels(image.NewGray(image.Rect(0, 0, 2, 2)), nn.Shape{H: 2, W: 2, C: 4}); err == nil {
		t.Error("an image was given 4 channels")
	}
}

func TestPixels(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 16, 16))
	want := make([]float32, 256)
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i)
		want[i] = float32(i) / 255
	}
	got, err := Pixels(grey, nn.Shape{H: 16, W: 16, C: 1})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("grey bytes became %v, error %v", got, err)
	}
	part := grey.SubImage(image.Rect(3, 2, 5, 4)) // does not begin at 0,0
	if got, err := Pixels(part, nn.Shape{H: 2, W: 2, C: 1}); err != nil || !slices.Equal(got, []float32{want[35], want[36], want[51], want[52]}) {
		t.Errorf("part became %v, error %v", got, err)
	}
	for _, c := range []struct {
		name  string
		color color.Color
		rgb   [3]float64
		grey  float64
	}{
		{"white", color.White, [3]float64{1, 1, 1}, 1},
		{"red", color.NRGBA{255, 0, 0, 255}, [3]float64{1, 0, 0}, 0.299},
		{"blue", color.NRGBA{0, 0, 255, 255}, [3]float64{0, 0, 1}, 0.114},
		{"transparent white", color.NRGBA{255, 255, 255, 0}, [3]float64{1, 1, 1}, 1},
		{"half of green", color.NRGBA{0, 255, 0, 51}, [3]float64{0, 1, 0}, 0.587},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, side := range []int{4, 2, 8} { // as it is, enlarged, shrunk
				img := image.NewNRGBA(image.Rect(0, 0, side, side))
				for i := range side * side {
					img.Set(i%side, i/side, c.color)
				}
				check(t, img, 1, []float64{c.grey})
				check(t, img, 3, c.rgb[:])
			}
		})
	}
}

// check wants the same values in every pixel of a 4x4 image.
func check(t *testing.T, img image.Image, channels int, want []float64) {
	t.Helper()
	got, err := Pixels(img, nn.Shape{H: 4, W: 4, C: channels})
	if err != nil || len(got) != 16*channels {
		t.Fatalf("%d pixels, error %v", len(got), err)
	}
	for i, v := range got {
		if math.Abs(float64(v)-want[i%channels]) > 0.5/255+1e-6 { // of a byte
			t.Fatalf("%v: value %d is %v, want %v", img.Bounds(), i, v, want[i%channels])
		}
	}
}

// An image that is shrunk is averaged, not sampled.
func TestPixelsShrink(t *testing.T) {
	board := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range board.Pix {
		board.Pix[i] = uint8(255 * ((i + i/64) % 2))
	}
	got, err := Pixels(board, nn.Shape{H: 4, W: 4, C: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if math.Abs(float64(v)-0.5) > 0.02 {
			t.Fatalf("a chess board of pixels became %v, want 0.5", v)
		}
	}
}
