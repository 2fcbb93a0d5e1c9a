package cuda

import (
	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// graphKey is all that a captured step of an attack has baked in. What a schedule moves, epsilon and the
// step size, lies in memory instead.
type graphKey struct {
	rows, first                   int
	arena, clean, soft            driver.Pointer
	loss                          device.LossKernel
	scale                         float32
	noise                         uint64
	norm                          device.Norm
	most                          int // pixels that a step in L1 moves
	earlyStop, keepBest, targeted bool
}

// graphs are the captured steps of an executable's attacks.
type graphs struct {
	ready map[graphKey]driver.Graph
	met   map[graphKey]bool // once so far: capturing pays from the second time on
}

// mostGraphs bounds how many are kept; training and evaluation use a few in turn.
const mostGraphs = 16

// repeat does a step of an attack n times: as a graph where the driver has graphs, the step launches
// nothing but kernels, and it has been met before.
func (e *executable) repeat(n int, k graphKey, step func()) {
	d, g := e.dev, &e.graphs
	if n < 2 || e.share != nil && e.meets() || e.profile != nil || !d.ok() || !d.drv.Graphs() || files()["loss_"+k.loss.Name] == "" || !g.met[k] {
		if g.met == nil || len(g.met) > 16*mostGraphs {
			g.met = map[graphKey]bool{}
		}
		g.met[k] = true
		for range n {
			step()
		}
		return
	}
	graph, ok := g.ready[k]
	if !ok {
		graph = e.capture(step)
		if len(g.ready) >= mostGraphs {
			d.wait()
			for key, old := range g.ready {
				if d.ok() {
					d.fail(d.drv.CloseGraph(old))
				}
				delete(g.ready, key)
			}
		}
		if g.ready == nil {
			g.ready = map[graphKey]driver.Graph{}
		}
		g.ready[k] = graph
	}
	for range n {
		if d.ok() {
			d.fail(d.drv.LaunchGraph(graph, d.stream))
		}
	}
}

// capture makes a graph of what a step launches.
func (e *executable) capture(step func()) (g driver.Graph) {
	d := e.dev
	d.fail(d.drv.Capture(d.stream))
	step()
	if d.ok() {
		var err error
		g, err = d.drv.Captured(d.stream)
		d.fail(err)
	}
	return g
}
