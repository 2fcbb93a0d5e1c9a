package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// maxElements bounds what an operation on constants makes of small inputs, and the values of one
// example; maxFolded what all of them make.
const (
	maxElements = 1 << 24
	maxFolded   = 1 << 26
)

// constant is a tensor that does not depend on the network's input: whole numbers in ints, others in
// floats.
type constant struct {
	dims   []int
	floats []float32
	ints   []int64
	whole  bool
}

func (c *constant) len() int {
	if c.whole {
		return len(c.ints)
	}
	return len(c.floats)
}

// at is an element as a float64, which holds every float32 and every size that a file can need.
func (c *constant) at(i int) float64 {
	if c.whole {
		return float64(c.ints[i])
	}
	return float64(c.floats[i])
}

func wholes(values ...int64) *constant {
	return &constant{dims: []int{len(values)}, ints: values, whole: true}
}

// pick makes a tensor of c's elements.
func (c *constant) pick(dims []int, from []int) *constant {
	out := &constant{dims: dims, whole: c.whole}
	for _, i := range from {
		if c.whole {
			out.ints = append(out.ints, c.ints[i])
		} else {
			out.floats = append(out.floats, c.floats[i])
		}
	}
	return out
}

// shaped is c under another shape of the same size.
func (c *constant) shaped(dims []int) *constant {
	out := *c
	out.dims = dims
	return &out
}

// product counts the elements of a shape; ok is false for what no tensor can have.
func product(dims []int) (n int, ok bool) { return productTo(dims, math.MaxInt32) }

// productTo is product with a limit of its own: the number that stands for a batch of any size makes
// larger products than a tensor has.
func productTo(dims []int, most int) (n int, ok bool) {
	n = 1
	for _, d := range dims {
		if d < 0 || d > math.MaxInt32 || d > 0 && n > most/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// elementSizes are those of the types that are read.
var elementSizes = map[int64]int{typeFloat: 4, typeDouble: 8, typeFloat16: 2, typeBFloat16: 2, typeInt64: 8, typeInt32: 4, typeUint8: 1, typeInt8: 1, typeBool: 1}

// constantOf reads a tensor; files gives its data where they lie outside.
func constantOf(t *tensorProto, files *folder) (*constant, error) {
	c, err := readTensor(t, files)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return c, nil
}

func readTensor(t *tensorProto, files *folder) (*constant, error) {
	size, known := elementSizes[t.dataType]
	if !known {
		name := typeNames[t.dataType]
		if name == "" {
			name = fmt.Sprint(t.dataType)
		}
		return nil, fmt.Errorf("type %s is not supported: export in float32", name)
	}
	c := &constant{dims: make([]int, len(t.dims))}
	for i, d := range t.dims {
		if d < 0 || d > math.MaxInt32 {
			return nil, fmt.Errorf("shape %v makes no sense", t.dims)
		}
		c.dims[i] = int(d)
	}
	n, ok := product(c.dims)
	if !ok {
		return nil, fmt.Errorf("shape %v is too large", t.dims)
	}
	c.whole = t.dataType != typeFloat && t.dataType != typeDouble && t.dataType != typeFloat16 && t.dataType != typeBFloat16
	raw := t.raw
	if t.outside {
		var err error
		if raw, err = files.data(t.external, n*size); err != nil {
			return nil, err
		}
	}
	if raw == nil {
		return c, c.typed(t, n)
	}
	if len(raw) != n*size {
		return nil, fmt.Errorf("%d bytes for shape %v of %s, want %d", len(raw), t.dims, typeNames[t.dataType], n*size)
	}
	c.fromRaw(raw, t.dataType, n)
	return c, nil
}

// typed takes the values from the fields for their type.
func (c *constant) typed(t *tensorProto, n int) error {
	switch t.dataType {
	case typeFloat:
		c.floats = t.floats
	case typeDouble:
		for _, v := range t.doubles {
			c.floats = append(c.floats, float32(v))
		}
	case typeFloat16:
		for _, v := range t.ints {
			c.floats = append(c.floats, half(uint16(v)))
		}
	case typeBFloat16:
		for _, v := range t.ints {
			c.floats = append(c.floats, math.Float32frombits(uint32(uint16(v))<<16))
		}
	default:
		c.ints = t.ints
	}
	if c.len() != n {
		return fmt.Errorf("%d values for shape %v", c.len(), t.dims)
	}
	return nil
}

func (c *constant) fromRaw(raw []byte, dataType int64, n int) {
	if c.whole {
		c.ints = make([]int64, n)
	} else {
		c.floats = make([]float32, n)
	}
	le := binary.LittleEndian
	for i := range n {
		switch dataType {
		case typeFloat:
			c.floats[i] = math.Float32frombits(le.Uint32(raw[4*i:]))
		case typeDouble:
			c.floats[i] = float32(math.Float64frombits(le.Uint64(raw[8*i:])))
		case typeFloat16:
			c.floats[i] = half(le.Uint16(raw[2*i:]))
		case typeBFloat16:
			c.floats[i] = math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16)
		case typeInt64:
			c.ints[i] = int64(le.Uint64(raw[8*i:]))
		case typeInt32:
			c.ints[i] = int64(int32(le.Uint32(raw[4*i:])))
		case typeInt8:
			c.ints[i] = int64(int8(raw[i]))
		default:
			c.ints[i] = int64(raw[i])
		}
	}
}

// half reads an IEEE 754 half.
func half(h uint16) float32 {
	sign, exponent, fraction := float32(1-2*int(h>>15)), int(h>>10&31), float64(h&1023)
	switch exponent {
	case 0:
		return sign * float32(math.Ldexp(fraction, -24))
	case 31:
		if fraction != 0 {
			return float32(math.NaN())
		}
		return sign * float32(math.Inf(1))
	}
	return sign * float32(math.Ldexp(1024+fraction, exponent-25))
}

// list gives whole numbers as ints; ok is false for other constants, and for numbers beyond any size.
func (c *constant) list() (list []int, ok bool) {
	if c == nil || !c.whole {
		return nil, false
	}
	for _, v := range c.ints {
		list = append(list, int(v))
	}
	return list, true
}

// strides are those of a shape in row-major order.
func strides(dims []int) []int {
	s, n := make([]int, len(dims)), 1
	for i, d := range slices.Backward(dims) {
		s[i] = n
		n *= d
	}
	return s
}

// walk calls f with the index of every element of a shape, in row-major order. f must not keep it.
func walk(dims []int, f func(index []int)) {
	n, ok := product(dims)
	if !ok || n == 0 {
		return
	}
	index := make([]int, len(dims))
	for range n {
		f(index)
		for a := len(dims) - 1; a >= 0; a-- {
			if index[a]++; index[a] < dims[a] {
				break
			}
			index[a] = 0
		}
	}
}

// broadcast is the common shape of two (NumPy's rules).
func broadcast(a, b []int) ([]int, bool) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			y = b[j]
		}
		if x != y && x != 1 && y != 1 {
			return nil, false
		}
		out[i] = max(x, y)
		if x == 0 || y == 0 {
			out[i] = 0
		}
	}
	n, ok := product(out)
	return out, ok && n <= maxElements
}

// spread lists, for each element of a shape that dims broadcasts to, the one of dims that it reads.
func spread(dims, to []int) []int {
	s, skip := strides(dims), len(to)-len(dims)
	var from []int
	walk(to, func(index []int) {
		at := 0
		for i, d := range dims {
			if d > 1 {
				at += index[skip+i] * s[i]
			}
		}
		from = append(from, at)
	})
	return from
}
