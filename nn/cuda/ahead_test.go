package cuda

import (
	"fmt"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/ptx"
	"rampart/nn/rng"
)

// deaf is a driver whose waits on one stream do nothing: the streams are numbered as they are made.
type deaf struct {
	*ptx.Machine
	stream  int
	streams []driver.Stream
}

func (d *deaf) NewStream() (driver.Stream, error) {
	s, err := d.Machine.NewStream()
	d.streams = append(d.streams, s)
	return s, err
}

func (d *deaf) WaitEvent(s driver.Stream, e driver.Event) error {
	if slices.Index(d.streams, s) == d.stream {
		return nil
	}
	return d.Machine.WaitEvent(s, e)
}

// relay sends batches through one tensor, each ahead of the work with it, and fails where a result is not
// its own batch's.
func relay(t *testing.T, drv driver.Driver) error {
	t.Helper()
	d, err := New(drv, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, call, _ := victim(t, d, nn.CrossEntropy{})
	const batches = 4
	x, images := call.X.(*Tensor), make([]float32, call.X.Len())
	type pass struct{ logits, copied *Tensor }
	run := func(i int, ahead bool) (p pass, err error) {
		rng.New(7, "batch").Uniform(images, 0, 1, uint32(i), 0, 0)
		if ahead {
			x.UploadAhead(images)
		} else {
			x.Upload(images, 0)
		}
		p = pass{d.New(call.Rows * 10).(*Tensor), d.New(x.Len()).(*Tensor)}
		p.copied.CopyFrom(x)
		call.Logits = p.logits
		return p, m.InputGrad(call)
	}
	var passes [2][batches]pass
	for way := range passes {
		for i := range batches {
			if passes[way][i], err = run(i, way == 1); err != nil {
				return err
			}
		}
	}
	for i, p := range passes[1] { // nothing has been waited for until here
		if !slices.Equal(values(p.logits), values(passes[0][i].logits)) || !slices.Equal(values(p.copied), values(passes[0][i].copied)) {
			return fmt.Errorf("batch %d is not what was sent ahead", i)
		}
	}
	return d.err
}

// TestUploadAhead: values that travel on the second stream are there when they are used, and not before
// the old ones are done with, whichever stream is ahead. Where a stream does not wait, this notices.
func TestUploadAhead(t *testing.T) {
	const first, second = 0, 1
	for _, order := range []struct {
		hasty int
		needs []int // the streams whose waits matter
	}{{0, []int{first}}, {1, []int{first}}, {2, []int{second}}} {
		machine := func() *ptx.Machine {
			m := ptx.NewMachine(1)
			m.Hasty = order.hasty
			return m
		}
		if err := relay(t, machine()); err != nil {
			t.Errorf("stream %d hastes: %v", order.hasty, err)
		}
		for _, stream := range order.needs {
			if relay(t, &deaf{Machine: machine(), stream: stream}) == nil {
				t.Errorf("stream %d hastes: nothing notices that stream %d does not wait", order.hasty, stream+1)
			}
		}
	}
}

// TestAheadReturns: memory that was filled ahead serves the next tensor, and is given back.
func TestAheadReturns(t *testing.T) {
	d, machine := open(t, 1)
	x := d.New(10).(*Tensor)
	x.UploadAhead([]float32{1, 2, 3})
	d.reclaim(x.block)
	y := d.New(10).(*Tensor)
	if y.block != x.block {
		t.Fatal("the memory was not used again")
	}
	if got := values(y); got[0] != 0 {
		t.Errorf("a new tensor begins with %v", got[0])
	}
	y.UploadAhead(make([]float32, 20)) // what goes beyond is dropped
	d.reclaim(y.block)
	if err := d.release(); err != nil {
		t.Fatal(err)
	}
	if err := machine.Check(); err != nil {
		t.Error(err)
	}
}
