package device

import "fmt"

// Precision is what the operands of convolutions and dense layers are rounded to; sums stay float32.
type Precision string

// The precisions. "" is FP32, too.
const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32" // 10 bits of mantissa
	BF16 Precision = "bf16" // 7 bits of mantissa
)

// Validate reports a precision that there is not.
func (p Precision) Validate() error {
	switch p {
	case "", FP32, TF32, BF16:
		return nil
	}
	return fmt.Errorf("unknown precision %q: use %q, %q or %q", p, FP32, TF32, BF16)
}

// Rounding is a Device that can compute with less than FP32.
type Rounding interface {
	Device
	// Round sets the precision, before the first program is loaded. It fails where the device cannot.
	Round(Precision) error
}
