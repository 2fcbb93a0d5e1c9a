package ptx

import (
	"fmt"
	"slices"
	"unsafe"
)

// allocation is a piece of global memory. Its bytes are known, written is 255, or not, 0.
type allocation struct {
	base    uint64
	size    int
	top     uint64 // the last offset at which four bytes fit
	bytes   []byte
	words   []uint32 // the same memory
	written []byte
	known   []uint32 // the same memory as written
}

func newAllocation(base uint64, size int) *allocation {
	n := (size + 7) / 8
	data, shadow := make([]uint64, n), make([]uint64, n)
	view := func(v []uint64) ([]byte, []uint32) {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), size), unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(v))), 2*n)
	}
	a := &allocation{base: base, size: size, top: uint64(max(size-4, 0))}
	a.bytes, a.words = view(data)
	a.written, a.known = view(shadow)
	return a
}

// find returns the allocation that holds all of [at,at+size), nil if none does.
func (m *Machine) find(at uint64, size int) *allocation {
	i, found := slices.BinarySearchFunc(m.memory, at, func(a *allocation, at uint64) int {
		switch {
		case a.base > at:
			return 1
		case at >= a.base+uint64(a.size):
			return -1
		}
		return 0
	})
	if !found || at+uint64(size) > m.memory[i].base+uint64(m.memory[i].size) {
		return nil
	}
	return m.memory[i]
}

// place is what a memory instruction does.
type place struct {
	id     int // its hint
	line   int
	size   int // of one element
	count  int // of elements, side by side
	offset uint64
	what   string
}

// global returns where in an allocation the access of a thread at address at goes, after all checks.
func (w *warp) global(p *place, at uint64) (*allocation, uint64) {
	n := p.size * p.count
	if at%uint64(n) != 0 {
		w.fail(p.line, "%s of %d bytes at %#x is misaligned", p.what, n, at)
	}
	a := w.b.hints[p.id]
	if a == nil || n > a.size || at-a.base > uint64(a.size-n) {
		if a = w.b.m.find(at, n); a == nil {
			w.fail(p.line, "%s of %d bytes at %#x, %s", p.what, n, at, w.b.m.near(at))
		}
		if a.size >= 4 {
			w.b.hints[p.id] = a
		}
	}
	return a, at - a.base
}

// near describes an address beside the memory.
func (m *Machine) near(at uint64) string {
	for _, a := range slices.Backward(m.memory) {
		if a.base <= at {
			return fmt.Sprintf("%d bytes from the start of an allocation of %d", at-a.base, a.size)
		}
	}
	return "where nothing is allocated"
}

func (w *warp) unknown(p *place, a *allocation, at uint64) {
	w.fail(p.line, "%s of global memory that nothing has written, %d bytes from the start of an allocation of %d", p.what, at, a.size)
}
