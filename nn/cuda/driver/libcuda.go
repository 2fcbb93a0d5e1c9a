//go:build (linux || windows) && (amd64 || arm64) && !nocuda && !cu

package driver

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libcuda calls the driver's library without cgo.
type libcuda struct {
	functions []uintptr
	graphs    bool
	launches  sync.Pool // of *launchMemory: threads of several devices launch at the same time
}

// launchMemory is where the driver finds the parameters of a launch: it gets their address from memory.
type launchMemory struct {
	params [maxParameterBytes]byte
	bytes  uintptr
	extra  [5]uintptr
}

// Open loads the machine's driver, or the library of the given name if that is not empty, and
// initialises it. It fails where there is no driver or no device.
func Open(library string) (Driver, error) {
	open, find, err := loader(library)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	c := &libcuda{functions: make([]uintptr, len(symbols))}
	for i, s := range symbols {
		if c.functions[i], err = find(open, s.name); err != nil {
			if i >= cuStreamBeginCapture {
				break // the driver has no graphs
			}
			return nil, fmt.Errorf("the CUDA driver is too old: %w", err)
		}
		c.graphs = i == len(symbols)-1
	}
	return c, c.call(cuInit, 0)
}

// call calls a function; the result is its error.
//
//go:uintptrescapes
func (c *libcuda) call(function int, args ...uintptr) error {
	if len(args) != len(symbols[function].parameters) {
		panic(fmt.Sprintf("driver: %s takes %d parameters, not %d", symbols[function].name, len(symbols[function].parameters), len(args)))
	}
	r, _, _ := purego.SyscallN(c.functions[function], args...)
	if code := int(int32(r)); code != 0 {
		return &Error{Call: symbols[function].name, Code: code, Name: c.text(cuGetErrorName, code), Text: c.text(cuGetErrorString, code)}
	}
	return nil
}

// text is what the driver says of an error.
func (c *libcuda) text(function, code int) string {
	var s *byte
	if r, _, _ := purego.SyscallN(c.functions[function], uintptr(code), uintptr(unsafe.Pointer(&s))); int32(r) != 0 || s == nil {
		return ""
	}
	n := 0
	for n < errorStringsMaxBytes && *(*byte)(unsafe.Add(unsafe.Pointer(s), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(s, n))
}

// Version implements Driver.
func (c *libcuda) Version() (int, error) {
	var v int32
	err := c.call(cuDriverGetVersion, uintptr(unsafe.Pointer(&v)))
	return int(v), err
}

// Devices implements Driver.
func (c *libcuda) Devices() (int, error) {
	var n int32
	err := c.call(cuDeviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// device returns the driver's number of a device.
func (c *libcuda) device(number int) (uintptr, error) {
	var d int32
	err := c.call(cuDeviceGet, uintptr(unsafe.Pointer(&d)), uintptr(number))
	return uintptr(d), err
}

// Describe implements Driver.
func (c *libcuda) Describe(number int) (Description, error) {
	var about Description
	d, err := c.device(number)
	if err != nil {
		return about, err
	}
	var name [maxDeviceName]byte
	if err := c.call(cuDeviceGetName, uintptr(unsafe.Pointer(&name)), maxDeviceName, d); err != nil {
		return about, err
	}
	for i, b := range name {
		if b == 0 {
			about.Name = string(name[:i])
			break
		}
	}
	var bytes uintptr
	if err := c.call(cuDeviceTotalMem, uintptr(unsafe.Pointer(&bytes)), d); err != nil {
		return about, err
	}
	about.Memory = uint64(bytes)
	for _, a := range []struct {
		to        *int
		attribute uintptr
	}{{&about.Major, attributeMajor}, {&about.Minor, attributeMinor}, {&about.Processors, attributeProcessors}} {
		var v int32
		if err := c.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), a.attribute, d); err != nil {
			return about, err
		}
		*a.to = int(v)
	}
	return about, nil
}

// Retain implements Driver.
func (c *libcuda) Retain(number int) (Context, error) {
	d, err := c.device(number)
	if err != nil {
		return 0, err
	}
	var h Context
	err = c.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&h)), d)
	return h, err
}

// Release implements Driver.
func (c *libcuda) Release(number int) error {
	d, err := c.device(number)
	if err != nil {
		return err
	}
	return c.call(cuDevicePrimaryCtxRelease, d)
}

// Enter implements Driver.
func (c *libcuda) Enter(h Context) error { return c.call(cuCtxSetCurrent, uintptr(h)) }

// Memory implements Driver.
func (c *libcuda) Memory() (free, total uint64, err error) {
	var f, t uintptr
	err = c.call(cuMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return uint64(f), uint64(t), err
}

// Load implements Driver.
func (c *libcuda) Load(ptx []byte) (Module, error) {
	var h Module
	err := c.call(cuModuleLoadData, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(unsafe.SliceData(ptx))))
	return h, err
}

// Unload implements Driver.
func (c *libcuda) Unload(m Module) error { return c.call(cuModuleUnload, uintptr(m)) }

// Function implements Driver.
func (c *libcuda) Function(m Module, name string) (Function, error) {
	text := append([]byte(name), 0)
	var h Function
	err := c.call(cuModuleGetFunction, uintptr(unsafe.Pointer(&h)), uintptr(m), uintptr(unsafe.Pointer(unsafe.SliceData(text))))
	return h, err
}

// Alloc implements Driver.
func (c *libcuda) Alloc(bytes int) (Pointer, error) {
	var p Pointer
	err := c.call(cuMemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes))
	return p, err
}

