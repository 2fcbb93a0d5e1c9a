package cpu

import (
	"slices"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// maxTile is the most rows that a worker takes through a segment together: enough to read a dense
// layer's weights seldom, few enough for the activations to stay in cache.
const maxTile = 64

// mode is how a group of instructions covers the rows of a tile.
type mode int

const (
	byImage mode = iota // all of the group's instructions for one row, then the next row
	byTile              // one instruction for all rows of the tile
	byBatch             // over all rows of the batch, split by parameter; between two barriers
)

// group is a run of consecutive instructions of one mode.
type group struct {
	mode     mode
	from, to int // instructions
	segment  int
}

// place says where a buffer lives.
type place int

const (
	external place = iota // the call's X
	image                 // one row, for the current image of a worker
	tile                  // the rows of a worker's tile
	batch                 // all rows
	whole                 // no rows
	weight                // a parameter or its gradient
)

// plan lays out a program's memory ahead of its runs.
type plan struct {
	groups                      []group
	segments                    [][]group
	places                      []place
	offsets                     []int // by buffer, in values of one row for image, tile and batch
	imageSize, tileSize, rowSum int   // arena sizes: of the image arena, and per row of the others
	wholeSize                   int
	shared                      []int // by instruction: offset of what its pieces share
	sharedSize                  int
}

// modeOf: dense layers want many rows at once, and so do some convolutions, for their weights do not
// fit the cache.
func modeOf(o device.Op) mode {
	if !o.Rowwise() {
		return byBatch
	}
	switch op := o.(type) {
	case device.Conv:
		if (kernel.Conv{Window: op.Window, Out: op.Out}).ManyRows() {
			return byTile
		}
	case device.ConvInputGrad:
		if (kernel.Conv{Window: op.Window, Out: op.Out}).ManyRows() {
			return byTile
		}
	case device.Dense, device.DenseInputGrad, device.ApplyLoss, device.LogMeanSoftmax, device.LogMeanSoftmaxGrad,
		device.Vote, device.Stack, device.StackGrad, *head:
		return byTile
	}
	return byImage
}

func newPlan(p *device.Program) *plan {
	l := &plan{places: make([]place, len(p.Buffers)), offsets: make([]int, len(p.Buffers))}
	l.group(p)
	l.place(p)
	return l
}

func (l *plan) group(p *device.Program) {
	segment := 0
	for i, in := range p.Instrs {
		m := modeOf(in.Op)
		last := len(l.groups) - 1
		if last >= 0 && l.groups[last].mode == m && m != byTile && !(m == byBatch && depends(p, l.groups[last], i)) {
			l.groups[last].to = i + 1
			continue
		}
		if last >= 0 && (m == byBatch || l.groups[last].mode == byBatch) {
			segment++
		}
		l.groups = append(l.groups, group{m, i, i + 1, segment})
	}
	l.segments = make([][]group, segment+1)
	for _, g := range l.groups {
		l.segments[g.segment] = append(l.segments[g.segment], g)
	}
}

// share places what the pieces of sums over the batch share. Those of a group run side by side.
func (l *plan) share(kernels []batchKernel) {
	l.shared = make([]int, len(kernels))
	var list []device.Lifetime
	for g, gr := range l.groups {
		for i := gr.from; i < gr.to; i++ {
			if n := kernels[i].shared; n > 0 {
				list = append(list, device.Lifetime{Buffer: i, Size: n, From: g, To: g})
			}
		}
	}
	l.sharedSize = device.Arrange(list, l.shared)
}

// depends reports whether instruction i reads what the group writes.
func depends(p *device.Program, g group, i int) bool {
	for _, in := range p.Instrs[g.from:g.to] {
		for _, b := range in.Out {
			if slices.Contains(p.Instrs[i].In, b) {
				return true
			}
		}
	}
	return false
}

// span is the life of a buffer: first and last instruction, group and segment that touch it.
type span struct{ instr, group, segment [2]int }

func (l *plan) place(p *device.Program) {
	spans := make([]span, len(p.Buffers))
	seen := make([]bool, len(p.Buffers))
	touch := func(b, i, g int) {
		s := l.groups[g].segment
		if !seen[b] {
			seen[b] = true
			spans[b] = span{[2]int{i, i}, [2]int{g, g}, [2]int{s, s}}
		}
		spans[b].instr[1], spans[b].group[1], spans[b].segment[1] = i, g, s
	}
	for g, gr := range l.groups {
		for i := gr.from; i < gr.to; i++ {
			for _, b := range p.Instrs[i].In {
				touch(b, i, g)
			}
			for _, b := range p.Instrs[i].Out {
				touch(b, i, g)
			}
		}
	}
	// What leaves the program is copied when its tile is done, at the end of its segment.
	output := map[int]bool{p.Logits: true, p.Seed: true, p.Value: true, p.InputGrad: true}
	for b := range output {
		if b >= 0 && seen[b] {
			for g := range l.groups {
				if l.groups[g].segment == spans[b].segment[1] {
					spans[b].group[1] = g
				}
			}
		}
	}
	var images, tiles, batches, wholes []device.Lifetime
	for b, buf := range p.Buffers {
		s := spans[b]
		iv := func(life [2]int) device.Lifetime {
			return device.Lifetime{Buffer: b, Size: buf.Size, From: life[0], To: life[1]}
		}
		switch {
		case !seen[b]: // of a layer that was fused with its ReLU
		case buf.Kind == device.Param || buf.Kind == device.ParamGrad:
			l.places[b] = weight
		case b == p.X:
			l.places[b] = external
		case buf.Kind == device.Whole:
			l.places[b] = whole
			wholes = append(wholes, iv(s.segment))
		case s.segment[0] != s.segment[1] || l.groups[s.group[0]].mode == byBatch:
			l.places[b] = batch
			batches = append(batches, iv(s.segment))
		case s.group[0] == s.group[1] && l.groups[s.group[0]].mode == byImage && !output[b]:
			l.places[b] = image
			images = append(images, iv(s.instr))
		default:
			l.places[b] = tile
			tiles = append(tiles, iv(s.group))
		}
	}
	l.imageSize = device.Arrange(images, l.offsets)
	l.tileSize = device.Arrange(tiles, l.offsets)
	l.rowSum = device.Arrange(batches, l.offsets)
	l.wholeSize = device.Arrange(wholes, l.offsets)
}
