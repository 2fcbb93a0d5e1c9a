package cuda

import (
	"slices"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// passKey is all that the launches of a pass through a program have baked in. What moves from step to step,
// labels and the key of random numbers, lies in memory instead.
type passKey struct {
	program                       int // its number
	rows, first, all, adversarial int
	addresses                     string // of the buffers, the arena and the targets
	labels                        bool
	loss                          device.LossKernel
	scale                         float32
}

// loopKey is that of a step of an attack. Epsilon and the step size, which schedules move, lie in memory.
type loopKey struct {
	pass                          passKey
	clean                         driver.Pointer
	norm                          device.Norm
	most                          int // pixels that a step in L1 moves
	earlyStop, keepBest, targeted bool
}

// graphs are what a device launches as one, by all that is baked in.
type graphs struct {
	ready map[any]driver.Graph
	met   map[any]bool // once so far: capturing pays from the second time on
}

// mostGraphs bounds how many a device keeps; training and evaluation use a few in turn.
const mostGraphs = 64

// captured reports whether a pass launches nothing but kernels.
func (e *executable) captured() bool {
	alone := e.share == nil || e.share.table == nil && !e.meets()
	return alone && e.rows > 0 && e.profile == nil && (!e.lossy || files()["loss_"+lossKernel(e.call.Loss).Name] != "")
}

// key is that of the current call.
func (e *executable) key() passKey {
	c := e.call
	at := append(slices.Clone(e.addr), e.dev.arena, address(c.Soft))
	return passKey{program: e.number, rows: e.rows, first: e.first(), all: e.total(), adversarial: c.Adversarial,
		addresses: string(bytesOf(at)), labels: c.Labels != nil, loss: lossKernel(c.Loss), scale: c.Scale}
}

// repeat launches a step n times: as a graph where the driver has graphs, there is a key, and that has been met
// before. Steps of one key launch the same kernels with the same parameters, and nothing else.
func (d *Device) repeat(n int, key any, step func()) {
	g := &d.graphs
	if key == nil || !d.ok() || !d.drv.Graphs() || !g.met[key] {
		if g.met == nil || len(g.met) > 16*mostGraphs {
			g.met = map[any]bool{}
		}
		if key != nil {
			g.met[key] = true
		}
		for range n {
			step()
		}
		return
	}
	graph, ok := g.ready[key]
	if !ok {
		graph = d.capture(step)
		if len(g.ready) >= mostGraphs {
			d.wait()
			for old, one := range g.ready {
				if d.ok() {
					d.fail(d.drv.CloseGraph(one))
				}
				delete(g.ready, old)
			}
		}
		if g.ready == nil {
			g.ready = map[any]driver.Graph{}
		}
		g.ready[key] = graph
	}
	for range n {
		if d.ok() {
			d.fail(d.drv.LaunchGraph(graph, d.stream))
		}
	}
}

// capture makes a graph of what a step launches.
func (d *Device) capture(step func()) (g driver.Graph) {
	d.fail(d.drv.Capture(d.stream))
	step()
	if d.ok() {
		var err error
		g, err = d.drv.Captured(d.stream)
		d.fail(err)
	}
	return g
}
