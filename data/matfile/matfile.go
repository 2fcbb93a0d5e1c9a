// Package matfile reads arrays of numbers from MATLAB's level 5 MAT-files ("MAT-File Format",
// The MathWorks, 2019), plain or compressed. Elements of other kinds are passed over.
package matfile

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Types of data elements (table 1-1 of the format).
const (
	miINT8       = 1
	miUINT8      = 2
	miINT32      = 5
	miUINT32     = 6
	miDOUBLE     = 9
	miMATRIX     = 14
	miCOMPRESSED = 15
)

const (
	headerSize = 128
	maxDims    = 8
	maxName    = 63 // characters, as in MATLAB
)

// Array is a numeric array whose content has not been read yet.
type Array struct {
	Name string
	Dims []int // at least two
	kind numeric
	size int       // bytes of content
	r    io.Reader // of the content
}

// Len returns the number of values.
func (a *Array) Len() int {
	n := 1
	for _, d := range a.Dims {
		n *= d
	}
	return n
}

// Read calls visit for each numeric array of a file in its order; the array's content can be read
// within the call. Errors name the place of the element in the file.
func Read(file io.Reader, visit func(a *Array) error) error {
	r := &reader{r: bufio.NewReaderSize(file, 1<<16)}
	header := make([]byte, headerSize)
	if err := r.full(header, "header"); err != nil {
		return err
	}
	order, err := byteOrder(header)
	if err != nil {
		return err
	}
	r.order = order
	for {
		kind, size, err := r.tag()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start := r.at
		element := &reader{r: io.LimitReader(r, int64(size)), order: order}
		switch kind {
		case miMATRIX:
			err = element.matrix(size, visit)
		case miCOMPRESSED:
			err = element.compressed(visit)
		}
		if err == nil {
			err = element.rest(size)
		}
		if err != nil {
			return fmt.Errorf("element of %d bytes at byte %d: %w", size, start, err)
		}
	}
}

func byteOrder(header []byte) (binary.ByteOrder, error) {
	var order binary.ByteOrder
	switch string(header[126:128]) {
	case "IM":
		order = binary.LittleEndian
	case "MI":
		order = binary.BigEndian
	default:
		return nil, errors.New(`it is no MAT-file of level 5: bytes 126 and 127 are neither "IM" nor "MI" (one of version 7.3 is HDF5; save it with -v7)`)
	}
	if v := order.Uint16(header[124:]); v != 0x0100 {
		return nil, fmt.Errorf("version 0x%04x of the MAT format, expected 0x0100 (save it with -v7)", v)
	}
	return order, nil
}

// compressed reads an element that is packed with zlib.
func (r *reader) compressed(visit func(a *Array) error) error {
	unpacked, err := zlib.NewReader(r)
	if err != nil {
		return err
	}
	inner := &reader{r: unpacked, order: r.order}
	kind, size, err := inner.tag()
	if err != nil {
		return noEOF(err)
	}
	if kind != miMATRIX {
		return nil
	}
	array := &reader{r: io.LimitReader(inner, int64(size)), order: r.order}
	if err := array.matrix(size, visit); err != nil {
		return err
	}
	return array.rest(size)
}

// matrix reads the parts of an array: flags, dimensions, name, content.
func (r *reader) matrix(size uint32, visit func(a *Array) error) error {
	if size == 0 {
		return nil // an empty array may be nothing but a tag
	}
	flags, err := r.small(miUINT32, 8, "flags")
	if err != nil {
		return err
	}
	if len(flags) != 8 {
		return fmt.Errorf("array flags of %d bytes, expected 8", len(flags))
	}
	word := r.order.Uint32(flags)
	class, isComplex, logical := word&0xff, word&0x0800 != 0, word&0x0200 != 0
	if class < 6 || class > 15 { // mxDOUBLE_CLASS to mxUINT64_CLASS; others are cells, text and the like
		return nil
	}
	dims, err := r.small(miINT32, 4*maxDims, "dimensions")
	if err != nil {
		return err
	}
	a := &Array{}
	if a.Dims, err = r.dims(dims); err != nil {
		return err
	}
	name, err := r.small(miINT8, maxName, "name")
	if err != nil {
		return err
	}
	a.Name = string(name)
	if isComplex || logical {
		return nil
	}
	return r.content(a, visit)
}

func (r *reader) dims(raw []byte) ([]int, error) {
	if len(raw) < 8 || len(raw)%4 != 0 {
		return nil, fmt.Errorf("dimensions of %d bytes, expected 2 to %d numbers of 4 bytes", len(raw), maxDims)
	}
	var dims []int
	total := 1
	for ; len(raw) > 0; raw = raw[4:] {
		d := int(int32(r.order.Uint32(raw)))
		if d < 0 || d > 0 && total > math.MaxInt32/d {
			return nil, fmt.Errorf("dimension %d after %v: negative, or more than 2^31-1 values in all", d, dims)
		}
		dims, total = append(dims, d), total*d
	}
	return dims, nil
}

// content opens the numbers of an array and hands it to visit.
func (r *reader) content(a *Array, visit func(a *Array) error) error {
	kind, size, inline, err := r.subTag()
	if err != nil {
		return fmt.Errorf("array %q: %w", a.Name, noEOF(err))
	}
	a.kind, err = r.numeric(kind)
	if err != nil {
		return fmt.Errorf("array %q: %w", a.Name, err)
	}
	if want := a.Len() * a.kind.size; int(size) != want {
		return fmt.Errorf("array %q: %d bytes of content, expected %d for %v values of %d bytes", a.Name, size, want, a.Dims, a.kind.size)
	}
	a.size, a.r = int(size), io.LimitReader(r, int64(size))
	if inline != nil {
		a.r = &reader{r: inline, order: r.order}
	}
	return visit(a)
}
