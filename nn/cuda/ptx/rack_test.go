package ptx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
)

// seat is a device of a rack as its own thread uses it.
type seat struct {
	driver.Driver
	context driver.Context
	comm    nccl.Comm
	stream  driver.Stream
	at      driver.Pointer // of 64 bytes
	host    []byte         // as many, pinned
}

// seats opens every device of a rack.
func seats(t *testing.T, r *Rack) (list []*seat) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	numbers := make([]int, len(r.Machines))
	for k := range numbers {
		numbers[k] = k
	}
	comms, err := r.Init(numbers)
	check(err)
	for k, c := range comms {
		s := &seat{Driver: r.Driver(k), comm: c}
		s.context, err = s.Retain(k)
		check(err)
		check(s.Enter(s.context))
		s.stream, err = s.NewStream()
		check(err)
		s.at, err = s.Alloc(64)
		check(err)
		s.host, err = s.Pinned(64)
		check(err)
		list = append(list, s)
	}
	return list
}

func (s *seat) put(values ...float32) error {
	for i, v := range values {
		binary.LittleEndian.PutUint32(s.host[4*i:], math.Float32bits(v))
	}
	return s.Upload(s.at, s.host[:4*len(values)], s.stream)
}

func (s *seat) get(n int) (string, error) {
	if err := s.Download(s.host[:4*n], s.at, s.stream); err != nil {
		return "", err
	}
	err := s.Synchronize(s.stream)
	var values []float32
	for i := range n {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(s.host[4*i:])))
	}
	return fmt.Sprint(values), err
}

// TestAllReduce: every device gets the sums, whoever waits first and whenever the others come.
func TestAllReduce(t *testing.T) {
	for first := range 3 {
		r := NewRack(1, 3)
		list := seats(t, r)
		errs := make(chan error)
		for k, s := range list {
			go func() {
				if k != first {
					time.Sleep(5 * time.Millisecond)
				}
				err := s.put(float32(k), 10)
				for range 2 {
					if err == nil {
						err = r.AllReduce(s.at, s.at, 2, nccl.Float32, s.comm, s.stream)
					}
				}
				var got string
				if err == nil {
					got, err = s.get(2)
				}
				if err == nil && got != "[9 90]" {
					err = fmt.Errorf("device %d has %s", k, got)
				}
				errs <- err
			}()
		}
		for range list {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestRackFaults: what does not work on several GPUs does not work here.
func TestRackFaults(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(r *Rack, a, b *seat) error
		want string
	}{
		{"an address of another device", func(r *Rack, a, b *seat) error {
			if err := a.Clear(b.at, 8, a.stream); err != nil {
				return err
			}
			return a.Synchronize(a.stream)
		}, "cuMemsetD8Async of 8 bytes"},
		{"a context of another device", func(r *Rack, a, b *seat) error { return a.Enter(b.context) }, "another device's"},
		{"a collective that another device does not join", func(r *Rack, a, b *seat) error {
			r.Patience = 10 * time.Millisecond
			if err := a.put(1); err != nil {
				return err
			}
			if err := r.AllReduce(a.at, a.at, 1, nccl.Float32, a.comm, a.stream); err != nil {
				return err
			}
			return a.Synchronize(a.stream)
		}, "in vain"},
		{"different numbers of values", func(r *Rack, a, b *seat) error {
			if err := r.AllReduce(a.at, a.at, 1, nccl.Float32, a.comm, a.stream); err != nil {
				return err
			}
			return r.AllReduce(b.at, b.at, 2, nccl.Float32, b.comm, b.stream)
		}, "another device 1"},
		{"memory that nothing has written", func(r *Rack, a, b *seat) error {
			for _, s := range []*seat{a, b} {
				if err := r.AllReduce(s.at, s.at, 1, nccl.Float32, s.comm, s.stream); err != nil {
					return err
				}
			}
			return b.Synchronize(b.stream)
		}, "nothing has written"},
		{"a result that was aborted", func(r *Rack, a, b *seat) error {
			if err := a.put(1); err != nil {
				return err
			}
			if err := r.AllReduce(a.at, a.at, 1, nccl.Float32, a.comm, a.stream); err != nil {
				return err
			}
			time.AfterFunc(5*time.Millisecond, func() { _ = r.Abort(b.comm) })
			_, err := a.get(1)
			return err
		}, "has never been written"},
		{"a collective in a graph", func(r *Rack, a, b *seat) error {
			if err := a.Capture(a.stream); err != nil {
				return err
			}
			return r.AllReduce(a.at, a.at, 1, nccl.Float32, a.comm, a.stream)
		}, "STREAM_CAPTURE_UNSUPPORTED"},
	} {
		r := NewRack(1, 2)
		list := seats(t, r)
		if err := test.do(r, list[0], list[1]); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

// TestCopyPeer: a copy waits for an event of the other device, and does not see what comes later.
func TestCopyPeer(t *testing.T) {
	r := NewRack(1, 2)
	list := seats(t, r)
	a, b := list[0], list[1]
	e, err := a.NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{a.put(1, 2), a.Record(e, a.stream), b.WaitEvent(b.stream, e), b.CopyPeer(b.at, b.context, a.at, a.context, 8, b.stream)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.get(2); err != nil || got != "[1 2]" {
		t.Errorf("the copy has %s, %v", got, err)
	}
	if err := b.CopyPeer(b.at, a.context, a.at, b.context, 8, b.stream); err == nil {
		t.Error("contexts may be exchanged")
	}
}
