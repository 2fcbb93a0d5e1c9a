package cuda

import (
	"fmt"

	"rampart/nn/device"
)

// oldestTensor is the compute capability from which on tensor cores take TF32 and bf16.
const oldestTensor = 80

// Round implements device.Rounding: convolutions and dense layers run on tensor cores.
func (d *Device) Round(p device.Precision) error {
	if err := p.Validate(); err != nil || p == "" || p == device.FP32 {
		return err
	}
	if d.about.Major*10+d.about.Minor < oldestTensor {
		return fmt.Errorf("precision %q needs compute capability %d.%d, %s has %d.%d: use %q",
			p, oldestTensor/10, oldestTensor%10, d.about.Name, d.about.Major, d.about.Minor, device.FP32)
	}
	if len(d.modules) > 0 {
		return fmt.Errorf("precision %q: programs are loaded already", p)
	}
	d.precision = p
	return nil
}

// rounds reports whether products run on tensor cores.
func (d *Device) rounds() bool { return d.precision != "" && d.precision != device.FP32 }

var _ device.Rounding = (*Device)(nil)
