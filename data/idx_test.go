package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// idx encodes a header and content.
func idx(magic uint32, content []byte, dims ...uint32) []byte {
	file := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		file = binary.BigEndian.AppendUint32(file, d)
	}
	return append(file, content...)
}

func TestReadImages(t *testing.T) {
	content := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 254, 255}
	// One byte at a time: a reader may return less than it was asked for.
	got, err := ReadImages(iotest.OneByteReader(bytes.NewReader(idx(imagesMagic, content, 2, 3, 2))), "img")
	if err != nil {
		t.Fatal(err)
	}
	if got.N != 2 || got.H != 3 || got.W != 2 || !bytes.Equal(got.Pixels, content) {
		t.Errorf("got %+v", got)
	}
}

// TestReadLarge goes through several growths of the buffer.
func TestReadLarge(t *testing.T) {
	content := make([]byte, 5*1000*1000)
	for i := range content {
		content[i] = byte(i * i >> 8)
	}
	got, err := ReadImages(bytes.NewReader(idx(imagesMagic, content, 5, 1000, 1000)), "img")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Pixels, content) {
		t.Error("pixels differ")
	}
}

func TestReadLabels(t *testing.T) {
	got, err := ReadLabels(bytes.NewReader(idx(labelsMagic, []byte{3, 0, 9}, 3)), "lab", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0] != 3 || got[1] != 0 || got[2] != 9 {
		t.Errorf("got %v", got)
	}
}

// Every error names the file, what was expected and what was found.
func TestReadErrors(t *testing.T) {
	pixels := make([]byte, 12)
	const most = 1<<32 - 1
	images := func(r io.Reader) error { _, err := ReadImages(r, "the/file"); return err }
	labels := func(r io.Reader) error { _, err := ReadLabels(r, "the/file", 10); return err }
	for name, c := range map[string]struct {
		read func(io.Reader) error
		file []byte
		want string
	}{
		"empty":             {images, nil, `truncated: expected a header of 16 bytes, found 0`},
		"magic only":        {images, idx(imagesMagic, nil), `truncated: expected a header of 16 bytes, found 4`},
		"half a header":     {labels, idx(labelsMagic, []byte{0, 0}), `truncated: expected a header of 8 bytes, found 6`},
		"wrong magic":       {images, idx(0x01020304, pixels, 1, 3, 4), `magic number 0x01020304, expected 0x00000803 (IDX images)`},
		"labels as images":  {images, idx(labelsMagic, []byte{1}, 1), `this is a label file`},
		"images as labels":  {labels, idx(imagesMagic, pixels, 1, 3, 4), `expected 0x00000801 (IDX labels): this is an image file`},
		"gzip":              {labels, []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"), `gzip`},
		"no images":         {images, idx(imagesMagic, nil, 0, 3, 4), `no images in the file, expected at least one`},
		"no labels":         {labels, idx(labelsMagic, nil, 0), `no labels in the file`},
		"flat images":       {images, idx(imagesMagic, nil, 1, 0, 4), `images of 0x4 pixels, expected sides of 1 to 4096`},
		"absurd side":       {images, idx(imagesMagic, pixels, 1, 1, most), `images of 1x4294967295 pixels`},
		"absurd count":      {images, idx(imagesMagic, pixels, most, 28, 28), `promises 4294967295 images of 28x28, expected at most 2147483647 bytes`},
		"absurd labels":     {labels, idx(labelsMagic, pixels, most), `promises 4294967295 labels`},
		"long promise":      {images, idx(imagesMagic, pixels, 127, 4096, 4096), `truncated: expected 2130706432 bytes (127 images of 4096x4096), found 12`},
		"no content":        {labels, idx(labelsMagic, nil, 3), `truncated: expected 3 bytes (3 labels), found 0`},
		"truncated":         {images, idx(imagesMagic, pixels[:11], 1, 3, 4), `truncated: expected 12 bytes (1 images of 3x4), found 11`},
		"trailing":          {images, idx(imagesMagic, pixels, 1, 3, 3), `goes on after the expected 9 bytes (1 images of 3x3)`},
		"trailing labels":   {labels, idx(labelsMagic, pixels, 11), `goes on after the expected 11 bytes (11 labels)`},
		"label not a class": {labels, idx(labelsMagic, []byte{0, 9, 10}, 3), `label 2 is 10, expected 0 to 9 (10 classes)`},
	} {
		err := c.read(bytes.NewReader(c.file))
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"the/file"`) {
			t.Errorf("%s: got %q, want %q", name, err, c.want)
		}
	}
}

// TestReadFailure: what the reader says is passed on, at the header, in the content and at the end.
func TestReadFailure(t *testing.T) {
	broken := errors.New("disk on fire")
	file := idx(imagesMagic, make([]byte, 12), 1, 3, 4)
	for _, n := range []int{0, 3, 20, len(file)} {
		r := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, err := ReadImages(r, "img"); !errors.Is(err, broken) {
			t.Errorf("failure after %d bytes: got %v", n, err)
		}
	}
}

// TestReadAllocation: a header that promises 2 GB in a file of 28 bytes costs little memory.
func TestReadAllocation(t *testing.T) {
	file := idx(imagesMagic, make([]byte, 12), 127, 4096, 4096)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadImages(bytes.NewReader(file), "img"); err == nil {
		t.Fatal("no error")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("allocated %d bytes", n)
	}
}

func FuzzReadImages(f *testing.F) {
	f.Add(idx(imagesMagic, make([]byte, 12), 1, 3, 4))
	f.Add(idx(imagesMagic, nil, 1<<32-1, 1<<32-1, 1<<32-1))
	f.Add(idx(labelsMagic, []byte{1}, 1))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := ReadImages(bytes.NewReader(file), "fuzz")
		if err != nil {
			if !strings.Contains(err.Error(), `"fuzz"`) {
				t.Errorf("error does not name the file: %v", err)
			}
			return
		}
		again := idx(imagesMagic, got.Pixels, uint32(got.N), uint32(got.H), uint32(got.W))
		if !bytes.Equal(again, file) || got.N*got.H*got.W != len(got.Pixels) {
			t.Errorf("read %d images of %dx%d, which do not make the file again", got.N, got.H, got.W)
		}
	})
}

func FuzzReadLabels(f *testing.F) {
	f.Add(idx(labelsMagic, []byte{1, 2, 9}, 3), 10)
	f.Add(idx(labelsMagic, nil, 1<<32-1), 10)
	f.Add(idx(imagesMagic, make([]byte, 12), 1, 3, 4), 3)
	f.Fuzz(func(t *testing.T, file []byte, classes int) {
		got, err := ReadLabels(bytes.NewReader(file), "fuzz", classes)
		if err != nil {
			return
		}
		content := make([]byte, len(got))
		for i, l := range got {
			if content[i] = byte(l); l < 0 || int(l) >= classes {
				t.Errorf("label %d of %d classes", l, classes)
			}
		}
		if !bytes.Equal(idx(labelsMagic, content, uint32(len(got))), file) {
			t.Errorf("labels %v do not make the file again", got)
		}
	})
}
