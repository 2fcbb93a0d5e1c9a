package onnx

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
)

// golden is a case of testdata/golden.py: what ONNX Runtime and PyTorch say of a file.
type golden struct {
	Name       string
	Shape      [3]int
	X          []float32
	Logits     [][]float64
	Notes      []string
	Seed, Grad []float64
}

// goldenDir holds the cases; testdata/zoo.py gives others.
func goldenDir() string { return cmp.Or(os.Getenv("ONNX_GOLDEN"), "testdata") }

func goldens(t testing.TB) (list []golden) {
	t.Helper()
	f, err := os.Open(filepath.Join(goldenDir(), "golden.json.gz"))
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
	return list
}

// seeded is a loss whose gradient is the same for every row: Seeds, by row and class.
type seeded struct{ rows *[]float64 }

func (s seeded) Rows(b *device.Block) {
	for i := range b.Grad {
		b.Grad[i] = float32((*s.rows)[i])
	}
}

// TestGolden reads what PyTorch's exporters, Keras and the verification community write: logits agree
// with ONNX Runtime's, gradients with PyTorch's, also when the network went through a checkpoint.
func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			in := nn.Shape{H: g.Shape[0], W: g.Shape[1], C: g.Shape[2]}
			n, err := Read(filepath.Join(goldenDir(), g.Name+".onnx"), Options{Input: in})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(filter(n.Notes), g.Notes) {
				t.Errorf("notes %q, want %q", n.Notes, g.Notes)
			}
			check(t, n.File, g)
			path := filepath.Join(t.TempDir(), "net.safetensors")
			if err := checkpoints.Write(path, n.File); err != nil {
				t.Fatal(err)
			}
			f, err := checkpoints.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			check(t, f, g)
		})
	}
}

// filter leaves out the notes that many files cause.
func filter(notes []string) (list []string) {
	list = []string{}
	for _, s := range notes {
		if !strings.HasPrefix(s, "dropout") && !strings.HasPrefix(s, "a dilated") && !strings.HasPrefix(s, "batch norm") {
			list = append(list, s)
		}
	}
	return list
}

func check(t *testing.T, f *checkpoints.File, g golden) {
	t.Helper()
	const rows = 2
	n, err := f.Network(cpu.New(1), rows)
	if err != nil {
		t.Fatal(err)
	}
	m := n.Model
	c := &device.Call{Rows: rows, X: m.New(len(g.X)), Logits: m.New(rows * m.Classes()), InputGrad: m.New(len(g.X)),
		Loss: seeded{&g.Seed}, Labels: make([]int32, rows), Scale: 1}
	c.X.Upload(g.X, 0)
	if g.Seed == nil {
		err = m.Logits(c)
	} else {
		err = m.InputGrad(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, c.Logits.Len())
	c.Logits.Download(logits, 0)
	var got, want []float64
	for i, row := range g.Logits {
		want = append(want, row...)
		got = append(got, ended(logits[i*len(row):(i+1)*len(row)], g.Notes)...)
	}
	near(t, "logits", got, want)
	if g.Grad == nil {
		return
	}
	grad := make([]float32, c.InputGrad.Len())
	c.InputGrad.Download(grad, 0)
	got = nil
	for _, v := range grad {
		got = append(got, float64(v))
	}
	if os.Getenv("ONNX_GOLDEN") == "" {
		near(t, "gradient", got, g.Grad)
		return
	}
	// In networks of a hundred layers a ReLU's input may round to either side of 0: PyTorch's gradients in
	// float32 and in float64 differ by 1 % in norm.
	var off, norm float64
	for i, v := range g.Grad {
		off, norm = off+(got[i]-v)*(got[i]-v), norm+v*v
	}
	if off = math.Sqrt(off / norm); !(off <= 0.03) {
		t.Errorf("gradients differ by %.3g of their norm", off)
	}
}

// ended applies the softmax that the file ends with.
func ended(row []float32, notes []string) []float64 {
	list, sum := make([]float64, len(row)), 0.0
	for i, v := range row {
		list[i] = float64(v)
		sum += math.Exp(list[i])
	}
	for _, s := range notes {
		for i := range list {
			switch {
			case strings.HasPrefix(s, "LogSoftmax"):
				list[i] -= math.Log(sum)
			case strings.HasPrefix(s, "Softmax"):
				list[i] = math.Exp(list[i]) / sum
			}
		}
	}
	return list
}

// near compares to 1e-4 of the largest value.
func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d %s, want %d", len(got), what, len(want))
	}
	top, worst := 0.0, 0.0
	for i := range want {
		top, worst = max(top, math.Abs(want[i])), max(worst, math.Abs(got[i]-want[i]))
	}
	if !(worst <= 1e-4*top) {
		t.Errorf("%s differ by %.3g of %.3g\n got %v\nwant %v", what, worst, top, got[:min(len(got), 12)], want[:min(len(want), 12)])
	}
}
