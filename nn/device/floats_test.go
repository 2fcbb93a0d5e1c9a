package device

import (
	"math"
	"testing"
)

func TestFloatsRoundTrip(t *testing.T) {
	inf := float32(math.Inf(1))
	lists := [][]float32{
		nil,
		{0},
		{0.1307, 0.3081},
		{1.0 / 3, -2.5e-7, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1))},
		{inf, -inf, 1},
	}
	for _, list := range lists {
		text := EncodeFloats(list)
		got := DecodeFloats(text)
		if len(got) != len(list) {
			t.Fatalf("%v became %v by way of %q", list, got, text)
		}
		for i := range list {
			if math.Float32bits(got[i]) != math.Float32bits(list[i]) {
				t.Errorf("value %d of %v became %v by way of %q", i, list, got[i], text)
			}
		}
	}
}

func TestDecodeFloatsRejectsForeignText(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("DecodeFloats accepted \"1,x\"")
		}
	}()
	DecodeFloats("1,x")
}
