// Package cuda executes programs on an NVIDIA GPU, through CUDA's driver API.
//
// A program is a list of kernel launches on one stream over one arena that all programs of a device
// share. The kernels are CUDA C++ (kernels/*.cu), compiled ahead to PTX that lies beside them and in
// the binary; the driver of the machine turns it into machine code. The steps of an attack are
// launched one after another, and nothing is waited for or copied until the last; early stop is a
// mask. Where the driver has graphs, a step of an attack is one launch, and so are the gradient of the
// weights and their update: what changes from one to the next lies in memory. Sums have an order that
// depends on sizes alone: the same call gives the same bits every time, and in evaluation a row's
// results depend on that row alone.
package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// Device is a GPU. It is not safe for concurrent use.
type Device struct {
	drv     driver.Driver
	about   driver.Description
	number  int
	context driver.Context
	stream  driver.Stream // of all work
	copies  driver.Stream // of batches that travel ahead; 0 until there is one
	kernels map[string]driver.Function
	modules map[string]bool
	err     error // the first failure of a call that cannot return one; every later call does
	params  []byte
	staging staging
	arena   driver.Pointer
	size    int     // of the arena, in bytes
	fill    int     // see product
	labels  *Tensor // of Tally
	owed    *Tensor // of Owed
	graphs  graphs
	loaded  int // programs

	precision device.Precision // of products; "" is FP32
	link      *link            // to the other devices of a Group; nil for none

	mutex sync.Mutex
	free  map[int][]*block // memory of tensors that nobody holds, by size
}

// New opens a device of a driver, counted from 0.
func New(drv driver.Driver, number int) (*Device, error) {
	d := &Device{drv: drv, number: number, fill: fill, kernels: map[string]driver.Function{}, modules: map[string]bool{}, free: map[int][]*block{}}
	n, err := drv.Devices()
	if err == nil && number >= n {
		err = fmt.Errorf("there is no device %d: this machine has %d, counted from 0", number, n)
	}
	if err == nil {
		d.about, err = drv.Describe(number)
	}
	if err == nil && d.about.Major*10+d.about.Minor < oldest {
		err = fmt.Errorf("%s has compute capability %d.%d: at least %d.%d is needed", d.about.Name, d.about.Major, d.about.Minor, oldest/10, oldest%10)
	}
	if err == nil {
		d.context, err = drv.Retain(number)
	}
	if err != nil {
		return nil, fmt.Errorf("open cuda:%d: %w", number, err)
	}
	defer d.enter()()
	if d.err == nil {
		d.stream, err = drv.NewStream()
		d.fail(err)
	}
	if d.err != nil {
		return nil, fmt.Errorf("open cuda:%d: %w", number, d.err)
	}
	return d, nil
}

// oldest is the compute capability that the kernels are compiled for.
const oldest = 75

// Name implements device.Device.
func (d *Device) Name() string {
	rounding := ""
	if d.rounds() {
		rounding = ", " + string(d.precision)
	}
	return fmt.Sprintf("cuda:%d (%s, compute %d.%d%s)", d.number, d.about.Name, d.about.Major, d.about.Minor, rounding)
}

// enter makes the device that of the calling thread; what it returns ends that.
func (d *Device) enter() (leave func()) {
	runtime.LockOSThread() // a context belongs to a thread
	d.fail(d.drv.Enter(d.context))
	return runtime.UnlockOSThread
}

// fail remembers the first error.
func (d *Device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// ok reports whether nothing has failed so far.
func (d *Device) ok() bool { return d.err == nil }

// alloc returns device memory. Where there is not enough it lets go of what nobody holds any more.
func (d *Device) alloc(bytes int) (driver.Pointer, error) {
	p, err := d.drv.Alloc(bytes)
	if !errors.Is(err, driver.ErrMemory) {
		return p, err
	}
	runtime.GC() // tensors without a holder hand their memory back
	runtime.GC()
	if err := d.release(); err != nil {
		return 0, err
	}
	return d.drv.Alloc(bytes)
}

// release frees the memory of tensors that nobody holds.
func (d *Device) release() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for size, list := range d.free {
		for _, b := range list {
			if err := d.discard(b); err != nil {
				return err
			}
		}
		delete(d.free, size)
	}
	return nil
}

// sizeText writes a number of bytes for a person.
func sizeText(bytes float64) string {
	const unit = 1 << 20
	if bytes < 10*unit {
		return fmt.Sprintf("%.1f MiB", bytes/unit)
	}
	if bytes < 10*unit*1024 {
		return fmt.Sprintf("%.0f MiB", bytes/unit)
	}
	return fmt.Sprintf("%.1f GiB", bytes/unit/1024)
}

var _ device.Device = (*Device)(nil)
