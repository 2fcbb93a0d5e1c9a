package data

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// lazy holds images of one size, some of which are kept decoded; the others are decoded whenever
// they are needed. Which are kept never changes: an epoch visits every image once, so that no
// order of forgetting would serve it better.
type lazy struct {
	size    int // bytes of an image
	kept    [][]byte
	decode  func(i uint32, dst []byte) error // safe for concurrent use
	buffers sync.Pool                        // of *[]byte of the size

	mu  sync.Mutex
	err error
}

func newLazy(size int, kept [][]byte, decode func(i uint32, dst []byte) error) *lazy {
	l := &lazy{size: size, kept: kept, decode: decode}
	l.buffers.New = func() any { b := make([]byte, size); return &b }
	return l
}

// image returns image i, in buffer if it is not kept. It must not be changed.
func (l *lazy) image(i uint32, buffer []byte) []byte {
	if l.kept[i] != nil {
		return l.kept[i]
	}
	buffer = buffer[:l.size]
	if err := l.decode(i, buffer); err != nil {
		clear(buffer)
		l.mu.Lock()
		if l.err == nil {
			l.err = err
		}
		l.mu.Unlock()
	}
	return buffer
}

func (l *lazy) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// fill writes the images of the given numbers to dst, one after another, decoding in parallel.
func (l *lazy) fill(dst []byte, numbers []uint32) {
	parallel(len(numbers), func(k int) {
		place := dst[k*l.size : (k+1)*l.size]
		if image := l.image(numbers[k], place); &image[0] != &place[0] {
			copy(place, image)
		}
	})
}

// each visits n images in order, decoding blocks of them in parallel.
func (l *lazy) each(n int, number func(k int) uint32, visit func(image []byte)) {
	const block = 64
	buffer := make([]byte, block*l.size)
	for lo := 0; lo < n; lo += block {
		numbers := make([]uint32, min(block, n-lo))
		for k := range numbers {
			numbers[k] = number(lo + k)
		}
		l.fill(buffer, numbers)
		visit(buffer[:len(numbers)*l.size])
	}
}

// parallel calls f for 0 to n-1, in increasing order of their beginnings.
func parallel(n int, f func(k int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				f(k)
			}
		})
	}
	wait.Wait()
}
