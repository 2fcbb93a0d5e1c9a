package onnx

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// folder gives the data that tensors of a model keep in other files of its folder.
type folder struct {
	root *os.Root // nil where a model has no folder
	sum  hash.Hash
}

var errOutside = errors.New("its values lie in another file, and the model was not read from a folder")

// data reads want bytes. The path stays within the folder, symbolic links included.
func (f *folder) data(entries []entryProto, want int) ([]byte, error) {
	if f == nil || f.root == nil {
		return nil, errOutside
	}
	location, offset := "", int64(0)
	for _, e := range entries {
		var err error
		switch e.key {
		case "location":
			location = e.value
		case "offset":
			offset, err = strconv.ParseInt(e.value, 10, 64)
		case "length":
			var n int64
			if n, err = strconv.ParseInt(e.value, 10, 64); err == nil && n != int64(want) {
				return nil, fmt.Errorf("%d bytes of external data, want %d", n, want)
			}
		}
		if err != nil || offset < 0 {
			return nil, fmt.Errorf("external data with %s %q", e.key, e.value)
		}
	}
	file, err := f.root.Open(filepath.FromSlash(location))
	if err != nil {
		return nil, fmt.Errorf("external data: %w: the file must lie in the model's folder", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	if !info.Mode().IsRegular() || offset > info.Size() || int64(want) > info.Size()-offset {
		return nil, fmt.Errorf("external data: %q has no %d bytes at %d: it is cut off, or another file", location, want, offset)
	}
	b := make([]byte, want)
	if _, err := file.ReadAt(b, offset); err != nil && err != io.EOF {
		return nil, fmt.Errorf("external data: %w", err)
	}
	f.sum.Write(b)
	return b, nil
}
