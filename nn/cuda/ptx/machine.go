package ptx

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"rampart/nn/cuda/driver"
)

// Machine is a make-believe GPU. It is not safe for concurrent use; see Rack for several.
type Machine struct {
	// Limit bounds the device memory in bytes; 0 is no bound.
	Limit int
	// Capability is that of the device, 80 for 8.0; 0 is 75.
	Capability int
	// Hasty is a stream, counted from 1, that does its work at once, and so ahead of the others: then work
	// that comes too early shows, otherwise work that comes too late. 0 is none.
	Hasty int

	workers   int
	random    *rand.Rand
	memory    []*allocation // ascending
	used      int
	next      uint64
	modules   []*module
	functions []*kernel
	streams   map[driver.Stream]*stream
	events    map[driver.Event]*event
	graphs    map[driver.Graph][]func() error
	pinned    map[*byte]int
	handles   uintptr
	own       driver.Context // the device's
	context   driver.Context // entered
	rack      *Rack          // that it is in; nil for none
	failed    error          // the first fault; every call fails after it

	// Launches, GraphLaunches and Synchronized count calls, for tests of what the executor asks for.
	Launches, GraphLaunches, Synchronized int
}

// stream holds work that nobody has waited for; while it captures, what a graph will do.
type stream struct {
	number    int  // counted from 1
	busy      bool // in a rack: a thread does its work
	work      []func() error
	capturing bool
	captured  []func() error
}

type event struct {
	machine *Machine
	owner   *stream
	done    bool
	at      time.Time
}

// NewMachine returns a machine whose warps and blocks run in an order drawn from seed.
func NewMachine(seed uint64) *Machine {
	return &Machine{workers: runtime.GOMAXPROCS(0), own: 1, random: rand.New(rand.NewPCG(seed, 7)), next: 0x7f0000000000,
		streams: map[driver.Stream]*stream{}, events: map[driver.Event]*event{}, graphs: map[driver.Graph][]func() error{}, pinned: map[*byte]int{}}
}

// loaded holds every module that this process has compiled, by its text.
var loaded struct {
	sync.Mutex
	modules map[string]*module
	next    uint64
}

// compiled returns a module; modules keep no state, so that machines share them.
func compiled(text string) (*module, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if m, ok := loaded.modules[text]; ok {
		return m, nil
	}
	f, err := parse(text)
	if err != nil {
		return nil, err
	}
	m, err := compileModule(f, func(size int) *allocation {
		a := newAllocation(1<<32+loaded.next, size)
		loaded.next += uint64(size+511) &^ 255
		return a
	})
	if err != nil {
		return nil, err
	}
	if loaded.modules == nil {
		loaded.modules = map[string]*module{}
	}
	loaded.modules[text] = m
	return m, nil
}

func (m *Machine) handle() uintptr { m.handles++; return m.handles }

