package checkpoints

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestReadSource: all kinds of files, and what networks take of them.
func TestReadSource(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := filepath.Join(dir, "own.safetensors")
	if err := Write(own, sample()); err != nil {
		t.Fatal(err)
	}
	exported := filepath.Join(dir, "exported.safetensors")
	if err := WriteTensors(exported, sample().Tensors, "about"); err != nil {
		t.Fatal(err)
	}
	// As PyTorch's safetensors saves a batch normalisation, with its counter.
	foreign := raw(`{"bn.weight":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[2,10]}}`, "\x00\xc1\x07\x00\x00\x00\x00\x00\x00\x00")
	for _, c := range []struct {
		path, kind string
		meta       bool
		weights    []string
		types      map[string]string
	}{
		{own, "Rampart checkpoint", true, []string{"conv1.weight", "conv1.bias", "empty", `a "quoted" name é`}, nil},
		{exported, "safetensors without Rampart's metadata", false, []string{"conv1.weight", "conv1.bias", "empty", `a "quoted" name é`}, nil},
		{write("foreign.safetensors", foreign), "safetensors without Rampart's metadata", false, []string{"bn.weight"}, map[string]string{"bn.weight": "F16", "bn.num_batches_tracked": "I64"}},
		{filepath.Join("..", "nn", "pth", "testdata", "compiled.pth"), "weights by torch.save", false,
			[]string{"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"}, nil},
	} {
		s, err := ReadSource(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		var names []string
		for _, w := range s.Weights() {
			names = append(names, w.Name)
		}
		if s.Kind != c.kind || (s.Meta != nil) != c.meta || !slices.Equal(names, c.weights) || c.types != nil && !reflect.DeepEqual(s.Types, c.types) {
			t.Errorf("%s: %q with weights %q of types %v", c.path, s.Kind, names, s.Types)
		}
		if len(s.Types) != len(s.Tensors) {
			t.Errorf("%s: types %v", c.path, s.Types)
		}
	}
	if s, err := ReadSource(filepath.Join(dir, "foreign.safetensors")); err != nil || s.Weights()[0].Data[0] != -2.5 {
		t.Errorf("a half became %v, %v", s, err)
	}
	infinite := sample()
	infinite.Tensors[0].Data[1] = float32(math.Inf(1))
	if err := Write(own, infinite); err != nil {
		t.Fatal(err)
	}
	damaged, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)-1] ^= 1
	// A header whose length begins like a pickle: 0x0280 = 640 bytes.
	long := raw(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`+strings.Repeat(" ", 640-54)+`}`, "\x00\x00\x80\x3f")
	if long[0] != 0x80 || long[1] != 2 {
		t.Fatalf("the header has %d bytes", len(long)-12)
	}
	if s, err := ReadSource(write("long.safetensors", long)); err != nil || s.Kind == "weights by torch.save" {
		t.Errorf("a header of 640 bytes: %v, %v", s, err)
	}
	for path, want := range map[string]string{
		own:                                   "that are NaN or infinite",
		write("damaged.safetensors", damaged): "the checksum does not match",
		write("nothing.safetensors", raw("{}", "")):                        "it holds no tensors",
		write("empty", nil):                                                "the file is empty",
		write("zip.pth", []byte("PK\x03\x04 and no more")):                 "the zip archive is cut off or damaged",
		write("short.pth", []byte("\x80\x02]q")):                           "cut off or damaged",
		filepath.Join("..", "nn", "pth", "testdata", "hostile.pickle.pth"): "posix.system",
		filepath.Join(dir, "none"):                                         "no such file",
		dir:                                                                "cannot read the weights",
	} {
		if _, err := ReadSource(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
