package device

import (
	"strconv"
	"strings"
)

// EncodeFloats writes values as decimal numbers joined by commas, so that an Op which holds them
// stays comparable. DecodeFloats gives back the same bits (of a NaN, a NaN).
func EncodeFloats(values []float32) string {
	var text []byte
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendFloat(text, float64(v), 'g', -1, 32)
	}
	return string(text)
}

// DecodeFloats reads what EncodeFloats wrote. It panics on anything else: these strings are
// never a user's.
func DecodeFloats(text string) []float32 {
	if text == "" {
		return nil
	}
	fields := strings.Split(text, ",")
	values := make([]float32, len(fields))
	for i, field := range fields {
		v, err := strconv.ParseFloat(field, 32)
		if err != nil {
			panic("device: list of floats: " + err.Error())
		}
		values[i] = float32(v)
	}
	return values
}
