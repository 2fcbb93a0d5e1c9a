package ptx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"rampart/nn/cuda/driver"
)

// Machine is a make-believe GPU. It is not safe for concurrent use.
type Machine struct {
	// Limit bounds the device memory in bytes; 0 is no bound.
	Limit int

	workers   int
	random    *rand.Rand
	memory    []*allocation // ascending
	used      int
	next      uint64
	modules   []*module
	functions []*kernel
	streams   map[driver.Stream]*stream
	events    map[driver.Event]*event
	pinned    map[*byte]int
	handles   uintptr
	context   driver.Context
	failed    error // the first fault; every call fails after it

	// Launches and Synchronized count calls, for tests of what the executor asks for.
	Launches, Synchronized int
}

type stream struct{ work []func() error }

type event struct {
	owner *stream
	done  bool
	at    time.Time
}

// NewMachine returns a machine whose warps and blocks run in an order drawn from seed.
func NewMachine(seed uint64) *Machine {
	return &Machine{workers: runtime.GOMAXPROCS(0), random: rand.New(rand.NewPCG(seed, 7)), next: 0x7f0000000000,
		streams: map[driver.Stream]*stream{}, events: map[driver.Event]*event{}, pinned: map[*byte]int{}}
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
	return driver.Description{Name: "PTX on the processor", Major: 7, Minor: 5, Memory: uint64(m.Limit), Processors: m.workers}, nil
}

// Retain implements driver.Driver.
func (m *Machine) Retain(int) (driver.Context, error) { return 1, nil }

// Release implements driver.Driver.
func (m *Machine) Release(int) error { m.context = 0; return nil }

// Enter implements driver.Driver.
func (m *Machine) Enter(c driver.Context) error { m.context = c; return nil }

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

// enqueue puts work on a stream, where it waits for someone who waits for it.
func (m *Machine) enqueue(call string, s driver.Stream, work func() error) error {
	if err := m.ready(call); err != nil {
		return err
	}
	q := m.streams[s]
	if q == nil {
		return invalid(call, "there is no stream %d", s)
	}
	q.work = append(q.work, work)
	return nil
}

// drain does a stream's work, up to an event if that is not nil.
func (m *Machine) drain(q *stream, until *event) error {
	for len(q.work) > 0 && !(until != nil && until.done) && m.failed == nil {
		work := q.work[0]
		q.work = q.work[1:]
		if err := work(); err != nil {
			m.failed = &driver.Error{Call: "an earlier launch", Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Text: err.Error()}
		}
	}
	return m.failed
}

// Upload implements driver.Driver.
func (m *Machine) Upload(to driver.Pointer, from []byte, s driver.Stream) error {
	if !m.isPinned(from) {
		return invalid("cuMemcpyHtoDAsync", "the host memory is not pinned")
	}
	return m.enqueue("cuMemcpyHtoDAsync", s, func() error {
		a := m.find(uint64(to), len(from))
		if a == nil {
			return fmt.Errorf("cuMemcpyHtoDAsync of %d bytes to %#x, %s", len(from), to, m.near(uint64(to)))
		}
		at := uint64(to) - a.base
		copy(a.bytes[at:], from)
		mark(a.written[at:][:len(from)])
		return nil
	})
}

func mark(written []byte) {
	for i := range written {
		written[i] = 255
	}
}

// Download implements driver.Driver.
func (m *Machine) Download(to []byte, from driver.Pointer, s driver.Stream) error {
	if !m.isPinned(to) {
		return invalid("cuMemcpyDtoHAsync", "the host memory is not pinned")
	}
	return m.enqueue("cuMemcpyDtoHAsync", s, func() error {
		a := m.find(uint64(from), len(to))
		if a == nil {
			return fmt.Errorf("cuMemcpyDtoHAsync of %d bytes from %#x, %s", len(to), from, m.near(uint64(from)))
		}
		at := uint64(from) - a.base
		if i := slices.Index(a.written[at:][:len(to)], 0); i >= 0 {
			return fmt.Errorf("cuMemcpyDtoHAsync reads %d bytes from %#x; byte %d has never been written", len(to), from, i)
		}
		copy(to, a.bytes[at:])
		return nil
	})
}

