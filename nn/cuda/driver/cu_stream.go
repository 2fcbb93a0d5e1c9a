//go:build cu && !nocuda

package driver

// #include <cuda.h>
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
)

// Alloc implements Driver.
func (linked) Alloc(bytes int) (Pointer, error) {
	p, err := cu.MemAlloc(int64(bytes))
	return Pointer(p), checked(cuMemAlloc, err)
}

// Free implements Driver.
func (linked) Free(p Pointer) error { return checked(cuMemFree, cu.MemFree(cu.DevicePtr(p))) }

// Pinned implements Driver.
func (linked) Pinned(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	if err := result(cuMemAllocHost, C.cuMemAllocHost(&p, C.size_t(bytes))); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

func address(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// FreePinned implements Driver.
func (linked) FreePinned(b []byte) error { return checked(cuMemFreeHost, cu.MemFreeHost(address(b))) }

// Upload implements Driver.
func (linked) Upload(to Pointer, from []byte, s Stream) error {
	return checked(cuMemcpyHtoDAsync, cu.MemcpyHtoDAsync(cu.DevicePtr(to), address(from), int64(len(from)), as[cu.Stream](s)))
}

// Download implements Driver.
func (linked) Download(to []byte, from Pointer, s Stream) error {
	return checked(cuMemcpyDtoHAsync, cu.MemcpyDtoHAsync(address(to), cu.DevicePtr(from), int64(len(to)), as[cu.Stream](s)))
}

// Copy implements Driver.
func (linked) Copy(to, from Pointer, bytes int, s Stream) error {
	return checked(cuMemcpyDtoDAsync, cu.MemcpyDtoDAsync(cu.DevicePtr(to), cu.DevicePtr(from), int64(bytes), as[cu.Stream](s)))
}

// Clear implements Driver.
func (linked) Clear(to Pointer, bytes int, s Stream) error {
	return checked(cuMemsetD8Async, cu.MemsetD8Async(cu.DevicePtr(to), 0, int64(bytes), as[cu.Stream](s)))
}

// CopyPeer implements Driver.
func (linked) CopyPeer(to Pointer, toContext Context, from Pointer, fromContext Context, bytes int, s Stream) error {
	return result(cuMemcpyPeerAsync, C.cuMemcpyPeerAsync(C.CUdeviceptr(to), as[C.CUcontext](toContext), C.CUdeviceptr(from), as[C.CUcontext](fromContext), C.size_t(bytes), as[C.CUstream](s)))
}

// NewStream implements Driver.
func (linked) NewStream() (Stream, error) {
	s, err := cu.MakeStream(cu.StreamFlags(streamNonBlocking))
	return as[Stream](s), checked(cuStreamCreate, err)
}

// CloseStream implements Driver.
func (linked) CloseStream(s Stream) error {
	h := as[cu.Stream](s)
	return checked(cuStreamDestroy, h.Destroy())
}

// Synchronize implements Driver.
func (linked) Synchronize(s Stream) error {
	return checked(cuStreamSynchronize, as[cu.Stream](s).Synchronize())
}

// NewEvent implements Driver.
func (linked) NewEvent() (Event, error) {
	e, err := cu.MakeEvent(cu.EventFlags(eventDefault))
	return as[Event](e), checked(cuEventCreate, err)
}

// CloseEvent implements Driver.
func (linked) CloseEvent(e Event) error {
	h := as[cu.Event](e)
	return checked(cuEventDestroy, cu.DestroyEvent(&h))
}

// Record implements Driver.
func (linked) Record(e Event, s Stream) error {
	return checked(cuEventRecord, as[cu.Event](e).Record(as[cu.Stream](s)))
}

// Await implements Driver.
func (linked) Await(e Event) error {
	return checked(cuEventSynchronize, as[cu.Event](e).Synchronize())
}

// Elapsed implements Driver.
func (linked) Elapsed(from, to Event) (float32, error) {
	ms, err := as[cu.Event](from).Elapsed(as[cu.Event](to))
	return float32(ms), checked(cuEventElapsedTime, err)
}

// WaitEvent implements Driver.
func (linked) WaitEvent(s Stream, e Event) error {
	return checked(cuStreamWaitEvent, as[cu.Stream](s).Wait(as[cu.Event](e), waitDefault))
}

// Graphs implements Driver.
func (c linked) Graphs() bool { return c.version >= 11040 }

// Capture implements Driver.
func (linked) Capture(s Stream) error {
	return result(cuStreamBeginCapture, C.cuStreamBeginCapture(as[C.CUstream](s), captureThreadLocal))
}

// Captured implements Driver.
func (linked) Captured(s Stream) (Graph, error) {
	var list cu.Graph
	if err := result(cuStreamEndCapture, C.cuStreamEndCapture(as[C.CUstream](s), (*C.CUgraph)(unsafe.Pointer(&list)))); err != nil {
		return 0, err
	}
	var g C.CUgraphExec
	err := result(cuGraphInstantiate, C.cuGraphInstantiateWithFlags(&g, as[C.CUgraph](list), 0))
	if failed := checked(cuGraphDestroy, list.Destroy()); err == nil {
		err = failed
	}
	return as[Graph](g), err
}

// LaunchGraph implements Driver.
func (linked) LaunchGraph(g Graph, s Stream) error {
	return result(cuGraphLaunch, C.cuGraphLaunch(as[C.CUgraphExec](g), as[C.CUstream](s)))
}

// CloseGraph implements Driver.
func (linked) CloseGraph(g Graph) error {
	return checked(cuGraphExecDestroy, as[cu.ExecGraph](g).Destroy())
}
