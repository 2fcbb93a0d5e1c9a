// Package pth reads the tensors of files that PyTorch's torch.save has written, of both its formats:
// zip (PyTorch 1.6 and later) and the older row of pickles.
//
// A pickle is a program that may call anything. The one here is executed by a machine that knows the
// opcodes which torch.save writes, and calls nothing but the constructors of tensors and containers;
// a file that names any other class or function is refused by that name (ForeignError). General
// readers of pickles serve worse: gopickle v0.2.0, the one for Go, allocates what a length in the
// file claims before it has read it, panics on malformed input, and does not ask its caller about
// every class. Memory stays within a small multiple of the file's size.
package pth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Tensor is a named array in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Type  string    // as safetensors calls it: "F32", "BF16", "I64", …
	Data  []float32 // nil for whole numbers, such as counters
}

// File is what a file by torch.save holds.
type File struct {
	Tensors []Tensor
	// Notes say where the tensors were found, and what was taken off their names.
	Notes []string
}

// Is says whether a file that begins like this may be one by torch.save.
func Is(start []byte) bool {
	return bytes.HasPrefix(start, zipMagic) || len(start) > 1 && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5
}

var zipMagic = []byte("PK\x03\x04")

// file is one at work.
type file struct {
	r        io.ReaderAt
	size     int64
	storages map[string]*storage
}

// Read reads the tensors of a file of some size: a dictionary of them, or one that holds such a
// dictionary as "state_dict", "model", "net" or "model_state_dict". Prefixes that wrappers put before all
// names ("module.", "_orig_mod.") are taken off.
func Read(r io.ReaderAt, size int64) (*File, error) {
	f := &file{r: r, size: size, storages: map[string]*storage{}}
	start := make([]byte, 4)
	n, err := r.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !Is(start[:n]) {
		return nil, errors.New("it is no file by torch.save, which are zip archives or pickles")
	}
	open := f.openLegacy
	if bytes.HasPrefix(start, zipMagic) {
		open = f.openZip
	}
	root, load, err := open()
	if err != nil {
		return nil, err
	}
	found, notes, err := stateDict(root)
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		t.array.storage.used = t.array.storage.used || t.float()
	}
	if err := load(); err != nil {
		return nil, err
	}
	out := &File{Notes: notes}
	// Tensors may share storages, and repeat numbers; a hostile file repeats them without end.
	room := max(size, 1<<20)
	for _, t := range found {
		tensor := Tensor{Name: t.name, Shape: make([]int, len(t.array.shape)), Type: t.array.storage.kind}
		for i, d := range t.array.shape {
			tensor.Shape[i] = int(d)
		}
		if t.float() {
			n := t.array.elements(room)
			if room -= n; room < 0 {
				return nil, fmt.Errorf("tensor %q: the tensors have more values than the file has bytes: it repeats numbers without need, or is damaged", t.name)
			}
			tensor.Data = t.array.values(n)
		}
		out.Tensors = append(out.Tensors, tensor)
	}
	return out, nil
}

// section reads a part of the file.
func (f *file) section(from, size int64) *bufio.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(f.r, from, size), int(min(1<<16, size)))
}
