package checkpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
)

func sample() *File {
	return &File{
		Tensors: []Tensor{
			{"conv1.weight", []int{2, 1, 1, 2}, []float32{1, -2.5, 3e-40, float32(math.Copysign(0, -1))}},
			{"conv1.bias", []int{2}, []float32{0.1, math.MaxFloat32}},
			{"empty", []int{0, 3}, []float32{}},
			{"a \"quoted\" name é", []int{}, []float32{7}},
		},
		Meta: Meta{
			Version:     Version,
			Model:       Model{nn.Spec{Members: []nn.Spec{sampleSpec(), sampleSpec()}, Combine: nn.MeanLogits, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 2}, []string{`"sha256":"`, "<é>"}},
			ThreatModel: ThreatModel{Norm: "linf", Epsilon: 0.3},
			Figures:     []Figure{{"", "test", 0.984, 1000}, {"pgd-100x10", "test", 0.89, 1000}},
			Seed:        math.MaxUint64,
			Provenance:  Provenance{"abc", true, "go1.26", "a CPU", "md5"},
			Config:      "seed = 1\n\"sha256\":\"\n[attack]\neps = 0.3\n",
		},
	}
}

func sampleSpec() nn.Spec {
	return nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{3}, Dropout: 0.5}, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 2,
		Mean: []float32{0.1307}, Std: []float32{0.3081}}
}

func encode(t *testing.T, f *File) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Write(path, f); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decode reads a checkpoint that is in memory.
func decode(data []byte) (*File, error) {
	c, err := readContainer(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return c.checkpoint()
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	want := sample()
	for range 2 { // the second time over the first file
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Checksum) != 64 {
			t.Errorf("checksum %q", got.Checksum)
		}
		got.Checksum = ""
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if !bytes.Equal(encode(t, want), encode(t, want)) {
		t.Error("two files of one checkpoint differ")
	}
	if tensors, err := ReadForeign(path); err != nil || !reflect.DeepEqual(tensors, want.Tensors) {
		t.Errorf("ReadForeign: %v, error %v", tensors, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("the folder holds %v", entries)
	}
}

func TestStateRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	want := &State{Step: 7, Config: "seed = 1\n", JSON: json.RawMessage(`{"best":0.5}`), Tensors: []Tensor{
		{"nan", []int{3}, []float32{math.Float32frombits(0x7fc12345), float32(math.Inf(-1)), 1}}, {"big", []int{50000}, make([]float32, 50000)},
	}}
	for i := range want.Tensors[1].Data {
		want.Tensors[1].Data[i] = float32(i)
	}
	if err := WriteState(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	if math.Float32bits(got.Tensors[0].Data[0]) != 0x7fc12345 {
		t.Errorf("NaN became %x", math.Float32bits(got.Tensors[0].Data[0]))
	}
	got.Tensors[0].Data[0], want.Tensors[0].Data[0] = 0, 0
	if !reflect.DeepEqual(got, want) {
		t.Error("the state differs")
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "is a state, not a checkpoint") {
		t.Errorf("Read of a state: %v", err)
	}
}

// The bytes of a small file, by the description of the format; the checksum is by Python's hashlib.
func TestBytes(t *testing.T) {
	var b bytes.Buffer
	tensors := []Tensor{{"w", []int{1, 2}, []float32{1, 2}}, {"b", nil, []float32{-1}}}
	if err := writeContainer(&b, map[string]string{"rampart": "x"}, tensors); err != nil {
		t.Fatal(err)
	}
	const sum = "50fc03906b5671ca74952b9cfc88f73590ce24bb6e643cea35ee6917418d8af1"
	const head = `{"__metadata__":{"format":"pt","rampart":"x","sha256":"` + sum + `"},` +
		`"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}  `
	want := "\xe8\x00\x00\x00\x00\x00\x00\x00" + head + "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x80\xbf"
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEveryBitFlipIsRejected(t *testing.T) {
	data := encode(t, sample())
	for i := range 8 * len(data) {
		data[i/8] ^= 1 << (i % 8)
		if _, err := decode(data); err == nil {
			t.Errorf("bit %d of byte %d does not matter", i%8, i/8)
		}
		data[i/8] ^= 1 << (i % 8)
	}
	if _, err := decode(data); err != nil {
		t.Errorf("the file as it was: %v", err)
	}
}

func TestEveryTruncationIsRejected(t *testing.T) {
	data := encode(t, sample())
	for n := range data {
		if _, err := decode(data[:n]); err == nil {
			t.Errorf("%d of %d bytes are enough", n, len(data))
		}
	}
	if _, err := decode(append(data, 0)); err == nil {
		t.Error("a byte at the end does not matter")
	}
}

func TestWriteRejects(t *testing.T) {
	for name, tensors := range map[string][]Tensor{
		"twice":     {{"a", nil, []float32{1}}, {"a", nil, []float32{1}}},
		"no name":   {{"", nil, []float32{1}}},
		"metadata":  {{"__metadata__", nil, []float32{1}}},
		"not UTF-8": {{"\xff", nil, []float32{1}}},
		"too few":   {{"a", []int{2}, []float32{1}}},
		"negative":  {{"a", []int{-1, -1}, []float32{1}}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := Write(path, &File{Tensors: tensors}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
			t.Errorf("%s: left %v behind", name, entries)
		}
	}
}

func TestFinite(t *testing.T) {
	f := sample()
	if err := f.Finite(); err != nil {
		t.Error(err)
	}
	f.Tensors[0].Data[2], f.Tensors[0].Data[3] = float32(math.Inf(1)), float32(math.NaN())
	const want = `tensor "conv1.weight" holds 2 values that are NaN or infinite, the first at 2`
	if err := f.Finite(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestWriteAtomic(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "report.md")
	write := func(text string, fail error) error {
		return WriteAtomic(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			return fail
		})
	}
	check := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("the file holds %q, error %v; want %q", got, err, want)
		}
		if entries, _ := os.ReadDir(folder); len(entries) != 1 {
			t.Errorf("the folder holds %v", entries)
		}
	}
	if err := write("old", nil); err != nil {
		t.Fatal(err)
	}
	check("old")
	full := errors.New("disk full")
	if err := write(strings.Repeat("new", 1<<20), full); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	check("old")
	func() {
		defer func() { _ = recover() }()
		_ = WriteAtomic(path, func(w io.Writer) error { panic("stop") })
	}()
	check("old")
	if err := write("new", nil); err != nil {
		t.Fatal(err)
	}
	check("new")
	if err := os.Mkdir(filepath.Join(folder, "d"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"d", "none/x"} { // the rename fails; the folder is missing
		err := WriteAtomic(filepath.Join(folder, bad), func(w io.Writer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "what was there is untouched") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	names := []string{}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"d", "report.md"}) {
		t.Errorf("the folder holds %q", names)
	}
}

func TestUnwritableFolder(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "x")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o755)
	if f, err := os.Create(filepath.Join(folder, "probe")); err == nil {
		f.Close()
		t.Skip("this user may write anywhere")
	}
	if err := Write(path, sample()); err == nil || !strings.Contains(err.Error(), "choose a folder that you may write to") {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
}
