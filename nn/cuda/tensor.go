package cuda

import (
	"fmt"
	"runtime"
	"unsafe"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// Tensor is memory of a Device.
type Tensor struct {
	dev *Device
	*block
	n int
}

// block is a tensor's memory, which the next of its size takes over.
type block struct {
	at    driver.Pointer
	bytes int
	ahead *ahead // nil where UploadAhead was never asked for
}

// New implements device.Device. Where memory runs out, the next call that returns an error says so.
func (d *Device) New(n int) device.Tensor {
	defer d.enter()()
	bytes := max(4*n, 4)
	t := &Tensor{dev: d, n: n, block: &block{bytes: bytes}}
	d.mutex.Lock()
	if list := d.free[bytes]; len(list) > 0 {
		t.block, d.free[bytes] = list[len(list)-1], list[:len(list)-1]
	}
	d.mutex.Unlock()
	if t.at == 0 && d.ok() {
		var err error
		if t.at, err = d.alloc(bytes); err != nil {
			d.fail(fmt.Errorf("%s for a tensor on %s: %w", sizeText(float64(bytes)), d.Name(), err))
		}
	}
	if d.ok() {
		d.fail(d.drv.Clear(t.use(d), bytes, d.stream))
		runtime.AddCleanup(t, d.reclaim, t.block)
	}
	return t
}

// reclaim keeps the memory of a tensor that nobody holds for the next of its size. The stream
// does what was asked of the old one before it touches the new.
func (d *Device) reclaim(b *block) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.free[b.bytes] = append(d.free[b.bytes], b)
}

// Len implements device.Tensor.
func (t *Tensor) Len() int { return t.n }

// Upload implements device.Tensor. It does not wait for the copy.
func (t *Tensor) Upload(src []float32, at int) {
	if n := min(len(src), t.n-at); n > 0 {
		defer t.dev.enter()()
		t.dev.upload(t.use(t.dev)+driver.Pointer(4*at), bytesOf(src[:n]))
	}
	runtime.KeepAlive(t)
}

// Download implements device.Tensor. It waits for all work.
func (t *Tensor) Download(dst []float32, at int) {
	if n := min(len(dst), t.n-at); n > 0 {
		defer t.dev.enter()()
		t.dev.download(bytesOf(dst[:n]), t.use(t.dev)+driver.Pointer(4*at))
	}
	runtime.KeepAlive(t)
}

// bytesOf views numbers as memory.
func bytesOf[T float32 | int32 | uint32 | int64 | float64 | driver.Pointer](v []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(one)))
}

// staging is pinned memory on the way to the device and back: the caller's own may be moved or
// changed before a copy is done.
type staging struct {
	memory []byte
	used   int // by copies that may be under way
}

const stagingSize = 1 << 20

// stage returns pinned memory of at most n bytes.
func (d *Device) stage(n int) []byte {
	s := &d.staging
	if s.memory == nil && d.ok() {
		var err error
		s.memory, err = d.drv.Pinned(stagingSize)
		d.fail(err)
	}
	n = min(n, stagingSize)
	if s.used+n > len(s.memory) {
		d.wait()
	}
	if !d.ok() {
		return nil
	}
	piece := s.memory[s.used : s.used+n]
	s.used += (n + 15) &^ 15
	return piece
}

// wait returns when the stream has done all its work.
func (d *Device) wait() {
	if d.ok() {
		d.fail(d.drv.Synchronize(d.stream))
	}
	d.staging.used = 0
}

func (d *Device) upload(to driver.Pointer, src []byte) {
	for len(src) > 0 {
		piece := d.stage(len(src))
		if !d.ok() {
			return
		}
		copy(piece, src)
		d.fail(d.drv.Upload(to, piece, d.stream))
		src, to = src[len(piece):], to+driver.Pointer(len(piece))
	}
}

func (d *Device) download(dst []byte, from driver.Pointer) {
	for len(dst) > 0 {
		piece := d.stage(len(dst))
		if !d.ok() {
			return
		}
		d.fail(d.drv.Download(piece, from, d.stream))
		d.wait()
		copy(dst, piece)
		dst, from = dst[len(piece):], from+driver.Pointer(len(piece))
	}
}
