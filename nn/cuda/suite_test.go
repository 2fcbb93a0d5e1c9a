package cuda

import (
	"testing"

	"rampart/nn/backendtest"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
)

// TestSuite runs the executors' suite on the emulator. The number of threads seeds the order of warps
// and blocks, which no result may depend on.
func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute on two cores; TestAgainstProcessor is the short form")
	}
	backendtest.RunAll(t, func(threads int) device.Device {
		d, err := New(ptx.NewMachine(uint64(threads)), 0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
