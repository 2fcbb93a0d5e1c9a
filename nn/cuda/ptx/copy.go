package ptx

import (
	"fmt"
	"slices"

	"rampart/nn/cuda/driver"
)

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

// CopyPeer implements driver.Driver.
func (m *Machine) CopyPeer(to driver.Pointer, toContext driver.Context, from driver.Pointer, fromContext driver.Context, bytes int, s driver.Stream) error {
	const call = "cuMemcpyPeerAsync"
	var other *Machine
	if m.rack != nil && fromContext > 0 && int(fromContext) <= len(m.rack.Machines) {
		other = m.rack.Machines[fromContext-1]
	}
	if toContext != m.own || other == nil {
		return invalid(call, "from context %d to %d on a stream of %d", fromContext, toContext, m.own)
	}
	return m.enqueue(call, s, func() error {
		a, b := m.find(uint64(to), bytes), other.find(uint64(from), bytes)
		if a == nil || b == nil {
			return fmt.Errorf("%s of %d bytes from %#x to %#x leaves the memory", call, bytes, from, to)
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
