package cpu

import (
	"testing"

	"rampart/nn/backendtest"
	"rampart/nn/device"
	"rampart/nn/kernel"
)

// TestSuite runs the executors' suite with every implementation of the kernels that this
// processor can run.
func TestSuite(t *testing.T) {
	before := kernel.Current()
	defer kernel.Use(before)
	for _, name := range kernel.Implementations() {
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			backendtest.RunAll(t, func(threads int) device.Device { return New(threads) })
		})
	}
}

// TestSegments: with the fastest kernels, every network gives the same bits when it keeps few activations.
func TestSegments(t *testing.T) {
	backendtest.RunSegments(t, func(threads int) device.Device { return New(threads) })
}
