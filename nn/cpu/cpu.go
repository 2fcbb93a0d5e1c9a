// Package cpu executes programs on the processor with the kernels of nn/kernel.
//
// Where rows are independent a worker takes a tile of examples through as many instructions as it
// can, without waiting for the others, and convolutions run image by image, so that what lies
// between them stays in cache. Sums over rows are split by parameter, never by worker: results are
// the same to the last bit for any number of threads.
package cpu

import (
	"fmt"
	"runtime"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// Device is a number of threads. It is not safe for concurrent use.
type Device struct {
	pool   *pool
	update update
	arena  arena
}

// New returns a device with the given number of threads, all cores for 0.
func New(threads int) *Device {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := &Device{pool: newPool(threads)}
	d.update.measureWork, d.update.applyWork = d.update.measure, d.update.apply
	return d
}

// Name implements device.Device.
func (d *Device) Name() string {
	return fmt.Sprintf("cpu (%s, %d threads)", kernel.Current(), d.pool.workers)
}

// Threads is the number of threads.
func (d *Device) Threads() int { return d.pool.workers }

// New implements device.Device.
func (d *Device) New(n int) device.Tensor { return make(Tensor, n) }

// Tensor is plain memory.
type Tensor []float32

// Len implements device.Tensor.
func (t Tensor) Len() int { return len(t) }

// Upload implements device.Tensor.
func (t Tensor) Upload(src []float32, at int) { copy(t[at:], src) }

// Download implements device.Tensor.
func (t Tensor) Download(dst []float32, at int) { copy(dst, t[at:]) }

func host(t device.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.(Tensor)
}
