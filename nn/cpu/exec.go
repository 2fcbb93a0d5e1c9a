package cpu

import (
	"fmt"
	"time"

	"rampart/nn/device"
)

// executable is a program with its memory. The work of a run is described in its fields, so that a
// run allocates nothing.
type executable struct {
	dev     *Device
	p       *device.Program
	params  *device.Parameters
	plan    *plan
	kernels []rowKernel   // by instruction, nil for byBatch
	whole   []batchKernel // by instruction, nil for the others
	packs   []packed
	frames  []*frame // by worker
	scratch int      // values that a worker's kernels need at most

	// the current run
	call    *device.Call
	loop    *device.Loop
	rows    int // of a tile
	segment []group
	current group
	units   []int // first block or unit of each instruction of the current byBatch group
	profile bool

	// the work of the pool: method values made once, because each would be an allocation
	tileWork, blockWork, pieceWork, attackWork, repackWork func(worker, unit int)
}

// rowKernel computes n rows of a tile from row r on.
type rowKernel func(f *frame, r, n int)

// batchKernel computes one of several independent pieces of a sum over all rows.
type batchKernel struct {
	units int
	run   func(f *frame, unit int)
	// Before any piece, prepare fills what the pieces share, in as many blocks as the rows take.
	// Both are nil where they share nothing.
	blocks  func(rows int) int
	prepare func(f *frame, block int)
	shared  int // values that they share: see frame.shared
}

// frame is what one worker sees of the program's memory.
type frame struct {
	e *executable
	// bases hold each buffer from the tile's first row on; strides are the distance of rows.
	bases   [][]float32
	strides []int
	row0    int // of the tile, in the batch
	labels  []int32
	soft    []float32
	scratch []float32
	image   []float32
	tile    []float32
	block   device.Block
	state   loopState
	norm    normState
	head    headFrame
	counts  device.Counts
	times   []time.Duration // by instruction, while the executable is profiled
}

// at returns n rows of a buffer.
func (f *frame) at(b, r, n int) []float32 {
	start := r * f.strides[b]
	return f.bases[b][start : start+n*f.e.p.Buffers[b].Size]
}

// shared is what the pieces of instruction i share.
func (f *frame) shared(i int) []float32 {
	at := f.e.plan.shared[i]
	return f.e.dev.arena.shared[at:][:f.e.whole[i].shared]
}

// all returns a whole buffer or all rows of one.
func (f *frame) all(b int) []float32 { return f.bases[b] }

// Load implements device.Device.
func (d *Device) Load(p *device.Program, params *device.Parameters) (device.Executable, error) {
	e := &executable{dev: d, p: p, params: params}
	if err := e.load(); err != nil {
		return nil, fmt.Errorf("load %s on cpu: %w", p.Name, err)
	}
	return e, nil
}

// load plans the program and binds its kernels.
func (e *executable) load() error {
	d, p := e.dev, e.p
	e.plan, e.kernels, e.whole = newPlan(p), make([]rowKernel, len(p.Instrs)), make([]batchKernel, len(p.Instrs))
	e.tileWork, e.blockWork, e.pieceWork = e.runTile, e.runBlock, e.runPiece
	e.attackWork, e.repackWork = e.attackTile, e.repackOne
	for i, in := range p.Instrs {
		need, err := e.bind(i, in)
		if err != nil {
			return err
		}
		e.scratch = max(e.scratch, need)
	}
	e.plan.share(e.whole)
	for range d.pool.workers {
		f := &frame{e: e, bases: make([][]float32, len(p.Buffers)), strides: make([]int, len(p.Buffers))}
		for b, buf := range p.Buffers {
			if pl := e.plan.places[b]; pl == external || pl == tile || pl == batch {
				f.strides[b] = buf.Size
			}
		}
		e.frames = append(e.frames, f)
	}
	return nil
}

// Run implements device.Executable.
func (e *executable) Run(c *device.Call) error {
	e.call, e.loop = c, nil
	e.prepare()
	for _, s := range e.plan.segments {
		e.segment = s
		if s[0].mode != byBatch {
			e.dev.pool.run(e.tiles(c.Rows), e.tileWork)
			continue
		}
		for _, g := range s {
			e.runBatch(g)
		}
		e.copyOut(e.frames[0], c.Rows)
	}
	e.call = nil
	return nil
}

// prepare renews packed weights and makes memory on first use.
func (e *executable) prepare() {
	e.repack()
	a := &e.dev.arena
	a.grow(e.sizes(), len(e.frames))
	e.rows = e.tileRows(e.call.Rows)
	for w, f := range e.frames {
		f.image, f.tile, f.scratch = a.image[w], a.tile[w], a.scratch[w]
		f.counts = device.Counts{}
	}
}

// tileRows splits rows evenly over the workers.
func (e *executable) tileRows(rows int) int {
	w := e.dev.pool.workers
	tiles := (rows + maxTile*w - 1) / (maxTile * w) * w
	return (rows + tiles - 1) / tiles
}

func (e *executable) tiles(rows int) int { return (rows + e.rows - 1) / e.rows }