// Copy implements driver.Driver.
func (m *Machine) Copy(to, from driver.Pointer, bytes int, s driver.Stream) error {
	return m.enqueue("cuMemcpyDtoDAsync", s, func() error {
		a, b := m.find(uint64(to), bytes), m.find(uint64(from), bytes)
		if a == nil || b == nil {
			return fmt.Errorf("cuMemcpyDtoDAsync of %d bytes from %#x to %#x leaves the memory", bytes, from, to)
		}
		copy(a.bytes[uint64(to)-a.base:][:bytes], b.bytes[uint64(from)-b.base:])
		copy(a.written[uint64(to)-a.base:][:bytes], b.written[uint64(from)-b.base:])
		return nil
	})
}

// Clear implements driver.Driver.
func (m *Machine) Clear(to driver.Pointer, bytes int, s driver.Stream) error {
	return m.enqueue("cuMemsetD8Async", s, func() error {
		a := m.find(uint64(to), bytes)
		if a == nil {
			return fmt.Errorf("cuMemsetD8Async of %d bytes at %#x, %s", bytes, to, m.near(uint64(to)))
		}
		at := uint64(to) - a.base
		clear(a.bytes[at:][:bytes])
		mark(a.written[at:][:bytes])
		return nil
	})
}

// NewStream implements driver.Driver.
func (m *Machine) NewStream() (driver.Stream, error) {
	s := driver.Stream(m.handle())
	m.streams[s] = &stream{}
	return s, m.ready("cuStreamCreate")
}

// CloseStream implements driver.Driver.
func (m *Machine) CloseStream(s driver.Stream) error {
	err := m.Synchronize(s)
	delete(m.streams, s)
	return err
}

// Synchronize implements driver.Driver.
func (m *Machine) Synchronize(s driver.Stream) error {
	m.Synchronized++
	if err := m.ready("cuStreamSynchronize"); err != nil {
		return err
	}
	q := m.streams[s]
	if q == nil {
		return invalid("cuStreamSynchronize", "there is no stream %d", s)
	}
	return m.drain(q, nil)
}

// NewEvent implements driver.Driver.
func (m *Machine) NewEvent() (driver.Event, error) {
	e := driver.Event(m.handle())
	m.events[e] = &event{done: true}
	return e, m.ready("cuEventCreate")
}

// CloseEvent implements driver.Driver.
func (m *Machine) CloseEvent(e driver.Event) error {
	delete(m.events, e)
	return m.ready("cuEventDestroy")
}

// Record implements driver.Driver.
func (m *Machine) Record(e driver.Event, s driver.Stream) error {
	ev := m.events[e]
	if ev == nil {
		return invalid("cuEventRecord", "there is no event %d", e)
	}
	// The event may be recorded again before this point is reached: only the last counts.
	*ev = event{}
	mine := ev
	err := m.enqueue("cuEventRecord", s, func() error { mine.done, mine.at = true, time.Now(); return nil })
	ev.owner = m.streams[s]
	return err
}

// Await implements driver.Driver.
func (m *Machine) Await(e driver.Event) error {
	if err := m.ready("cuEventSynchronize"); err != nil {
		return err
	}
	ev := m.events[e]
	if ev == nil {
		return invalid("cuEventSynchronize", "there is no event %d", e)
	}
	if ev.done {
		return nil
	}
	return m.drain(ev.owner, ev)
}

// Elapsed implements driver.Driver.
func (m *Machine) Elapsed(from, to driver.Event) (float32, error) {
	a, b := m.events[from], m.events[to]
	if a == nil || b == nil || !a.done || !b.done {
		return 0, &driver.Error{Call: "cuEventElapsedTime", Code: 600, Name: "CUDA_ERROR_NOT_READY"}
	}
	return float32(b.at.Sub(a.at).Seconds() * 1e3), nil
}

// Launch implements driver.Driver.
func (m *Machine) Launch(f driver.Function, grid, block [3]int, params []byte, s driver.Stream) error {
	if f == 0 || int(f) > len(m.functions) {
		return invalid("cuLaunchKernel", "there is no function %d", f)
	}
	m.Launches++
	k, params := m.functions[f-1], slices.Clone(params)
	if len(params) != k.paramSize {
		return invalid("cuLaunchKernel", "kernel %s takes %d bytes of parameters, not %d", k.name, k.paramSize, len(params))
	}
	return m.enqueue("cuLaunchKernel", s, func() error { return m.launch(k, grid, block, params) })
}

// Check fails where work is left on a stream or a fault was not noticed.
func (m *Machine) Check() error {
	for _, s := range m.streams {
		if len(s.work) > 0 {
			return errors.New("a stream has work that nobody waited for")
		}
	}
	return m.failed
}

var _ driver.Driver = (*Machine)(nil)
