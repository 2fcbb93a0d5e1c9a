package matfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// reader counts what it has read.
type reader struct {
	r     io.Reader
	order binary.ByteOrder
	at    int64
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.at += int64(n)
	return n, err
}

// full fills p, or says what is missing.
func (r *reader) full(p []byte, what string) error {
	if n, err := io.ReadFull(r, p); err != nil {
		return fmt.Errorf("the %s is cut off after %d of %d bytes: %w", what, n, len(p), noEOF(err))
	}
	return nil
}

// rest passes over what is left of an element of size bytes.
func (r *reader) rest(size uint32) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if r.at != int64(size) {
		return fmt.Errorf("it is cut off after %d bytes: %w", r.at, io.ErrUnexpectedEOF)
	}
	return nil
}

// noEOF marks an end where more should have come.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// tag reads the eight bytes in front of an element of the file; io.EOF where there is none.
func (r *reader) tag() (kind, size uint32, err error) {
	var b [8]byte
	if n, err := io.ReadFull(r, b[:]); err != nil {
		if n > 0 {
			err = fmt.Errorf("byte %d: the file is cut off in a tag: %w", r.at, io.ErrUnexpectedEOF)
		}
		return 0, 0, err
	}
	return r.order.Uint32(b[:]), r.order.Uint32(b[4:]), nil
}

// subTag reads the tag of a part of an array. In the small format the content, of up to four
// bytes, is in the tag itself, and comes back as inline.
func (r *reader) subTag() (kind, size uint32, inline io.Reader, err error) {
	kind, size, err = r.tag()
	if err != nil || kind>>16 == 0 {
		return kind, size, nil, err
	}
	packed := make([]byte, 4)
	r.order.PutUint32(packed, size)
	if size = kind >> 16; size > 4 {
		return 0, 0, nil, fmt.Errorf("a small element of %d bytes, expected at most 4", size)
	}
	return kind & 0xffff, size, bytes.NewReader(packed[:size]), nil
}

// small reads a whole part of at most limit bytes with its padding.
func (r *reader) small(want, limit uint32, what string) ([]byte, error) {
	kind, size, inline, err := r.subTag()
	if err != nil {
		return nil, fmt.Errorf("array %s: %w", what, noEOF(err))
	}
	if kind != want || size > limit {
		return nil, fmt.Errorf("array %s: type %d with %d bytes, expected type %d with at most %d", what, kind, size, want, limit)
	}
	if inline != nil {
		return io.ReadAll(inline)
	}
	content := make([]byte, (size+7)/8*8)
	if err := r.full(content, "array's "+what); err != nil {
		return nil, err
	}
	return content[:size], nil
}

// numeric is a type of numbers.
type numeric struct {
	size  int
	value func(b []byte) float64
}

func (r *reader) numeric(kind uint32) (numeric, error) {
	o := r.order
	switch kind {
	case miINT8:
		return numeric{1, func(b []byte) float64 { return float64(int8(b[0])) }}, nil
	case miUINT8:
		return numeric{1, func(b []byte) float64 { return float64(b[0]) }}, nil
	case 3: // miINT16
		return numeric{2, func(b []byte) float64 { return float64(int16(o.Uint16(b))) }}, nil
	case 4: // miUINT16
		return numeric{2, func(b []byte) float64 { return float64(o.Uint16(b)) }}, nil
	case miINT32:
		return numeric{4, func(b []byte) float64 { return float64(int32(o.Uint32(b))) }}, nil
	case miUINT32:
		return numeric{4, func(b []byte) float64 { return float64(o.Uint32(b)) }}, nil
	case 7: // miSINGLE
		return numeric{4, func(b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }}, nil
	case miDOUBLE:
		return numeric{8, func(b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }}, nil
	case 12: // miINT64
		return numeric{8, func(b []byte) float64 { return float64(int64(o.Uint64(b))) }}, nil
	case 13: // miUINT64
		return numeric{8, func(b []byte) float64 { return float64(o.Uint64(b)) }}, nil
	}
	return numeric{}, fmt.Errorf("content of type %d, expected numbers", kind)
}

// Bytes returns a reader of the values, which must be stored as unsigned bytes, the first
// dimension running fastest.
func (a *Array) Bytes() (io.Reader, error) {
	if a.kind.size != 1 || a.kind.value([]byte{255}) != 255 {
		return nil, fmt.Errorf("array %q is not stored as unsigned bytes", a.Name)
	}
	return a.r, nil
}

// Values reads all values, the first dimension running fastest. Memory grows with what arrives.
func (a *Array) Values() ([]float64, error) {
	raw, err := io.ReadAll(a.r)
	if err != nil {
		return nil, fmt.Errorf("array %q: %w", a.Name, err)
	}
	if len(raw) != a.size {
		return nil, fmt.Errorf("array %q: the content is cut off after %d of %d bytes: %w", a.Name, len(raw), a.size, io.ErrUnexpectedEOF)
	}
	values := make([]float64, 0, a.Len())
	for ; len(raw) > 0; raw = raw[a.kind.size:] {
		values = append(values, a.kind.value(raw))
	}
	return values, nil
}
