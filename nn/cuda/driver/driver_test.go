//go:build linux && (amd64 || arm64) && !nocuda

package driver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// setFail makes a function of a stand-in fail: "cuMemAlloc_v2:2" with code 2, "" none.
func setFail(t *testing.T, library, what string) {
	t.Helper()
	handle, err := purego.Dlopen(library, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	f, err := purego.Dlsym(handle, "standin_fail")
	if err != nil {
		t.Fatal(err)
	}
	text := append([]byte(what), 0)
	purego.SyscallN(f, uintptr(unsafe.Pointer(&text[0])))
}

// TestCalls goes through every call.
func TestCalls(t *testing.T) {
	d, _ := standin(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	version, err := d.Version()
	check(err)
	n, err := d.Devices()
	check(err)
	about, err := d.Describe(1)
	check(err)
	if want := (Description{"Stand-in 41", 8, 6, 41 << 30, 41}); version != 12040 || n != 2 || about != want {
		t.Errorf("version %d, %d devices, %+v", version, n, about)
	}
	c, err := d.Retain(1)
	check(err)
	if c != 1041 {
		t.Errorf("context %d", c)
	}
	check(d.Enter(c))
	free, total, err := d.Memory()
	check(err)
	if free != 3 || total != 5<<32 {
		t.Errorf("%d of %d bytes are free", free, total)
	}
	s, err := d.NewStream()
	check(err)
	a, err := d.Alloc(64)
	check(err)
	b, err := d.Alloc(64)
	check(err)
	host, err := d.Pinned(64)
	check(err)
	for i := range host {
		host[i] = byte(i)
	}
	check(d.Upload(a, host, s))
	check(d.Copy(b, a, 64, s))
	check(d.Clear(b+4, 4, s))
	clear(host)
	check(d.Download(host[:12], b, s))
	check(d.Synchronize(s))
	if want := []byte{0, 1, 2, 3, 0, 0, 0, 0, 8, 9, 10, 11, 0}; !bytes.Equal(host[:13], want) {
		t.Errorf("the copies give %v", host[:13])
	}
	check(d.CopyPeer(b, c, a+8, c+1, 4, s))
	check(d.Download(host[:4], b, s))
	if !bytes.Equal(host[:4], []byte{8, 9, 10, 11}) {
		t.Errorf("the copy from another device gives %v", host[:4])
	}
	m, err := d.Load([]byte(".version kernel\x00"))
	check(err)
	f, err := d.Function(m, "kernel")
	check(err)
	params := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, uint64(a)), 77)
	check(d.Launch(f, [3]int{1, 2, 3}, [3]int{4, 5, 6}, params, s))
	check(d.Download(host, a, s))
	for i, want := range []uint32{1, 2, 3, 4, 5, 6, 12, 77} {
		if got := binary.LittleEndian.Uint32(host[4*i:]); got != want {
			t.Errorf("word %d of the launch is %d, want %d", i, got, want)
		}
	}
	if err := d.Launch(f, [3]int{1, 1, 1}, [3]int{1, 1, 1}, make([]byte, maxParameterBytes+1), s); err == nil {
		t.Error("a launch with too many parameters succeeds")
	}
	check(d.Capture(s))
	g, err := d.Captured(s)
	check(err)
	if !d.Graphs() || g != 12 {
		t.Errorf("graphs: %v, graph %d", d.Graphs(), g)
	}
	check(d.LaunchGraph(g, s))
	check(d.CloseGraph(g))
	e, err := d.NewEvent()
	check(err)
	check(d.Record(e, s))
	check(d.WaitEvent(s, e))
	check(d.Await(e))
	if ms, err := d.Elapsed(e, e); err != nil || ms != 1.5 {
		t.Errorf("%v ms, %v", ms, err)
	}
	for _, err := range []error{d.CloseEvent(e), d.Unload(m), d.CloseStream(s), d.FreePinned(host), d.Free(a), d.Free(b), d.Release(1)} {
		check(err)
	}
}

