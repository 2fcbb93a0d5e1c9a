package cuda

import (
	"runtime"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// ahead is what a tensor's memory has besides where it is filled on the second stream: pinned memory on
// the way there, and two events. Both streams wait for each other by these alone.
type ahead struct {
	host []byte
	free driver.Event // the first stream has done what it was asked before, with the old values
	full driver.Event // the new values are there
	due  bool         // the first stream has not been told to wait for full yet
}

// UploadAhead implements device.Distant.
func (t *Tensor) UploadAhead(src []float32) { t.uploadAhead(src, 0) }

// uploadAhead is UploadAhead to position at.
func (t *Tensor) uploadAhead(src []float32, at int) {
	d := t.dev
	defer d.enter()()
	if t.block.ahead == nil {
		d.fail(d.second(t.block))
	}
	a, n := t.block.ahead, 4*min(len(src), t.n-at)
	for _, do := range []func() error{
		func() error { return d.drv.Await(a.full) }, // the last copy from host
		func() error { copy(a.host, bytesOf(src)); return d.drv.Record(a.free, d.stream) },
		func() error { return d.drv.WaitEvent(d.copies, a.free) },
		func() error { return d.drv.Upload(t.at+driver.Pointer(4*at), a.host[:n], d.copies) },
		func() error { a.due = true; return d.drv.Record(a.full, d.copies) },
	} {
		if d.ok() {
			d.fail(do())
		}
	}
	runtime.KeepAlive(t)
}

// second prepares a block to be filled on the second stream.
func (d *Device) second(b *block) (err error) {
	if !d.ok() {
		return d.err
	}
	if d.copies == 0 {
		if d.copies, err = d.drv.NewStream(); err != nil {
			return err
		}
	}
	a := &ahead{}
	if a.host, err = d.drv.Pinned(b.bytes); err != nil {
		return err
	}
	if a.free, err = d.drv.NewEvent(); err != nil {
		return err
	}
	a.full, err = d.drv.NewEvent()
	b.ahead = a
	return err
}

// use returns the address of a block for work on the first stream.
func (b *block) use(d *Device) driver.Pointer {
	if a := b.ahead; a != nil && a.due && d.ok() {
		a.due = false
		d.fail(d.drv.WaitEvent(d.stream, a.full))
	}
	return b.at
}

// discard gives a block back.
func (d *Device) discard(b *block) error {
	if err := d.drv.Free(b.at); err != nil || b.ahead == nil { // Free waits for all streams
		return err
	}
	err := d.drv.FreePinned(b.ahead.host)
	for _, e := range []driver.Event{b.ahead.free, b.ahead.full} {
		if err == nil {
			err = d.drv.CloseEvent(e)
		}
	}
	return err
}

// CopyFrom implements device.Distant.
func (t *Tensor) CopyFrom(src device.Tensor) {
	defer t.dev.enter()()
	if n := min(t.n, src.Len()); n > 0 && t.dev.ok() {
		t.dev.fail(t.dev.drv.Copy(t.block.use(t.dev), address(src), 4*n, t.dev.stream))
	}
	runtime.KeepAlive(t)
	runtime.KeepAlive(src)
}

var _ device.Distant = (*Tensor)(nil)
