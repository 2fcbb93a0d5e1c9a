//go:build linux && (amd64 || arm64) && !nocuda

package nccl

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"rampart/nn/cuda/driver"
)

// libnccl calls the library without cgo.
type libnccl struct{ functions []uintptr }

// Open loads the machine's NCCL, or the library of the given name if that is not empty.
func Open(library string) (Library, error) {
	if library == "" {
		library = "libnccl.so.2"
	}
	// The error's text belongs to the thread: on another one it would be empty.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, missing(err)
	}
	l := &libnccl{functions: make([]uintptr, len(symbols))}
	for i, s := range symbols {
		if l.functions[i], err = purego.Dlsym(handle, s.name); err != nil {
			return nil, missing(fmt.Errorf("it is too old: %w", err))
		}
	}
	return l, nil
}

// call calls a function; the result is its error.
//
//go:uintptrescapes
func (l *libnccl) call(function int, args ...uintptr) error {
	want := len(symbols[function].parameters)
	if want > 0 && symbols[function].parameters[0] == "void" {
		want = 0
	}
	if len(args) != want {
		panic(fmt.Sprintf("nccl: %s takes %d parameters, not %d", symbols[function].name, want, len(args)))
	}
	r, _, _ := purego.SyscallN(l.functions[function], args...)
	if code := int(int32(r)); code != success {
		return &Error{Call: symbols[function].name, Code: code, Text: l.text(code)}
	}
	return nil
}

// text is what the library says of an error.
func (l *libnccl) text(code int) string {
	r, _, _ := purego.SyscallN(l.functions[ncclGetErrorString], uintptr(code))
	s := *(*unsafe.Pointer)(unsafe.Pointer(&r)) // memory of the library, which no collector moves
	n := 0
	for s != nil && n < errorStringsMaxBytes && *(*byte)(unsafe.Add(s, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(s), n))
}

// Version implements Library.
func (l *libnccl) Version() (int, error) {
	var v int32
	err := l.call(ncclGetVersion, uintptr(unsafe.Pointer(&v)))
	return int(v), err
}

// Init implements Library.
func (l *libnccl) Init(devices []int) ([]Comm, error) {
	list, comms := make([]int32, len(devices)), make([]Comm, len(devices))
	for i, d := range devices {
		list[i] = int32(d)
	}
	err := l.call(ncclCommInitAll, uintptr(unsafe.Pointer(unsafe.SliceData(comms))), uintptr(len(list)), uintptr(unsafe.Pointer(unsafe.SliceData(list))))
	return comms, err
}

// AllReduce implements Library.
func (l *libnccl) AllReduce(send, recv driver.Pointer, n int, t Type, c Comm, s driver.Stream) error {
	return l.call(ncclAllReduce, uintptr(send), uintptr(recv), uintptr(n), uintptr(t), sum, uintptr(c), uintptr(s))
}

// GroupStart implements Library.
func (l *libnccl) GroupStart() error { return l.call(ncclGroupStart) }

// GroupEnd implements Library.
func (l *libnccl) GroupEnd() error { return l.call(ncclGroupEnd) }

// Abort implements Library.
func (l *libnccl) Abort(c Comm) error { return l.call(ncclCommAbort, uintptr(c)) }

// Destroy implements Library.
func (l *libnccl) Destroy(c Comm) error { return l.call(ncclCommDestroy, uintptr(c)) }