// TestErrors: every call reports what its function returns, with the driver's own words where it has some.
func TestErrors(t *testing.T) {
	d, library := standin(t)
	t.Cleanup(func() { setFail(t, library, "") })
	pinned, err := d.Pinned(8)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(".version k\x00")
	for function, call := range map[int]func() error{
		cuDriverGetVersion:        func() error { _, err := d.Version(); return err },
		cuDeviceGetCount:          func() error { _, err := d.Devices(); return err },
		cuDeviceGet:               func() error { _, err := d.Describe(0); return err },
		cuDeviceGetName:           func() error { _, err := d.Describe(0); return err },
		cuDeviceTotalMem:          func() error { _, err := d.Describe(0); return err },
		cuDeviceGetAttribute:      func() error { _, err := d.Describe(0); return err },
		cuDevicePrimaryCtxRetain:  func() error { _, err := d.Retain(0); return err },
		cuDevicePrimaryCtxRelease: func() error { return d.Release(0) },
		cuCtxSetCurrent:           func() error { return d.Enter(1) },
		cuMemGetInfo:              func() error { _, _, err := d.Memory(); return err },
		cuModuleLoadData:          func() error { _, err := d.Load(text); return err },
		cuModuleUnload:            func() error { return d.Unload(1) },
		cuModuleGetFunction:       func() error { _, err := d.Function(1, "k"); return err },
		cuMemAlloc:                func() error { _, err := d.Alloc(1); return err },
		cuMemFree:                 func() error { return d.Free(1) },
		cuMemAllocHost:            func() error { _, err := d.Pinned(1); return err },
		cuMemFreeHost:             func() error { return d.FreePinned(pinned) },
		cuMemcpyHtoDAsync:         func() error { return d.Upload(1, pinned, 7) },
		cuMemcpyDtoHAsync:         func() error { return d.Download(pinned, 1, 7) },
		cuMemcpyDtoDAsync:         func() error { return d.Copy(1, 2, 3, 7) },
		cuMemcpyPeerAsync:         func() error { return d.CopyPeer(1, 1, 2, 2, 3, 7) },
		cuMemsetD8Async:           func() error { return d.Clear(1, 2, 7) },
		cuStreamCreate:            func() error { _, err := d.NewStream(); return err },
		cuStreamDestroy:           func() error { return d.CloseStream(7) },
		cuStreamSynchronize:       func() error { return d.Synchronize(7) },
		cuEventCreate:             func() error { _, err := d.NewEvent(); return err },
		cuEventDestroy:            func() error { return d.CloseEvent(9) },
		cuEventRecord:             func() error { return d.Record(9, 7) },
		cuEventSynchronize:        func() error { return d.Await(9) },
		cuEventElapsedTime:        func() error { _, err := d.Elapsed(9, 9); return err },
		cuStreamWaitEvent:         func() error { return d.WaitEvent(7, 9) },
		cuStreamBeginCapture:      func() error { return d.Capture(7) },
		cuStreamEndCapture:        func() error { _, err := d.Captured(7); return err },
		cuGraphInstantiate:        func() error { _, err := d.Captured(7); return err },
		cuGraphDestroy:            func() error { _, err := d.Captured(7); return err },
		cuGraphLaunch:             func() error { return d.LaunchGraph(12, 7) },
		cuGraphExecDestroy:        func() error { return d.CloseGraph(12) },
		cuLaunchKernel:            func() error { return d.Launch(1, [3]int{1, 1, 1}, [3]int{1, 1, 1}, make([]byte, 8), 7) },
	} {
		name := symbols[function].name
		for code, want := range map[int]string{2: name + ": CUDA_ERROR_OUT_OF_MEMORY (out of memory)", 999: name + ": error 999"} {
			setFail(t, library, fmt.Sprintf("%s:%d", name, code))
			err := call()
			if err == nil || err.Error() != want || errors.Is(err, ErrMemory) != (code == 2) {
				t.Errorf("%s returning %d: %v", name, code, err)
			}
		}
	}
}