// ready is the error of a call that needs a context and a machine that works.
func (m *Machine) ready(call string) error {
	if m.failed != nil {
		return m.failed
	}
	if m.context == 0 {
		return &driver.Error{Call: call, Code: 201, Name: "CUDA_ERROR_INVALID_CONTEXT"}
	}
	for _, s := range m.streams {
		if s.capturing && call != "cuLaunchKernel" && call != "cuStreamEndCapture" {
			return &driver.Error{Call: call, Code: 900, Name: "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}
		}
	}
	return nil
}

func invalid(call, format string, args ...any) error {
	return &driver.Error{Call: call, Code: 1, Name: "CUDA_ERROR_INVALID_VALUE", Text: fmt.Sprintf(format, args...)}
}

// Version implements driver.Driver.
func (m *Machine) Version() (int, error) { return 12090, nil }

// Devices implements driver.Driver.
func (m *Machine) Devices() (int, error) { return 1, nil }

// Describe implements driver.Driver.
func (m *Machine) Describe(device int) (driver.Description, error) {
	if device != 0 {
		return driver.Description{}, &driver.Error{Call: "cuDeviceGet", Code: 101, Name: "CUDA_ERROR_INVALID_DEVICE"}
	}
	return driver.Description{Name: "PTX on the processor", Major: m.capability() / 10, Minor: m.capability() % 10, Memory: uint64(m.Limit), Processors: m.workers}, nil
}

func (m *Machine) capability() int { return cmp.Or(m.Capability, 75) }

// Retain implements driver.Driver.
func (m *Machine) Retain(int) (driver.Context, error) { return m.own, nil }

// Release implements driver.Driver.
func (m *Machine) Release(int) error { m.context = 0; return nil }

// Enter implements driver.Driver.
func (m *Machine) Enter(c driver.Context) error {
	if c != m.own {
		return &driver.Error{Call: "cuCtxSetCurrent", Code: 201, Name: "CUDA_ERROR_INVALID_CONTEXT", Text: "it is another device's"}
	}
	m.context = c
	return nil
}

// Memory implements driver.Driver.
func (m *Machine) Memory() (free, total uint64, err error) {
	return uint64(max(m.Limit-m.used, 0)), uint64(m.Limit), m.ready("cuMemGetInfo")
}

// Load implements driver.Driver.
func (m *Machine) Load(ptx []byte) (driver.Module, error) {
	if err := m.ready("cuModuleLoadData"); err != nil {
		return 0, err
	}
	if len(ptx) == 0 || ptx[len(ptx)-1] != 0 {
		return 0, invalid("cuModuleLoadData", "the text does not end in a zero byte")
	}
	mod, err := compiled(string(ptx[:len(ptx)-1]))
	if err != nil {
		return 0, &driver.Error{Call: "cuModuleLoadData", Code: 218, Name: "CUDA_ERROR_INVALID_PTX", Text: err.Error()}
	}
	if mod.target > m.capability() {
		return 0, &driver.Error{Call: "cuModuleLoadData", Code: 218, Name: "CUDA_ERROR_INVALID_PTX", Text: fmt.Sprintf("it is for sm_%d", mod.target)}
	}
	if !slices.Contains(m.modules, mod) {
		for _, a := range mod.globals {
			m.insert(a)
		}
	}
	m.modules = append(m.modules, mod)
	return driver.Module(len(m.modules)), nil
}

// Unload implements driver.Driver.
func (m *Machine) Unload(driver.Module) error { return m.ready("cuModuleUnload") }

// Function implements driver.Driver.
func (m *Machine) Function(mod driver.Module, name string) (driver.Function, error) {
	if err := m.ready("cuModuleGetFunction"); err != nil {
		return 0, err
	}
	k := m.modules[mod-1].kernels[name]
	if k == nil {
		return 0, &driver.Error{Call: "cuModuleGetFunction", Code: 500, Name: "CUDA_ERROR_NOT_FOUND", Text: name}
	}
	m.functions = append(m.functions, k)
	return driver.Function(len(m.functions)), nil
}

func (m *Machine) insert(a *allocation) {
	i, _ := slices.BinarySearchFunc(m.memory, a.base, func(a *allocation, at uint64) int {
		if a.base < at {
			return -1
		}
		return 1
	})
	m.memory = slices.Insert(m.memory, i, a)
}

// Alloc implements driver.Driver. Allocations lie apart, so that an overrun meets nothing.
func (m *Machine) Alloc(bytes int) (driver.Pointer, error) {
	if err := m.ready("cuMemAlloc"); err != nil {
		return 0, err
	}
	if bytes <= 0 {
		return 0, invalid("cuMemAlloc", "%d bytes", bytes)
	}
	if m.Limit > 0 && m.used+bytes > m.Limit {
		return 0, &driver.Error{Call: "cuMemAlloc", Code: driver.ErrMemory.Code, Name: driver.ErrMemory.Name}
	}
	a := newAllocation(m.next, bytes)
	m.next += (uint64(bytes)+255)&^255 + 4096
	m.used += bytes
	m.insert(a)
	return driver.Pointer(a.base), nil
}

// Free implements driver.Driver. It waits for all work, as cuMemFree does.
func (m *Machine) Free(p driver.Pointer) error {
	if err := m.ready("cuMemFree"); err != nil {
		return err
	}
	for _, s := range m.streams {
		if err := m.drain(s, nil); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(m.memory, func(a *allocation) bool { return a.base == uint64(p) })
	if i < 0 {
		return invalid("cuMemFree", "nothing is allocated at %#x", p)
	}
	m.used -= m.memory[i].size
	m.memory = slices.Delete(m.memory, i, i+1)
	return nil
}

// Pinned implements driver.Driver.
func (m *Machine) Pinned(bytes int) ([]byte, error) {
	if err := m.ready("cuMemAllocHost"); err != nil {
		return nil, err
	}
	b := make([]byte, bytes)
	m.pinned[unsafe.SliceData(b)] = bytes
	return b, nil
}

// FreePinned implements driver.Driver.
func (m *Machine) FreePinned(b []byte) error {
	delete(m.pinned, unsafe.SliceData(b))
	return m.ready("cuMemFreeHost")
}

// isPinned reports whether host memory lies within what Pinned returned.
func (m *Machine) isPinned(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for p, n := range m.pinned {
		if base := uintptr(unsafe.Pointer(p)); at >= base && at+uintptr(len(b)) <= base+uintptr(n) {
			return true
		}
	}
	return false
}

var _ driver.Driver = (*Machine)(nil)
