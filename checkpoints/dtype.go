package checkpoints

import (
	"encoding/binary"
	"io"
	"math"
)

// dtype is a number format of safetensors that can be read as float32.
type dtype struct {
	size int // bytes
	get  func(b []byte) float32
}

var dtypes = map[string]dtype{
	"F32":  {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"F64":  {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	"F16":  {2, func(b []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(b)) }},
	"BF16": {2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }},
}

// halfToFloat converts an IEEE 754 binary16, which float32 holds exactly.
func halfToFloat(h uint16) float32 {
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

func readFloats(r io.Reader, dst []float32, d dtype) error {
	buffer := make([]byte, min(chunk, len(dst)*d.size))
	for len(dst) > 0 {
		n := min(len(dst), chunk/d.size)
		if _, err := io.ReadFull(r, buffer[:n*d.size]); err != nil {
			return err
		}
		for i := range dst[:n] {
			dst[i] = d.get(buffer[i*d.size:])
		}
		dst = dst[n:]
	}
	return nil
}

// writeFloats writes F32.
func writeFloats(w io.Writer, src []float32) error {
	buffer := make([]byte, 0, min(chunk, 4*len(src)))
	for len(src) > 0 {
		n := min(len(src), chunk/4)
		buffer = buffer[:0]
		for _, x := range src[:n] {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		src = src[n:]
	}
	return nil
}
