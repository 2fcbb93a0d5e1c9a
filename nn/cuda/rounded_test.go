package cuda

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/nn/backendtest"
	"rampart/nn/cpu"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
)

// openRounded opens an emulated device with tensor cores.
func openRounded(t *testing.T, seed uint64, p device.Precision) *Device {
	t.Helper()
	m := ptx.NewMachine(seed)
	m.Capability = 80
	d, err := New(m, 0)
	if err == nil {
		err = d.Round(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRoundedSuite runs the suite for rounded operands on the kernels for tensor cores, with tiles of
// both sizes.
func TestRoundedSuite(t *testing.T) {
	for _, p := range []device.Precision{device.TF32, device.BF16} {
		t.Run(string(p), func(t *testing.T) {
			if testing.Short() && p == device.TF32 {
				t.Skip("the other precision is enough")
			}
			devices := 0
			backendtest.RunRounded(t, 1e-2, func(threads int) device.Device {
				d := openRounded(t, uint64(threads), p)
				if devices++; devices%2 == 0 {
					d.fill = 1
				}
				return d
			})
		})
	}
}

func TestRoundErrors(t *testing.T) {
	d, _ := open(t, 1)
	if err := d.Round(device.TF32); err == nil || !strings.Contains(err.Error(), `needs compute capability 8.0, PTX on the processor has 7.5: use "fp32"`) {
		t.Errorf("tensor cores on a device of 7.5: %v", err)
	}
	if err := d.Round("fp16"); err == nil || !strings.Contains(err.Error(), `unknown precision "fp16"`) {
		t.Errorf("an unknown precision: %v", err)
	}
	if err := d.Round(device.FP32); err != nil || strings.Contains(d.Name(), "fp32") {
		t.Errorf("fp32: %v, %s", err, d.Name())
	}
	d = openRounded(t, 1, device.BF16)
	if !strings.Contains(d.Name(), "compute 8.0, bf16") {
		t.Errorf("the name is %s", d.Name())
	}
	if err := d.needProduct("dense"); err != nil {
		t.Fatal(err)
	}
	if err := d.Round(device.TF32); err == nil || !strings.Contains(err.Error(), "loaded already") {
		t.Errorf("another precision later: %v", err)
	}
}

// TestRoundedTraining: adversarial training on tensor cores begins as on the processor. (Signs of gradients
// amplify rounding, so that the ways part later.)
func TestRoundedTraining(t *testing.T) {
	const steps = 4
	set := stripes(t, 120)
	want := train(t, cpu.New(1), set, steps)
	for _, p := range []device.Precision{device.TF32, device.BF16} {
		got := train(t, openRounded(t, 1, p), set, steps)
		for i, loss := range got.losses {
			if math.Abs(loss-want.losses[i]) > 1e-2*want.losses[i] {
				t.Errorf("%s: step %d has loss %v, %v on the processor", p, i, loss, want.losses[i])
			}
		}
		if slices.Equal(got.losses, want.losses) {
			t.Errorf("%s: nothing is rounded", p)
		}
	}
}
