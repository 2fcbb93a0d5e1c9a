package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The IDX format (Y. LeCun, "The MNIST database of handwritten digits"): a big-endian magic
// number, the dimensions, and the bytes.
const (
	imagesMagic = 0x00000803
	labelsMagic = 0x00000801

	maxSide  = 4096      // pixels on a side of an image
	maxBytes = 1<<31 - 1 // of content of one file
)

// Images is the content of an IDX image file: grey images, [N,H,W].
type Images struct {
	N, H, W int
	Pixels  []byte
}

// ReadImages reads an IDX image file to its end; name is what errors call it. Memory grows with
// what arrives, not with what the header promises.
func ReadImages(r io.Reader, name string) (*Images, error) {
	dims, err := readHeader(r, name, "images", imagesMagic, 3)
	if err != nil {
		return nil, err
	}
	n, h, w := dims[0], dims[1], dims[2]
	if h < 1 || w < 1 || h > maxSide || w > maxSide {
		return nil, fmt.Errorf("%q: images of %dx%d pixels, expected sides of 1 to %d", name, h, w, maxSide)
	}
	pixels, err := readContent(r, name, n, h*w, fmt.Sprintf("%d images of %dx%d", n, h, w))
	if err != nil {
		return nil, err
	}
	return &Images{N: int(n), H: int(h), W: int(w), Pixels: pixels}, nil
}

// ReadLabels reads an IDX label file to its end, and checks that every label is below classes.
func ReadLabels(r io.Reader, name string, classes int) ([]int32, error) {
	dims, err := readHeader(r, name, "labels", labelsMagic, 1)
	if err != nil {
		return nil, err
	}
	content, err := readContent(r, name, dims[0], 1, fmt.Sprintf("%d labels", dims[0]))
	if err != nil {
		return nil, err
	}
	labels := make([]int32, len(content))
	for i, b := range content {
		labels[i] = int32(b)
	}
	if i, ok := badLabel(labels, classes); ok {
		return nil, fmt.Errorf("%q: label %d is %d, expected 0 to %d (%d classes)", name, i, labels[i], classes-1, classes)
	}
	return labels, nil
}

// readHeader reads the magic number and the dimensions, the first of which must not be 0.
func readHeader(r io.Reader, name, what string, magic uint32, dims int) ([]uint64, error) {
	header := make([]byte, 4+4*dims)
	got, err := io.ReadFull(r, header)
	if got >= 4 {
		if m := binary.BigEndian.Uint32(header); m != magic {
			return nil, fmt.Errorf("%q: magic number 0x%08x, expected 0x%08x (IDX %s)%s", name, m, magic, what, guess(m))
		}
	}
	if err != nil {
		return nil, readError(err, name, fmt.Sprintf("a header of %d bytes", len(header)), got)
	}
	sizes := make([]uint64, dims)
	for i := range sizes {
		sizes[i] = uint64(binary.BigEndian.Uint32(header[4+4*i:]))
	}
	if sizes[0] == 0 {
		return nil, fmt.Errorf("%q: no %s in the file, expected at least one", name, what)
	}
	return sizes, nil
}

// guess says what a file with the wrong magic number may be.
func guess(magic uint32) string {
	switch {
	case magic == imagesMagic:
		return ": this is an image file"
	case magic == labelsMagic:
		return ": this is a label file"
	case magic>>16 == 0x1f8b:
		return ": this is a gzip file, packed twice?"
	}
	return ""
}

// readContent reads n items of the given size and checks that the file ends there. n and size
// are below 2^32.
func readContent(r io.Reader, name string, n, size uint64, what string) ([]byte, error) {
	if n > maxBytes/size {
		return nil, fmt.Errorf("%q: its header promises %s, expected at most %d bytes", name, what, uint64(maxBytes))
	}
	total := int(n * size)
	content := make([]byte, min(total, 1<<20))
	for got := 0; ; {
		more, err := io.ReadFull(r, content[got:])
		got += more
		if err != nil {
			return nil, readError(err, name, fmt.Sprintf("%d bytes (%s)", total, what), got)
		}
		if got == total {
			break
		}
		content = append(make([]byte, 0, min(total, 2*got)), content...)
		content = content[:cap(content)]
	}
	switch extra, err := io.ReadFull(r, make([]byte, 1)); {
	case extra > 0:
		return nil, fmt.Errorf("%q: content goes on after the expected %d bytes (%s)", name, total, what)
	case err != io.EOF:
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return content, nil
}

// readError says that the file ended early, or what else went wrong in reading it.
func readError(err error, name, expected string, got int) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%q is truncated: expected %s, found %d", name, expected, got)
	}
	return fmt.Errorf("%q: after %d bytes of an expected %s: %w", name, got, expected, err)
}
