// Package dtype converts the number formats of tensor files to float32.
package dtype

import (
	"encoding/binary"
	"io"
	"math"
)

// Type is a number format, little-endian.
type Type struct {
	Size int // bytes
	// Float says that it holds fractions. Whole numbers beyond 2^24 are rounded.
	Float bool
	Get   func(b []byte) float32
}

var le = binary.LittleEndian

// Types are the formats that can be read, by the names that safetensors gives them.
var Types = map[string]Type{
	"F32":  {4, true, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }},
	"F64":  {8, true, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }},
	"F16":  {2, true, func(b []byte) float32 { return Half(le.Uint16(b)) }},
	"BF16": {2, true, func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) }},
	"I64":  {8, false, func(b []byte) float32 { return float32(int64(le.Uint64(b))) }},
	"I32":  {4, false, func(b []byte) float32 { return float32(int32(le.Uint32(b))) }},
	"I16":  {2, false, func(b []byte) float32 { return float32(int16(le.Uint16(b))) }},
	"I8":   {1, false, func(b []byte) float32 { return float32(int8(b[0])) }},
	"U8":   {1, false, func(b []byte) float32 { return float32(b[0]) }},
	"BOOL": {1, false, func(b []byte) float32 { return float32(b[0]) }},
}

// Half converts an IEEE 754 binary16, which float32 holds exactly.
func Half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal numbers: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// chunk is how many bytes are converted at a time.
const chunk = 1 << 16

// Read fills dst with the values that come next from r.
func Read(r io.Reader, dst []float32, t Type) error {
	buffer := make([]byte, min(chunk, len(dst)*t.Size))
	for len(dst) > 0 {
		n := min(len(dst), chunk/t.Size)
		if _, err := io.ReadFull(r, buffer[:n*t.Size]); err != nil {
			return err
		}
		for i := range dst[:n] {
			dst[i] = t.Get(buffer[i*t.Size:])
		}
		dst = dst[n:]
	}
	return nil
}
