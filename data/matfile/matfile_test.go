package matfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// values reads all arrays of a file.
func values(content []byte) (map[string][]float64, map[string][]int, error) {
	all, dims := map[string][]float64{}, map[string][]int{}
	err := Read(bytes.NewReader(content), func(a *Array) (err error) {
		all[a.Name], err = a.Values()
		dims[a.Name] = a.Dims
		return err
	})
	return all, dims, err
}

// TestSciPy reads what SciPy wrote (testdata/make.py).
func TestSciPy(t *testing.T) {
	want := map[string][]float64{"X": nil, "y8": {1, 10, 3, 2}, "y": {1, 10, 3, 2}, "small": {-3, 70000},
		"single": {0.5, -2}, "wide": {-(1 << 40)}, "short": {-300, 300}, "empty": {}}
	for i := range 72 {
		want["X"] = append(want["X"], float64(i))
	}
	for _, name := range []string{"plain.mat", "packed.mat"} {
		got, dims, err := values(file(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if !slices.Equal(dims["X"], []int{2, 3, 3, 4}) || !slices.Equal(dims["empty"], []int{0, 3}) {
			t.Errorf("%s: dimensions %v", name, dims)
		}
		// An array need not be read, or not to its end.
		var names []string
		err = Read(bytes.NewReader(file(t, name)), func(a *Array) error {
			names = append(names, a.Name)
			if a.Name == "X" {
				r, err := a.Bytes()
				if err != nil {
					return err
				}
				three := make([]byte, 3)
				if _, err := io.ReadFull(r, three); err != nil || three[2] != 2 {
					t.Errorf("first bytes %v, %v", three, err)
				}
			}
			return nil
		})
		if err != nil || len(names) != len(want) {
			t.Errorf("%s: %v (%v)", name, names, err)
		}
	}
}

// bigEndian is a file with one array, v = [1 2], of this byte order.
func bigEndian() []byte {
	b := make([]byte, headerSize)
	b[124], b[125] = 1, 0
	copy(b[126:], "MI")
	words := []uint32{miMATRIX, 56, miUINT32, 8, 9, 0, miINT32, 8, 1, 2, 1<<16 | miINT8, 'v' << 24, miUINT8, 2, 1<<24 | 2<<16, 0}
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

func TestBigEndian(t *testing.T) {
	got, dims, err := values(bigEndian())
	if err != nil || !slices.Equal(got["v"], []float64{1, 2}) || !slices.Equal(dims["v"], []int{1, 2}) {
		t.Errorf("got %v, %v, %v", got, dims, err)
	}
}

func TestErrors(t *testing.T) {
	change := func(at int, to ...byte) []byte {
		b := bigEndian()
		copy(b[at:], to)
		return b
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "header is cut off after 0 of 128 bytes"},
		"HDF5":           {append(make([]byte, 126), "\x89H"...), "save it with -v7"},
		"version":        {change(124, 2), "version 0x0200"},
		"cut in tag":     {bigEndian()[:131], "byte 131: the file is cut off in a tag"},
		"cut in array":   {bigEndian()[:180], "cut off"},
		"cut in content": {bigEndian()[:186], "cut off"},
		"flags":          {change(136+3, miINT32), "array flags: type 5 with 8 bytes, expected type 6"},
		"flags' size":    {change(140+3, 4), "array flags of 4 bytes"},
		"dimensions":     {change(160, 0xff), "dimension -"},
		"many values":    {change(160, 0x7f, 0, 0, 0, 0x7f), "more than 2^31-1 values"},
		"name":           {change(168, 0, 9), "a small element of 9 bytes"},
		"content's kind": {change(176+3, 14), `array "v": content of type 14, expected numbers`},
		"content's size": {change(180+3, 3), `array "v": 3 bytes of content, expected 2 for [1 2] values of 1 bytes`},
	} {
		if _, _, err := values(c.content); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	packed := file(t, "packed.mat")
	for cut := headerSize + 1; cut < len(packed); cut++ {
		if _, _, err := values(packed[:cut]); err == nil && !endsAnElement(packed, cut) {
			t.Errorf("cut at byte %d: no error", cut)
		}
	}
	packed[len(packed)/3] ^= 0x10
	if _, _, err := values(packed); err == nil {
		t.Error("a flipped bit is not seen")
	}
	err := Read(bytes.NewReader(file(t, "plain.mat")), func(a *Array) error {
		if a.Name == "y" {
			_, err := a.Bytes()
			return err
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), `array "y" is not stored as unsigned bytes`) {
		t.Errorf("doubles as bytes: %v", err)
	}
}

func endsAnElement(content []byte, cut int) bool {
	for at := headerSize; at < len(content); at += 8 + int(binary.LittleEndian.Uint32(content[at+4:])) {
		if at == cut {
			return true
		}
	}
	return false
}

// FuzzRead: no file crashes the reader, and what it returns has as many values as it says.
func FuzzRead(f *testing.F) {
	f.Add(file(f, "plain.mat"))
	f.Add(file(f, "packed.mat"))
	f.Add(bigEndian())
	f.Fuzz(func(t *testing.T, content []byte) {
		Read(bytes.NewReader(content), func(a *Array) error {
			if a.Len() > 1<<20 {
				return fmt.Errorf("too long for this test")
			}
			if v, err := a.Values(); err == nil && len(v) != a.Len() {
				t.Errorf("array %q: %d values of %v", a.Name, len(v), a.Dims)
			}
			return nil
		})
	})
}
