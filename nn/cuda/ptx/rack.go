package ptx

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"rampart/nn/cuda/driver"
)

// Rack is several make-believe GPUs in one computer, each with a memory of its own: an address of another's is
// out of bounds. Its drivers may be called from different threads. Work is done when someone waits for it, as on
// a Machine; a collective is done when the streams of all devices have come to it.
type Rack struct {
	Machines []*Machine
	// Patience is how long a device waits for the others before that is an error.
	Patience time.Duration

	lock    sync.Mutex // of everything
	changed *sync.Cond // work was asked for, or done
	collectives
}

// NewRack returns n machines; seed draws the order of warps and blocks.
func NewRack(seed uint64, n int) *Rack {
	r := &Rack{Patience: time.Minute}
	r.changed = sync.NewCond(&r.lock)
	for k := range n {
		m := NewMachine(seed + uint64(k))
		m.rack, m.own = r, driver.Context(k+1)
		m.next += uint64(k) << 36
		m.handles += uintptr(k) << 24
		r.Machines = append(r.Machines, m)
	}
	return r
}

// Driver is the driver as a thread that works with device k calls it.
func (r *Rack) Driver(k int) driver.Driver { return &member{r.Machines[k], r, k} }

// wait returns when something has changed, or in vain when no one has done anything for too long.
func (r *Rack) wait() error {
	late := false
	timer := time.AfterFunc(r.Patience, func() {
		r.lock.Lock()
		defer r.lock.Unlock()
		late = true
		r.changed.Broadcast()
	})
	defer timer.Stop()
	r.changed.Wait()
	if late {
		return errors.New("it waits for another device in vain")
	}
	return nil
}

// Check fails where work is left on a stream, a fault was not noticed, or a collective was not met by all.
func (r *Rack) Check() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	for k, m := range r.Machines {
		if err := m.Check(); err != nil {
			return fmt.Errorf("device %d: %w", k, err)
		}
	}
	return r.open()
}
