package pth

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testdata(name string) string { return filepath.Join("testdata", name) }

// TestRead compares both formats with what PyTorch said the tensors are: number types, strides,
// offsets, shared storages.
func TestRead(t *testing.T) {
	text, err := os.ReadFile(testdata("tensors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want []Tensor
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != 16 {
		t.Fatalf("%d tensors in the golden file", len(want))
	}
	for _, name := range []string{"tensors.zip.pth", "tensors.legacy.pth", "tensors.protocol4.pth"} {
		got, err := open(testdata(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got.Tensors, want) {
			t.Errorf("%s: %v\nwant %v", name, got.Tensors, want)
		}
		if got.Notes != nil {
			t.Errorf("%s: notes %q", name, got.Notes)
		}
	}
	if f, err := open(testdata("nosum.pth")); err != nil || !slices.Equal(f.Tensors[0].Data, []float32{1, 1}) {
		t.Errorf("a file without checksums: %v, %v", f, err)
	}
}

// TestWrapped: what training scripts save beside the weights, and what wrappers do to names.
func TestWrapped(t *testing.T) {
	names := "0.weight 0.bias 1.weight 1.bias 1.running_mean 1.running_var 1.num_batches_tracked"
	for name, notes := range map[string][]string{
		"wrapped.zip.pth":    {`the tensors are those under "state_dict"`, `the prefix "module." was taken off all names`},
		"wrapped.legacy.pth": {`the tensors are those under "state_dict"`, `the prefix "module." was taken off all names`},
		"compiled.pth":       {`the tensors are those under "net"`, `the prefix "_orig_mod." was taken off all names`, `the prefix "module." was taken off all names`},
	} {
		f, err := open(testdata(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, tensor := range f.Tensors {
			got = append(got, tensor.Name)
		}
		if strings.Join(got, " ") != names {
			t.Errorf("%s: %q", name, got)
		}
		if !reflect.DeepEqual(f.Notes, notes) {
			t.Errorf("%s: notes %q, want %q", name, f.Notes, notes)
		}
	}
}

// TestForeign: anything that could execute code is refused by its name.
func TestForeign(t *testing.T) {
	for name, class := range map[string]string{
		"hostile.zip.pth":    "posix.system",
		"hostile.legacy.pth": "posix.system",
		"hostile.pickle.pth": "posix.system",
		"module.zip.pth":     "torch.nn.modules.linear.Linear",
		"module.legacy.pth":  "__main__.Net",
		"complex.pth":        "torch.ComplexFloatStorage",
		"sparse.pth":         "torch._utils._rebuild_sparse_tensor",
		"script.pth":         "a TorchScript program",
	} {
		_, err := open(testdata(name))
		foreign, ok := errors.AsType[*ForeignError](err)
		if !ok || foreign.Class != class || !strings.Contains(err.Error(), "nothing of it was executed") {
			t.Errorf("%s: %v, want a refusal of %q", name, err, class)
		}
	}
}

// open reads a file of this folder's testdata.
func open(path string) (*File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Read(bytes.NewReader(content), int64(len(content)))
}

func TestBadFiles(t *testing.T) {
	for name, want := range map[string]string{
		"single.pth": "a single tensor without a name",
		"list.pth":   "no dictionary of tensors but a list",
		"none.pth":   `neither at its top nor under ["state_dict" "model" "net" "model_state_dict"]; its keys are "epoch", "note"`,
		"make.py":    "no file by torch.save",
	} {
		if _, err := open(testdata(name)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestDamage cuts files off at every length and changes a bit of each byte: never a panic, and of a
// zip archive, which has checksums, never other tensors.
func TestDamage(t *testing.T) {
	for _, name := range []string{"tensors.zip.pth", "tensors.legacy.pth", "hostile.legacy.pth"} {
		whole, err := os.ReadFile(testdata(name))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := Read(bytes.NewReader(whole), int64(len(whole)))
		for n := range whole {
			if f, err := Read(bytes.NewReader(whole[:n]), int64(n)); err == nil {
				t.Fatalf("%s: the first %d of %d bytes are read as %v", name, n, len(whole), f)
			}
			damaged := bytes.Clone(whole)
			damaged[n] ^= 1 << (n % 8)
			f, err := Read(bytes.NewReader(damaged), int64(len(damaged)))
			if err == nil && strings.Contains(name, ".zip.") && !reflect.DeepEqual(f, want) {
				t.Fatalf("%s: byte %d changed, and it is read as %v", name, n, f)
			}
		}
	}
}

// TestMemory: what a file claims costs nothing that it has not.
func TestMemory(t *testing.T) {
	claims := func(pickle string) []byte {
		head := "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
		return []byte(head + "\x80\x02" + pickle)
	}
	storage := "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02NtQ"
	tensor := func(offset, shape, stride string) []byte {
		return claims("}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride + "\x89}tRs.\x80\x02]X\x01\x00\x00\x000a.\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@")
	}
	valid := tensor("K\x00", "K\x02\x85", "K\x01\x85")
	f, err := Read(bytes.NewReader(valid), int64(len(valid)))
	if err != nil || !slices.Equal(f.Tensors[0].Data, []float32{1, 2}) {
		t.Fatalf("the file that the others are made of: %v, %v", f, err)
	}
	huge := "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"a text of 4 GB":            {claims("X\xff\xff\xff\xff."), "cut off or damaged"},
		"a storage of 2^62 numbers": {claims("(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + huge + "NtQ."), "a storage of 4611686018427387904 numbers"},
		"2^62 repetitions":          {tensor("K\x00", huge+"\x85", "K\x00\x85"), "more values than the file has bytes"},
		"2^124 repetitions":         {tensor("K\x00", huge+huge+"\x86", "K\x00K\x00\x86"), "more values than the file has bytes"},
		"beyond the storage":        {tensor("K\x00", "K\x02\x85", "K\x02\x85"), "reaches beyond its storage"},
		"far beyond the storage":    {tensor("K\x00", huge+"\x85", huge+"\x85"), "reaches beyond its storage"},
		"from behind the storage":   {tensor("K\x03", ")", ")"), "begins outside of its storage"},
		"at the storage's end":      {tensor("K\x02", ")", ")"), "reaches beyond its storage"},
		"a negative size":           {tensor("K\x00", "J\xff\xff\xff\xff\x85", "K\x01\x85"), "no list of numbers from 0"},
		"a stride too many":         {tensor("K\x00", "K\x02\x85", "K\x01K\x01\x86"), "of shape [2] and strides [1 1]"},
	} {
		if _, err := Read(bytes.NewReader(c.file), int64(len(c.file))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(testdata("*.pth"))
	if err != nil || len(files) < 15 {
		f.Fatalf("%d files to begin with, %v", len(files), err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Read(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		total := 0
		for _, tensor := range file.Tensors {
			n := 1
			for _, d := range tensor.Shape {
				n *= d
			}
			if tensor.Data != nil && n != len(tensor.Data) {
				t.Errorf("tensor %q of shape %v has %d values", tensor.Name, tensor.Shape, len(tensor.Data))
			}
			total += len(tensor.Data)
		}
		if total > max(1<<20, len(content)) {
			t.Errorf("%d values from %d bytes", total, len(content))
		}
	})
}
