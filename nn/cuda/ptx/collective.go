package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
)

// collectives are what a rack's devices do together.
type collectives struct {
	asked   []int // collectives, by device
	under   []*meeting
	groups  int // begun and not ended
	aborted bool
}

// meeting is an all-reduce. Those that are under way are in the order in which devices ask for them.
type meeting struct {
	n        int
	kind     nccl.Type
	guests   []guest // by device
	complete event
}

// guest is what one device brings.
type guest struct {
	machine    *Machine // nil for one that has not asked for it yet
	stream     *stream
	send, recv driver.Pointer
	arrived    bool
}

// Version implements nccl.Library.
func (r *Rack) Version() (int, error) { return 21903, nil }

// Init implements nccl.Library. Communicators belong to all of the machines in order.
func (r *Rack) Init(devices []int) ([]nccl.Comm, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.asked = make([]int, len(r.Machines))
	var list []nccl.Comm
	for i, d := range devices {
		if d != i || len(devices) != len(r.Machines) {
			return nil, &nccl.Error{Call: "ncclCommInitAll", Code: 4, Text: fmt.Sprintf("devices %v of %d", devices, len(r.Machines))}
		}
		list = append(list, nccl.Comm(i+1))
	}
	return list, nil
}

// AllReduce implements nccl.Library.
func (r *Rack) AllReduce(send, recv driver.Pointer, n int, t nccl.Type, c nccl.Comm, s driver.Stream) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	if c < 1 || int(c) > len(r.asked) || n < 1 {
		return &nccl.Error{Call: "ncclAllReduce", Code: 4, Text: "invalid argument"}
	}
	k := int(c) - 1
	m := r.Machines[k]
	if m.streams[s] == nil {
		return &nccl.Error{Call: "ncclAllReduce", Code: 4, Text: "the stream is none of the device's"}
	}
	if r.aborted {
		return &nccl.Error{Call: "ncclAllReduce", Code: 4, Text: "the communicator was aborted"}
	}
	at := r.asked[k]
	if at == len(r.under) {
		r.under = append(r.under, &meeting{n: n, kind: t, guests: make([]guest, len(r.Machines))})
	}
	mt := r.under[at]
	if mt.n != n || mt.kind != t {
		return &nccl.Error{Call: "ncclAllReduce", Code: 5, Text: fmt.Sprintf("device %d adds %d values of type %d, another device %d of type %d", k, n, t, mt.n, mt.kind)}
	}
	r.asked[k]++
	mt.guests[k] = guest{machine: m, stream: m.streams[s], send: send, recv: recv}
	r.forget()
	return m.enqueue("ncclAllReduce", s, func() error { return r.meet(mt, k) })
}

// forget drops meetings that are over.
func (r *Rack) forget() {
	for len(r.under) > 0 && r.under[0].complete.done && slices.Min(r.asked) > 0 {
		r.under = r.under[1:]
		for k := range r.asked {
			r.asked[k]--
		}
	}
}

// meet is device k's part of a meeting: it makes the others come, and waits for those that have not been asked.
func (r *Rack) meet(mt *meeting, k int) error {
	mt.guests[k].arrived = true
	if !slices.ContainsFunc(mt.guests, func(g guest) bool { return !g.arrived }) {
		mt.complete.done = true
		return mt.add()
	}
	for !mt.complete.done && !r.aborted {
		moved := false
		for j := range mt.guests {
			g := &mt.guests[j]
			if g.machine != nil && g.machine.failed != nil {
				return fmt.Errorf("device %d, which it meets, failed: %w", j, g.machine.failed)
			}
			if g.machine != nil && !g.arrived && !g.stream.busy {
				moved = true
				if err := g.machine.drain(g.stream, &mt.complete); err != nil {
					return fmt.Errorf("device %d, which it meets, failed: %w", j, err)
				}
			}
		}
		if moved || mt.complete.done {
			continue
		}
		if err := r.wait(); err != nil {
			return fmt.Errorf("ncclAllReduce of device %d: %w", k, err)
		}
	}
	if !mt.complete.done { // the result of what was aborted is not to be used
		g := mt.guests[k]
		if a := g.machine.find(uint64(g.recv), mt.n*mt.kind.Size()); a != nil {
			clear(a.written[uint64(g.recv)-a.base:][:mt.n*mt.kind.Size()])
		}
	}
	return nil
}

// add leaves the sums, in the order of the devices, on every device.
func (mt *meeting) add() error {
	size := mt.kind.Size()
	sums := make([]float64, mt.n)
	for k, g := range mt.guests {
		a := g.machine.find(uint64(g.send), mt.n*size)
		if a == nil {
			return fmt.Errorf("ncclAllReduce on device %d: %d bytes at %#x, %s", k, mt.n*size, g.send, g.machine.near(uint64(g.send)))
		}
		at := uint64(g.send) - a.base
		if slices.Contains(a.written[at:][:mt.n*size], 0) {
			return fmt.Errorf("ncclAllReduce on device %d reads what nothing has written", k)
		}
		for i := range sums {
			if bytes := a.bytes[at+uint64(i*size):]; size == 8 {
				sums[i] += math.Float64frombits(binary.LittleEndian.Uint64(bytes))
			} else {
				sums[i] = float64(float32(sums[i]) + math.Float32frombits(binary.LittleEndian.Uint32(bytes)))
			}
		}
	}
	for k, g := range mt.guests {
		a := g.machine.find(uint64(g.recv), mt.n*size)
		if a == nil {
			return fmt.Errorf("ncclAllReduce on device %d: %d bytes at %#x, %s", k, mt.n*size, g.recv, g.machine.near(uint64(g.recv)))
		}
		at := uint64(g.recv) - a.base
		for i, v := range sums {
			if bytes := a.bytes[at+uint64(i*size):]; size == 8 {
				binary.LittleEndian.PutUint64(bytes, math.Float64bits(v))
			} else {
				binary.LittleEndian.PutUint32(bytes, math.Float32bits(float32(v)))
			}
		}
		mark(a.written[at:][:mt.n*size])
	}
	return nil
}

// GroupStart implements nccl.Library.
func (r *Rack) GroupStart() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.groups++
	return nil
}

// GroupEnd implements nccl.Library.
func (r *Rack) GroupEnd() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.groups--; r.groups < 0 {
		return &nccl.Error{Call: "ncclGroupEnd", Code: 5, Text: "there is no group"}
	}
	return nil
}

// Abort implements nccl.Library.
func (r *Rack) Abort(nccl.Comm) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.aborted = true
	r.changed.Broadcast()
	return nil
}

// Destroy implements nccl.Library.
func (r *Rack) Destroy(nccl.Comm) error { return nil }

// open reports collectives that some devices have not been asked to join, and groups without an end.
func (r *Rack) open() error {
	if r.groups != 0 {
		return errors.New("a group of collectives has no end")
	}
	for _, mt := range r.under {
		if !mt.complete.done {
			return errors.New("a collective was not met by all devices")
		}
	}
	return nil
}

var _ nccl.Library = (*Rack)(nil)
