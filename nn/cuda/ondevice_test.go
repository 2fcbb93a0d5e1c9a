package cuda

import (
	"os"
	"strconv"
	"testing"

	"rampart/nn/backendtest"
	"rampart/nn/device"
)

// gpuNumber is the GPU that RAMPART_CUDA names; without it there is none to test on.
func gpuNumber(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("RAMPART_CUDA"))
	if err != nil {
		t.Skip("RAMPART_CUDA does not give the number of a GPU; nn/cuda/ondevice.sh runs this")
	}
	return n
}

func openGPU(t *testing.T) *Device {
	t.Helper()
	d, err := Open(gpuNumber(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOnDeviceSuite is the executors' suite on a GPU.
func TestOnDeviceSuite(t *testing.T) {
	openGPU(t) // one failure where it cannot be opened
	backendtest.RunAll(t, func(int) device.Device { return openGPU(t) })
}

// TestOnDeviceRounded is the suite for rounded operands on a GPU with tensor cores.
func TestOnDeviceRounded(t *testing.T) {
	for _, p := range []device.Precision{device.TF32, device.BF16} {
		if d := openGPU(t); d.about.Major*10+d.about.Minor < oldestTensor {
			t.Skipf("%s has no tensor cores for it", d.Name())
		}
		t.Run(string(p), func(t *testing.T) {
			backendtest.RunRounded(t, 1e-2, func(int) device.Device {
				d := openGPU(t)
				if err := d.Round(p); err != nil {
					t.Fatal(err)
				}
				return d
			})
		})
	}
}

// TestOnDeviceShort compares a GPU with the processor, and, bit for bit, with itself.
func TestOnDeviceShort(t *testing.T) {
	for _, wide := range []bool{false, true} {
		var first outcome
		for range 3 {
			d := openGPU(t)
			if wide {
				d.fill = 1
			}
			got, err := work(d, wide)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.differs(reference(t, wide)); err != nil {
				t.Errorf("wide %v: %v", wide, err)
			}
			if first == nil {
				first = got
			}
			got.same(t, first)
		}
	}
}

// TestOnDeviceTraining compares longer runs on a GPU with the processor's.
func TestOnDeviceTraining(t *testing.T) { trainsAlike(t, openGPU(t)) }
