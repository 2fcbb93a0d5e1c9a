package dtype_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"rampart/nn/dtype"
)

func TestHalf(t *testing.T) {
	for h, want := range map[uint16]float32{
		0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: 0x1p-24, 0x83ff: -1023 * 0x1p-24, 0x0400: 0x1p-14, 0x3555: 0.333251953125,
		0x7c00: float32(math.Inf(1)), 0xfc00: float32(math.Inf(-1)),
	} {
		if got := dtype.Half(h); got != want {
			t.Errorf("%#04x: got %v, want %v", h, got, want)
		}
	}
	if got := dtype.Half(0x8000); got != 0 || !math.Signbit(float64(got)) {
		t.Errorf("-0 became %v", got)
	}
	if got := dtype.Half(0x7e00); got == got {
		t.Errorf("NaN became %v", got)
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  float32
	}{
		{"F32", []byte{0, 0, 0x20, 0xc0}, -2.5},
		{"F64", []byte{0, 0, 0, 0, 0, 0, 0x04, 0xc0}, -2.5},
		{"F16", []byte{0x00, 0xc1}, -2.5},
		{"BF16", []byte{0x20, 0xc0}, -2.5},
		{"I64", []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2},
		{"I32", []byte{0xfe, 0xff, 0xff, 0xff}, -2},
		{"I16", []byte{0xfe, 0xff}, -2},
		{"I8", []byte{0xfe}, -2},
		{"U8", []byte{0xfe}, 254},
		{"BOOL", []byte{1}, 1},
	} {
		d := dtype.Types[c.name]
		got := make([]float32, 70_000) // more than one chunk
		if err := dtype.Read(bytes.NewReader(bytes.Repeat(c.bytes, len(got))), got, d); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != c.want {
				t.Fatalf("%s: value %d is %v, want %v", c.name, i, v, c.want)
			}
		}
		if err := dtype.Read(bytes.NewReader(c.bytes), got[:2], d); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: a file that ends early: %v", c.name, err)
		}
	}
	if len(dtype.Types) != 10 {
		t.Errorf("%d types, and 10 are tested", len(dtype.Types))
	}
}
