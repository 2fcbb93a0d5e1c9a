package ptx

import (
	"errors"
	"slices"

	"time"

	"rampart/nn/cuda/driver"
)

// enqueue puts work on a stream, where it waits for someone who waits for it.
func (m *Machine) enqueue(call string, s driver.Stream, work func() error) error {
	if err := m.ready(call); err != nil {
		return err
	}
	q := m.streams[s]
	if q == nil {
		return invalid(call, "there is no stream %d", s)
	}
	if q.capturing {
		q.captured = append(q.captured, work)
	} else {
		q.work = append(q.work, work)
		if m.rack != nil {
			m.rack.changed.Broadcast()
		}
	}
	if q.number == m.Hasty && !q.capturing {
		return m.drain(q, nil)
	}
	return nil
}

// drain does a stream's work, up to an event if that is not nil.
func (m *Machine) drain(q *stream, until *event) error {
	for (q.busy || len(q.work) > 0) && !(until != nil && until.done) && m.failed == nil {
		if q.busy {
			if err := m.rack.wait(); err != nil {
				return err
			}
			continue
		}
		work := q.work[0]
		q.work = q.work[1:]
		q.busy = m.rack != nil
		err := work()
		q.busy = false
		if m.rack != nil {
			m.rack.changed.Broadcast()
		}
		if err != nil {
			m.failed = &driver.Error{Call: "an earlier launch", Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Text: err.Error()}
		}
	}
	return m.failed
}

// NewStream implements driver.Driver.
func (m *Machine) NewStream() (driver.Stream, error) {
	s := driver.Stream(m.handle())
	m.streams[s] = &stream{number: len(m.streams) + 1}
	return s, m.ready("cuStreamCreate")
}

// CloseStream implements driver.Driver.
func (m *Machine) CloseStream(s driver.Stream) error {
	err := m.Synchronize(s)
	delete(m.streams, s)
	return err
}

// Synchronize implements driver.Driver.
func (m *Machine) Synchronize(s driver.Stream) error {
	m.Synchronized++
	if err := m.ready("cuStreamSynchronize"); err != nil {
		return err
	}
	q := m.streams[s]
	if q == nil {
		return invalid("cuStreamSynchronize", "there is no stream %d", s)
	}
	return m.drain(q, nil)
}

// NewEvent implements driver.Driver.
func (m *Machine) NewEvent() (driver.Event, error) {
	e := driver.Event(m.handle())
	m.events[e] = &event{machine: m, done: true}
	return e, m.ready("cuEventCreate")
}

// CloseEvent implements driver.Driver.
func (m *Machine) CloseEvent(e driver.Event) error {
	delete(m.events, e)
	return m.ready("cuEventDestroy")
}

// Record implements driver.Driver.
func (m *Machine) Record(e driver.Event, s driver.Stream) error {
	if m.events[e] == nil {
		return invalid("cuEventRecord", "there is no event %d", e)
	}
	// An event that is recorded again is another one for those who wait from then on.
	ev := &event{machine: m, owner: m.streams[s]}
	m.events[e] = ev
	return m.enqueue("cuEventRecord", s, func() error { ev.done, ev.at = true, time.Now(); return nil })
}

// WaitEvent implements driver.Driver.
func (m *Machine) WaitEvent(s driver.Stream, e driver.Event) error {
	ev := m.event(e)
	if ev == nil {
		return invalid("cuStreamWaitEvent", "there is no event %d", e)
	}
	return m.enqueue("cuStreamWaitEvent", s, func() error {
		if ev.done {
			return nil
		}
		return ev.machine.drain(ev.owner, ev)
	})
}

// event finds an event of this machine, or of another one of its rack.
func (m *Machine) event(e driver.Event) *event {
	if m.rack != nil {
		for _, other := range m.rack.Machines {
			if ev := other.events[e]; ev != nil {
				return ev
			}
		}
	}
	return m.events[e]
}

// Await implements driver.Driver.
func (m *Machine) Await(e driver.Event) error {
	if err := m.ready("cuEventSynchronize"); err != nil {
		return err
	}
	ev := m.events[e]
	if ev == nil {
		return invalid("cuEventSynchronize", "there is no event %d", e)
	}
	if ev.done {
		return nil
	}
	return m.drain(ev.owner, ev)
}

// Elapsed implements driver.Driver.
func (m *Machine) Elapsed(from, to driver.Event) (float32, error) {
	a, b := m.events[from], m.events[to]
	if a == nil || b == nil || !a.done || !b.done {
		return 0, &driver.Error{Call: "cuEventElapsedTime", Code: 600, Name: "CUDA_ERROR_NOT_READY"}
	}
	return float32(b.at.Sub(a.at).Seconds() * 1e3), nil
}

// Launch implements driver.Driver.
func (m *Machine) Launch(f driver.Function, grid, block [3]int, params []byte, s driver.Stream) error {
	if f == 0 || int(f) > len(m.functions) {
		return invalid("cuLaunchKernel", "there is no function %d", f)
	}
	m.Launches++
	k, params := m.functions[f-1], slices.Clone(params)
	if len(params) != k.paramSize {
		return invalid("cuLaunchKernel", "kernel %s takes %d bytes of parameters, not %d", k.name, k.paramSize, len(params))
	}
	return m.enqueue("cuLaunchKernel", s, func() error { return m.launch(k, grid, block, params) })
}

// Graphs implements driver.Driver.
func (m *Machine) Graphs() bool { return true }

// Capture implements driver.Driver.
func (m *Machine) Capture(s driver.Stream) error {
	if err := m.ready("cuStreamBeginCapture"); err != nil {
		return err
	}
	q := m.streams[s]
	if q == nil {
		return invalid("cuStreamBeginCapture", "there is no stream %d", s)
	}
	q.capturing, q.captured = true, nil
	return nil
}

// Captured implements driver.Driver.
func (m *Machine) Captured(s driver.Stream) (driver.Graph, error) {
	if err := m.ready("cuStreamEndCapture"); err != nil {
		return 0, err
	}
	q := m.streams[s]
	if q == nil || !q.capturing {
		return 0, invalid("cuStreamEndCapture", "the stream %d captures nothing", s)
	}
	g := driver.Graph(m.handle())
	m.graphs[g], q.capturing = q.captured, false
	return g, nil
}

// LaunchGraph implements driver.Driver.
func (m *Machine) LaunchGraph(g driver.Graph, s driver.Stream) error {
	list, ok := m.graphs[g]
	if !ok {
		return invalid("cuGraphLaunch", "there is no graph %d", g)
	}
	m.GraphLaunches++
	for _, work := range list {
		if err := m.enqueue("cuGraphLaunch", s, work); err != nil {
			return err
		}
	}
	return nil
}

// CloseGraph implements driver.Driver. Like the driver it lets go of a graph that is still on a stream.
func (m *Machine) CloseGraph(g driver.Graph) error {
	delete(m.graphs, g)
	return m.ready("cuGraphExecDestroy")
}

// Check fails where work is left on a stream or a fault was not noticed.
func (m *Machine) Check() error {
	for _, s := range m.streams {
		if len(s.work) > 0 {
			return errors.New("a stream has work that nobody waited for")
		}
	}
	return m.failed
}
