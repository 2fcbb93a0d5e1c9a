package cpu

import (
	"sync"
	"sync/atomic"
)

// pool runs numbered units of work on a fixed number of workers, the caller being worker 0.
type pool struct {
	workers int
	wake    []chan struct{}
	done    sync.WaitGroup
	next    atomic.Int64
	units   int
	work    func(worker, unit int)
}

func newPool(workers int) *pool {
	p := &pool{workers: workers}
	for w := 1; w < workers; w++ {
		wake := make(chan struct{})
		p.wake = append(p.wake, wake)
		go func() {
			for range wake {
				p.drain(w)
				p.done.Done()
			}
		}()
	}
	return p
}

// run calls work for every unit and returns when all are done.
func (p *pool) run(units int, work func(worker, unit int)) {
	p.units, p.work = units, work
	p.next.Store(0)
	helpers := max(min(units, p.workers)-1, 0)
	p.done.Add(helpers)
	for _, wake := range p.wake[:helpers] {
		wake <- struct{}{}
	}
	p.drain(0)
	p.done.Wait()
	p.work = nil // which holds a program
}

func (p *pool) drain(worker int) {
	for {
		unit := int(p.next.Add(1)) - 1
		if unit >= p.units {
			return
		}
		p.work(worker, unit)
	}
}
