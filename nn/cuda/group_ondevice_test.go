package cuda

import (
	"testing"

	"rampart/nn/cuda/nccl"
)

// TestOnDeviceGroup trains on all GPUs of the machine as one, and on one of them. With a single GPU it shows that
// NCCL takes the calls, and no more.
func TestOnDeviceGroup(t *testing.T) {
	gpuNumber(t)
	library, err := nccl.Open("")
	if err != nil {
		t.Skip(err)
	}
	drv, err := machine()
	if err != nil {
		t.Fatal(err)
	}
	n, err := drv.Devices()
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range groupRuns {
		want, err := run.train(openGPU(t))
		if err != nil {
			t.Fatal(err)
		}
		var list []*Device
		for k := range n {
			d, err := Open(k)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
		}
		g, err := NewGroup(list, library)
		if err != nil {
			t.Fatal(err)
		}
		w := &watched{Group: g}
		got, err := run.train(w)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.near(want); err != nil {
			t.Errorf("%s on %s: %v", name, g.Name(), err)
		}
		if err := g.alike(w.params); err != nil {
			t.Errorf("%s on %s: %v", name, g.Name(), err)
		}
	}
}