// Free implements Driver.
func (c *libcuda) Free(p Pointer) error { return c.call(cuMemFree, uintptr(p)) }

// Pinned implements Driver.
func (c *libcuda) Pinned(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	if err := c.call(cuMemAllocHost, uintptr(unsafe.Pointer(&p)), uintptr(bytes)); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

// FreePinned implements Driver.
func (c *libcuda) FreePinned(b []byte) error { return c.call(cuMemFreeHost, hostAddress(b)) }

// hostAddress is that of pinned memory, which no collector moves.
func hostAddress(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// Upload implements Driver.
func (c *libcuda) Upload(to Pointer, from []byte, s Stream) error {
	return c.call(cuMemcpyHtoDAsync, uintptr(to), hostAddress(from), uintptr(len(from)), uintptr(s))
}

// Download implements Driver.
func (c *libcuda) Download(to []byte, from Pointer, s Stream) error {
	return c.call(cuMemcpyDtoHAsync, hostAddress(to), uintptr(from), uintptr(len(to)), uintptr(s))
}

// Copy implements Driver.
func (c *libcuda) Copy(to, from Pointer, bytes int, s Stream) error {
	return c.call(cuMemcpyDtoDAsync, uintptr(to), uintptr(from), uintptr(bytes), uintptr(s))
}

// Clear implements Driver.
func (c *libcuda) Clear(to Pointer, bytes int, s Stream) error {
	return c.call(cuMemsetD8Async, uintptr(to), 0, uintptr(bytes), uintptr(s))
}

// CopyPeer implements Driver.
func (c *libcuda) CopyPeer(to Pointer, toContext Context, from Pointer, fromContext Context, bytes int, s Stream) error {
	return c.call(cuMemcpyPeerAsync, uintptr(to), uintptr(toContext), uintptr(from), uintptr(fromContext), uintptr(bytes), uintptr(s))
}

// NewStream implements Driver.
func (c *libcuda) NewStream() (Stream, error) {
	var h Stream
	err := c.call(cuStreamCreate, uintptr(unsafe.Pointer(&h)), streamNonBlocking)
	return h, err
}

// CloseStream implements Driver.
func (c *libcuda) CloseStream(s Stream) error { return c.call(cuStreamDestroy, uintptr(s)) }

// Synchronize implements Driver.
func (c *libcuda) Synchronize(s Stream) error { return c.call(cuStreamSynchronize, uintptr(s)) }

// NewEvent implements Driver.
func (c *libcuda) NewEvent() (Event, error) {
	var h Event
	err := c.call(cuEventCreate, uintptr(unsafe.Pointer(&h)), eventDefault)
	return h, err
}

// CloseEvent implements Driver.
func (c *libcuda) CloseEvent(e Event) error { return c.call(cuEventDestroy, uintptr(e)) }

// Record implements Driver.
func (c *libcuda) Record(e Event, s Stream) error {
	return c.call(cuEventRecord, uintptr(e), uintptr(s))
}

// Await implements Driver.
func (c *libcuda) Await(e Event) error { return c.call(cuEventSynchronize, uintptr(e)) }

// Elapsed implements Driver.
func (c *libcuda) Elapsed(from, to Event) (float32, error) {
	var ms float32
	err := c.call(cuEventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to))
	return ms, err
}

// WaitEvent implements Driver.
func (c *libcuda) WaitEvent(s Stream, e Event) error {
	return c.call(cuStreamWaitEvent, uintptr(s), uintptr(e), waitDefault)
}

// Launch implements Driver.
func (c *libcuda) Launch(f Function, grid, block [3]int, params []byte, s Stream) error {
	if err := fits(params); err != nil {
		return err
	}
	l, ok := c.launches.Get().(*launchMemory)
	if !ok {
		l = new(launchMemory)
	}
	defer c.launches.Put(l)
	var pinner runtime.Pinner
	pinner.Pin(l)
	defer pinner.Unpin()
	l.bytes = uintptr(copy(l.params[:], params))
	l.extra = [5]uintptr{launchBufferPointer, uintptr(unsafe.Pointer(&l.params)), launchBufferSize, uintptr(unsafe.Pointer(&l.bytes)), launchEnd}
	return c.call(cuLaunchKernel, uintptr(f), uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]),
		uintptr(block[0]), uintptr(block[1]), uintptr(block[2]), 0, uintptr(s), 0, uintptr(unsafe.Pointer(&l.extra)))
}

// Graphs implements Driver.
func (c *libcuda) Graphs() bool { return c.graphs }

// Capture implements Driver.
func (c *libcuda) Capture(s Stream) error {
	return c.call(cuStreamBeginCapture, uintptr(s), captureThreadLocal)
}

// Captured implements Driver.
func (c *libcuda) Captured(s Stream) (Graph, error) {
	var list uintptr
	if err := c.call(cuStreamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&list))); err != nil {
		return 0, err
	}
	var g Graph
	err := c.call(cuGraphInstantiate, uintptr(unsafe.Pointer(&g)), list, 0)
	if failed := c.call(cuGraphDestroy, list); err == nil {
		err = failed
	}
	return g, err
}

// LaunchGraph implements Driver.
func (c *libcuda) LaunchGraph(g Graph, s Stream) error {
	return c.call(cuGraphLaunch, uintptr(g), uintptr(s))
}

// CloseGraph implements Driver.
func (c *libcuda) CloseGraph(g Graph) error { return c.call(cuGraphExecDestroy, uintptr(g)) }
