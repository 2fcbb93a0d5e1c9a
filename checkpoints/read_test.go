package checkpoints

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// foreign was written by the Python library (safetensors 0.8.0, safetensors.numpy.save).
const foreign = "" +
	"4AAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJtYWRlX2J5Ijoic29tZW9uZSJ9LCJhLndlaWdodCI6eyJkdHlwZSI6IkY2NCIsInNo" +
	"YXBlIjpbMSwzXSwiZGF0YV9vZmZzZXRzIjpbMCwyNF19LCJzY2FsYXIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6W10sImRhdGFf" +
	"b2Zmc2V0cyI6WzI0LDI4XX0sImIuaGFsZiI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbNF0sImRhdGFfb2Zmc2V0cyI6WzI4LDM2" +
	"XX19ICAgIAAAAAAAAOA/nHUAiDzkN34AAAAAAAAIwAAA4EAAPADAAQD/ew=="

func TestReadForeign(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(foreign)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "foreign.safetensors")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	tensors, err := ReadForeign(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Tensor{}
	for _, tensor := range tensors {
		got[tensor.Name] = tensor
	}
	want := map[string]Tensor{
		"a.weight": {"a.weight", []int{1, 3}, []float32{0.5, float32(math.Inf(1)), -3}},
		"b.half":   {"b.half", []int{4}, []float32{1, -2, 0x1p-24, 65504}},
		"scalar":   {"scalar", []int{}, []float32{7}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "without Rampart's metadata") {
		t.Errorf("Read: %v", err)
	}
}

// raw builds a file from a header and values.
func raw(header, values string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+values...)
}

func TestBadFiles(t *testing.T) {
	valid := encode(t, sample())
	flipped := bytes.Clone(valid)
	flipped[len(flipped)-1] ^= 1
	newer := &bytes.Buffer{}
	if err := writeContainer(newer, map[string]string{"rampart": "checkpoint", "version": "2"}, nil); err != nil {
		t.Fatal(err)
	}
	strange := &bytes.Buffer{}
	if err := writeContainer(strange, map[string]string{"rampart": "checkpoint", "version": "1", "model": "{"}, nil); err != nil {
		t.Fatal(err)
	}
	one := func(entry string) []byte { return raw(`{"w":`+entry+`}`, "12345678") }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"short", []byte("abc"), "3 bytes are no safetensors file, or one that is cut off"},
		{"random", []byte("\x93\x1f\x22\x80\xfe\x00\x31\xcc\x93"), "it is no safetensors file, or cut off"},
		{"zip", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "train info shows what it holds, and init = \"FILE\" in a config starts from it"},
		{"pickle", []byte("\x80\x02}q\x00X\x01\x00\x00\x00"), "train info shows what it holds, and init = \"FILE\" in a config starts from it"},
		{"json", []byte(`{"rows": [1, 2, 3]}`), "it looks like JSON"},
		{"long header", append(binary.LittleEndian.AppendUint64(nil, 1<<40), "{}"...), "the header would be 1099511627776 bytes long, in a file of 10"},
		{"no object", raw(`[1]`, ""), "the header is no JSON object"},
		{"bad JSON", raw(`{"a" 1}`, ""), `the header is wrong about "a" (expected colon after object key)`},
		{"more after it", raw(`{} {}`, ""), "the header goes on after its JSON"},
		{"cut JSON", raw(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, "12345678"), "the header is not valid JSON"},
		{"twice", raw(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "12345678"), `the header names "w" twice`},
		{"no shape", one(`{"dtype":"F32","data_offsets":[0,8]}`), `the header is wrong about "w" (it has no shape)`},
		{"extra key", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}`), `the header is wrong about "w"`},
		{"number in metadata", raw(`{"__metadata__":{"a":1}}`, ""), `the header is wrong about "__metadata__"`},
		{"foreign numbers", one(`{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}`), `tensor "w" has the type "F8_E5M2": only F32, F64, F16, BF16 and whole numbers are read`},
		{"wrong size", one(`{"dtype":"F32","shape":[3],"data_offsets":[0,8]}`), `tensor "w" of shape [3] takes the bytes 0 to 8, want 12 bytes`},
		{"negative", one(`{"dtype":"F32","shape":[-2],"data_offsets":[8,0]}`), `the shape [-2] has a negative size`},
		{"backwards", one(`{"dtype":"F32","shape":[2],"data_offsets":[8,0]}`), `takes the bytes 8 to 0, want 8 bytes`},
		{"huge", one(`{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}`), "is too large"},
		{"out of range", one(`{"dtype":"F32","shape":[100000000000],"data_offsets":[0,400000000000]}`), "399999999992 bytes of values are missing at the end"},
		{"hole", one(`{"dtype":"F32","shape":[1],"data_offsets":[4,8]}`), `tensor "w" starts at byte 4, want 0`},
		{"overlap", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), `tensor "b" starts at byte 4, want 8: tensors overlap`},
		{"left over", one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`), "4 bytes follow the last tensor"},
		{"truncated", valid[:len(valid)-3], "3 bytes of values are missing at the end: the file is cut off"},
		{"bit flip", flipped, "the checksum does not match: the file is damaged"},
		{"newer", newer.Bytes(), "the file has format 2, and this Rampart reads up to 1: use a newer one"},
		{"metadata", strange.Bytes(), "the metadata makes no sense"},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `cannot read the checkpoint: "`+path+`": `) {
			t.Errorf("%s\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	folder := t.TempDir()
	if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), "is a folder or a device") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Read(filepath.Join(folder, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("missing: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	small := &bytes.Buffer{}
	if err := writeContainer(small, map[string]string{"rampart": "checkpoint", "version": "1"}, []Tensor{{"w", []int{2}, []float32{1, 2}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Add(raw(`{"w":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, "1234"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := readContainer(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		values := 0
		for _, tensor := range c.tensors {
			values += len(tensor.Data)
		}
		if 2*values > len(data) {
			t.Fatalf("%d values from %d bytes", values, len(data))
		}
		var again bytes.Buffer
		metadata := map[string]string{"rampart": "state", "version": "1"}
		if err := writeContainer(&again, metadata, c.tensors); err != nil {
			t.Skip(err) // names that JSON reads leniently
		}
		back, err := readContainer(&again, int64(again.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := back.state(); err != nil || len(s.Tensors) != len(c.tensors) {
			t.Fatalf("written again: %v", err)
		}
		_, _ = c.checkpoint()
	})
}
