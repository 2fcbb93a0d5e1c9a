package checkpoints

import (
	"encoding/binary"
	"io"
	"math"
)

// chunk is how many bytes are converted at a time.
const chunk = 1 << 16

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
