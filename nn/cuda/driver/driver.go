// Package driver is the part of CUDA's driver API that the executor uses, and its implementation on
// the machine's libcuda.
package driver

import "fmt"

// Handles of the driver's objects; 0 is none.
type (
	// Context is a device's primary context.
	Context uintptr
	// Module is loaded code.
	Module uintptr
	// Function is a kernel of a module.
	Function uintptr
	// Stream is a queue of work. The zero Stream is not used.
	Stream uintptr
	// Event is a point in a stream.
	Event uintptr
	// Graph is a list of launches that is ready to be launched as one.
	Graph uintptr
	// Pointer is an address in device memory.
	Pointer uint64
)

// Driver is a subset of the driver API (the names in brackets). All calls but the first five need a
// current context. Work on a stream is done some time after the call, in order; Synchronize waits.
// After a kernel has failed, every call fails.
type Driver interface {
	// Version is that of CUDA which the driver supports: 12040 is 12.4. [cuDriverGetVersion]
	Version() (int, error)
	// Devices is the number of devices. [cuDeviceGetCount]
	Devices() (int, error)
	// Describe says what a device is. [cuDeviceGet, cuDeviceGetName, cuDeviceTotalMem_v2, cuDeviceGetAttribute]
	Describe(device int) (Description, error)
	// Retain returns the primary context of a device, Release gives it back.
	// [cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRelease_v2]
	Retain(device int) (Context, error)
	Release(device int) error

	// Enter makes a context that of the calling thread. [cuCtxSetCurrent]
	Enter(Context) error
	// Memory is the free and the total memory in bytes. [cuMemGetInfo_v2]
	Memory() (free, total uint64, err error)
	// Load compiles a module from PTX. [cuModuleLoadData]
	Load(ptx []byte) (Module, error)
	// Unload gives it back. [cuModuleUnload]
	Unload(Module) error
	// Function finds a kernel. [cuModuleGetFunction]
	Function(m Module, name string) (Function, error)

	// Alloc returns device memory, ErrMemory where there is not enough. [cuMemAlloc_v2, cuMemFree_v2]
	Alloc(bytes int) (Pointer, error)
	Free(Pointer) error
	// Pinned returns host memory that copies can use while the caller goes on. [cuMemAllocHost_v2, cuMemFreeHost]
	Pinned(bytes int) ([]byte, error)
	FreePinned([]byte) error

	// Copies on a stream; host memory must be pinned and left alone until they are done.
	// [cuMemcpyHtoDAsync_v2, cuMemcpyDtoHAsync_v2, cuMemcpyDtoDAsync_v2, cuMemsetD8Async]
	Upload(to Pointer, from []byte, s Stream) error
	Download(to []byte, from Pointer, s Stream) error
	Copy(to, from Pointer, bytes int, s Stream) error
	Clear(to Pointer, bytes int, s Stream) error
	// CopyPeer copies from another device's memory; s is a stream of the device that the copy goes to. [cuMemcpyPeerAsync]
	CopyPeer(to Pointer, toContext Context, from Pointer, fromContext Context, bytes int, s Stream) error

	// NewStream returns a stream that does not wait for others. [cuStreamCreate, cuStreamDestroy_v2]
	NewStream() (Stream, error)
	CloseStream(Stream) error
	// Synchronize waits for all that a stream was given. [cuStreamSynchronize]
	Synchronize(Stream) error
	// NewEvent returns an event; Record puts it behind what a stream was given; Await waits for it; Elapsed
	// is the time between two events in milliseconds. [cuEventCreate, cuEventDestroy_v2, cuEventRecord,
	// cuEventSynchronize, cuEventElapsedTime]
	NewEvent() (Event, error)
	CloseEvent(Event) error
	Record(e Event, s Stream) error
	Await(Event) error
	Elapsed(from, to Event) (float32, error)
	// WaitEvent makes what a stream is given from now on wait for an event as it is recorded now, which may be
	// one of another device. [cuStreamWaitEvent]
	WaitEvent(Stream, Event) error

	// Launch runs a kernel; params are its parameters, laid out as in C. [cuLaunchKernel]
	Launch(f Function, grid, block [3]int, params []byte, s Stream) error

	// Graphs reports whether the driver has graphs (CUDA 11.4 and later).
	Graphs() bool
	// Capture makes a stream collect launches rather than do them, until Captured returns them as a graph.
	// Nothing but launches may be asked for between. [cuStreamBeginCapture_v2, cuStreamEndCapture,
	// cuGraphInstantiateWithFlags, cuGraphDestroy]
	Capture(Stream) error
	Captured(Stream) (Graph, error)
	// LaunchGraph does a graph's launches, with the parameters that they were captured with. [cuGraphLaunch]
	LaunchGraph(Graph, Stream) error
	// CloseGraph gives it back. [cuGraphExecDestroy]
	CloseGraph(Graph) error
}

// Description is what a person wants to know of a device.
type Description struct {
	Name         string
	Major, Minor int // compute capability
	Memory       uint64
	Processors   int // streaming multiprocessors
}

// fits reports parameters that are more than a kernel can take.
func fits(params []byte) error {
	if len(params) > maxParameterBytes {
		return fmt.Errorf("a kernel's parameters take %d bytes: at most %d are possible", len(params), maxParameterBytes)
	}
	return nil
}