// enter points a frame at rows row0.. of the batch.
func (e *executable) enter(f *frame, row0 int) {
	f.row0 = row0
	for b, buf := range e.p.Buffers {
		off := e.plan.offsets[b]
		switch e.plan.places[b] {
		case image:
			f.bases[b] = f.image[off:]
		case tile:
			f.bases[b] = f.tile[off*e.rows:][:buf.Size*e.rows]
		case batch:
			f.bases[b] = e.dev.arena.batch[off*e.p.Rows+row0*buf.Size:][:buf.Size*min(e.p.Rows-row0, max(e.rows, e.call.Rows-row0))]
		case whole:
			f.bases[b] = e.dev.arena.wholes[off:][:buf.Size]
		case weight:
			p := e.params.List[buf.Param]
			if buf.Kind == device.Param {
				f.bases[b] = host(p.Value)
			} else {
				f.bases[b] = host(p.Grad)
			}
		}
	}
}

// runTile takes one tile through the current segment.
func (e *executable) runTile(worker, unit int) {
	f, c := e.frames[worker], e.call
	row0 := unit * e.rows
	n := min(e.rows, c.Rows-row0)
	e.enter(f, row0)
	if e.p.X >= 0 {
		size := e.p.Buffers[e.p.X].Size
		f.bases[e.p.X] = host(c.X)[row0*size : (row0+n)*size]
	}
	e.share(f, n)
	e.runGroups(f, e.segment, n)
	e.copyOut(f, n)
}

// share gives a frame what the call says about its n rows.
func (e *executable) share(f *frame, n int) {
	c := e.call
	f.labels, f.soft = nil, nil
	if c.Labels != nil {
		f.labels = c.Labels[f.row0 : f.row0+n]
	}
	if c.Soft != nil {
		classes := e.p.Buffers[e.p.Logits].Size
		f.soft = host(c.Soft)[f.row0*classes : (f.row0+n)*classes]
	}
}

func (e *executable) runGroups(f *frame, groups []group, n int) {
	for _, g := range groups {
		if g.mode == byTile {
			e.kernel(f, g.from, 0, n)
			continue
		}
		for r := range n {
			for i := g.from; i < g.to; i++ {
				e.kernel(f, i, r, 1)
			}
		}
	}
}

// kernel runs one instruction on n rows from r on.
func (e *executable) kernel(f *frame, i, r, n int) {
	if !e.profile {
		e.kernels[i](f, r, n)
		return
	}
	begun := time.Now()
	e.kernels[i](f, r, n)
	f.times[i] += time.Since(begun)
}

// copyOut hands the tile's results over if this segment made them.
func (e *executable) copyOut(f *frame, n int) {
	c := e.call
	for _, out := range [...]struct {
		t device.Tensor
		b int
	}{{c.Logits, e.p.Logits}, {c.Value, e.p.Value}, {c.InputGrad, e.p.InputGrad}} {
		if out.t == nil || out.b < 0 || !e.made(out.b) {
			continue
		}
		size := e.p.Buffers[out.b].Size
		copy(host(out.t)[f.row0*size:], f.at(out.b, 0, n))
	}
}

// made reports whether the current segment writes a buffer.
func (e *executable) made(b int) bool {
	for _, g := range e.segment {
		for _, in := range e.p.Instrs[g.from:g.to] {
			for _, out := range in.Out {
				if out == b {
					return true
				}
			}
		}
	}
	return false
}

// runBatch runs the independent sums of a group, first what their pieces share, then all pieces side
// by side.
func (e *executable) runBatch(g group) {
	e.current = g
	for _, f := range e.frames {
		e.enter(f, 0)
		if e.p.X >= 0 {
			f.bases[e.p.X] = host(e.call.X)
		}
	}
	e.units = e.units[:0]
	total := 0
	for _, k := range e.whole[g.from:g.to] {
		e.units = append(e.units, total)
		if k.prepare != nil {
			total += k.blocks(e.call.Rows)
		}
	}
	e.dev.pool.run(total, e.blockWork)
	e.units = e.units[:0]
	total = 0
	for _, k := range e.whole[g.from:g.to] {
		e.units = append(e.units, total)
		total += k.units
	}
	e.dev.pool.run(total, e.pieceWork)
}

func (e *executable) runBlock(worker, block int) {
	i, block := e.locate(block)
	e.timed(e.frames[worker], i, e.whole[i].prepare, block)
}

func (e *executable) runPiece(worker, unit int) {
	i, unit := e.locate(unit)
	e.timed(e.frames[worker], i, e.whole[i].run, unit)
}

// locate returns the instruction of a block or unit of the group, and its number there.
func (e *executable) locate(unit int) (instr, own int) {
	i := len(e.units) - 1
	for e.units[i] > unit {
		i--
	}
	return e.current.from + i, unit - e.units[i]
}

func (e *executable) timed(f *frame, instr int, run func(f *frame, unit int), unit int) {
	if !e.profile {
		run(f, unit)
		return
	}
	begun := time.Now()
	run(f, unit)
	f.times[instr] += time.Since(begun)
}

// Profile implements device.Profiler: the time of each instruction, summed over workers.
func (e *executable) Profile(run func() error) ([]time.Duration, error) {
	for _, f := range e.frames {
		f.times = make([]time.Duration, len(e.p.Instrs))
	}
	e.profile = true
	defer func() { e.profile = false }()
	err := run()
	sum := make([]time.Duration, len(e.p.Instrs))
	for _, f := range e.frames {
		for i, d := range f.times {
			sum[i] += d
		}
	}
	return sum, err
}
