package cuda

import (
	"rampart/nn/cuda/nccl"
	"rampart/nn/device"
)

// OpenSeveral opens GPUs of this machine as one device, all of them where none is named. Several need NCCL.
func OpenSeveral(numbers ...int) (device.Device, error) {
	if len(numbers) == 0 {
		drv, err := machine()
		n := 0
		if err == nil {
			n, err = drv.Devices()
		}
		if err != nil {
			return nil, missing(err)
		}
		for k := range max(n, 1) {
			numbers = append(numbers, k)
		}
	}
	var list []*Device
	for _, n := range numbers {
		d, err := Open(n)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	library, err := nccl.Open("")
	if err != nil {
		return nil, err
	}
	return NewGroup(list, library)
}
