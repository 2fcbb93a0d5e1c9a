package cuda

import (
	"os"
	"testing"

	"rampart/nn/backendtest"
	"rampart/nn/cuda/nccl"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
)

// openGroup makes a group of make-believe GPUs.
func openGroup(t *testing.T, seed uint64, devices int) (*Group, *ptx.Rack) {
	t.Helper()
	r := ptx.NewRack(seed, devices)
	return groupOf(t, r, r), r
}

// groupOf makes a group of a rack's devices with a library of its own.
func groupOf(t *testing.T, r *ptx.Rack, library nccl.Library) *Group {
	t.Helper()
	var list []*Device
	for k := range r.Machines {
		d, err := New(r.Driver(k), k)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	g, err := NewGroup(list, library)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGroupSuite runs the executors' suite on two devices that work as one, where check.sh asks for it.
func TestGroupSuite(t *testing.T) {
	if os.Getenv("RAMPART_SUITE") != "full" {
		t.Skip("minutes on two cores: RAMPART_SUITE=full; TestGroup is the short form")
	}
	backendtest.RunAll(t, func(threads int) device.Device {
		g, _ := openGroup(t, uint64(threads), 2)
		return g
	})
}
