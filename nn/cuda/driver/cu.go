//go:build cu && !nocuda

package driver

/*
#cgo LDFLAGS: -lcuda
#include <cuda.h>

// launch gives a kernel its parameters as one buffer: cu's Launch takes eight bytes for each.
static CUresult launch(CUfunction f, const int *grid, const int *block, void *params, size_t bytes, CUstream s) {
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, params, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
	return cuLaunchKernel(f, grid[0], grid[1], grid[2], block[0], block[1], block[2], 0, s, NULL, extra);
}
*/
import "C"

import (
	"errors"
	"reflect"
	"strings"
	"unsafe"

	"gorgonia.org/cu"
)

// linked calls the driver through gorgonia.org/cu, and through cgo where cu has no such call (pinned
// memory, launches with structs, graphs). Its handles are cu's own: structs of one pointer.
type linked struct{ version int }

// Open returns the driver that the program is linked with (go build -tags cu). A library cannot be named.
// Without a driver such a program does not start, and without a GPU it ends at once: that is cu's way.
func Open(library string) (Driver, error) {
	if library != "" {
		return nil, errors.New("this program was built with -tags cu: its driver is the libcuda that it is linked with")
	}
	version, err := linked{}.Version()
	return linked{version}, err
}

// as gives one handle the type of another.
func as[To, From any](h From) To {
	var to To
	if unsafe.Sizeof(to) != unsafe.Sizeof(h) {
		panic("driver: gorgonia.org/cu has changed its handles")
	}
	return *(*To)(unsafe.Pointer(&h))
}

// checked gives an error of cu, a number, the driver's own words.
func checked(function int, err error) error {
	if err == nil {
		return nil
	}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Int {
		return err
	}
	return result(function, C.CUresult(v.Int()))
}

// result is the error of a call through cgo.
func result(function int, r C.CUresult) error {
	if r == C.CUDA_SUCCESS {
		return nil
	}
	e := &Error{Call: symbols[function].name, Code: int(r)}
	var s *C.char
	if C.cuGetErrorName(r, &s) == C.CUDA_SUCCESS {
		e.Name = C.GoString(s)
	}
	if C.cuGetErrorString(r, &s) == C.CUDA_SUCCESS {
		e.Text = C.GoString(s)
	}
	return e
}

// Version implements Driver.
func (linked) Version() (int, error) {
	var v C.int
	err := result(cuDriverGetVersion, C.cuDriverGetVersion(&v)) // cu drops the error
	return int(v), err
}

// Devices implements Driver.
func (linked) Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, checked(cuDeviceGetCount, err)
}

// Describe implements Driver.
func (linked) Describe(number int) (about Description, err error) {
	d, err := cu.GetDevice(number)
	if err != nil {
		return about, checked(cuDeviceGet, err)
	}
	if about.Name, err = d.Name(); err != nil {
		return about, checked(cuDeviceGetName, err)
	}
	bytes, err := d.TotalMem()
	if err != nil {
		return about, checked(cuDeviceTotalMem, err)
	}
	about.Memory = uint64(bytes)
	list, err := d.Attributes(cu.ComputeCapabilityMajor, cu.ComputeCapabilityMinor, cu.MultiprocessorCount)
	if err != nil {
		return about, checked(cuDeviceGetAttribute, err)
	}
	about.Major, about.Minor, about.Processors = list[0], list[1], list[2]
	return about, nil
}

// Retain implements Driver.
func (linked) Retain(number int) (Context, error) {
	d, err := cu.GetDevice(number)
	if err != nil {
		return 0, checked(cuDeviceGet, err)
	}
	c, err := d.RetainPrimaryCtx()
	return as[Context](c), checked(cuDevicePrimaryCtxRetain, err)
}

// Release implements Driver.
func (linked) Release(number int) error {
	d, err := cu.GetDevice(number)
	if err != nil {
		return checked(cuDeviceGet, err)
	}
	return checked(cuDevicePrimaryCtxRelease, d.ReleasePrimaryCtx())
}

// Enter implements Driver.
func (linked) Enter(c Context) error {
	return checked(cuCtxSetCurrent, cu.SetCurrentContext(as[cu.CUContext](c)))
}

// Memory implements Driver.
func (linked) Memory() (free, total uint64, err error) {
	f, t, err := cu.MemInfo()
	return uint64(f), uint64(t), checked(cuMemGetInfo, err)
}

// Load implements Driver.
func (linked) Load(ptx []byte) (Module, error) {
	m, err := cu.LoadData(strings.TrimSuffix(string(ptx), "\x00"))
	return as[Module](m), checked(cuModuleLoadData, err)
}

// Unload implements Driver.
func (linked) Unload(m Module) error { return checked(cuModuleUnload, as[cu.Module](m).Unload()) }

// Function implements Driver.
func (linked) Function(m Module, name string) (Function, error) {
	f, err := as[cu.Module](m).Function(name)
	return as[Function](f), checked(cuModuleGetFunction, err)
}

// Launch implements Driver.
func (linked) Launch(f Function, grid, block [3]int, params []byte, s Stream) error {
	if err := fits(params); err != nil {
		return err
	}
	ints := func(v [3]int) *C.int { return &[]C.int{C.int(v[0]), C.int(v[1]), C.int(v[2])}[0] }
	return result(cuLaunchKernel, C.launch(as[C.CUfunction](f), ints(grid), ints(block), unsafe.Pointer(unsafe.SliceData(params)),
		C.size_t(len(params)), as[C.CUstream](s)))
}
