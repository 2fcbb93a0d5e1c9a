package cpu

import (
	"rampart/nn/device"
	"rampart/nn/kernel"
)

// A patched program is the rest of a program behind its head: the layers that keep places apart, so
// that a change of a region of the input reaches a region of their results. The head is the first
// instruction of the patched program. For each example it computes these regions from what it knows
// of the example before, and lays out what the rest reads.
type head struct {
	p      *device.Program
	steps  []step
	edges  []int // buffers that the rest reads
	shapes []device.Window
	// grid is, by buffer, what its regions are aligned to: so does a layer want it that makes it, or
	// pools of it whole windows, which need then not be known beyond the region.
	grid []int
	// kept is, by buffer, its offset among what is known of an example, or -1; others live in a
	// worker's scratch, at the offsets of temp.
	kept, temp         []int
	keptSize, tempSize int
	group              int // of examples that take a step side by side
	needs              int // scratch of a kernel
	window             int // of what a kernel reads, at the most

	places       int
	known, fresh []float32       // [places, keptSize]; fresh holds regions, without what is around them
	changed      []device.Region // of the call; nil is everything
	regions      []device.Region // [places, buffers] of the last run
}

// step is a layer of the head.
type step struct {
	in   []int // one buffer, or two that are added
	out  int
	grid int // of the layer itself
	work int // for one position of the result, in products
	// window is the geometry of a convolution or pooling; other layers go position by position.
	window *device.Window
	run    func(f *frame, parts []kernel.ConvPart, second [][]float32)
}

// together is how many examples take a step side by side in a head with Winograd's form: their patches
// fill a block. Otherwise one after the other goes through all steps, and stays in cache.
const together = 8

// headFrame is what a step computes for some examples: a part for each, and what is added to its X.
type headFrame struct {
	parts  [together]kernel.ConvPart
	second [together][]float32
}

const (
	// mostPatchValues bounds what is kept: half a gigabyte.
	mostPatchValues = 1 << 27
	// mostGrid bounds what regions are aligned to for the sake of those that read them.
	mostGrid = 8
	// patchShare is the most work, in thousandths of all that of the head, that a region may take.
	patchShare = 700
)

// Patches implements device.Patching.
func (e *executable) Patches(rows int) device.Patches {
	if e.p.X < 0 || e.p.InputGrad >= 0 || e.p.Seed >= 0 {
		return nil
	}
	h := &head{p: e.p, shapes: shapes(e.p), grid: make([]int, len(e.p.Buffers)), kept: make([]int, len(e.p.Buffers)), temp: make([]int, len(e.p.Buffers))}
	if h.shapes[e.p.X].H == 0 {
		return nil
	}
	p := *e.p
	p.Name += ", patched"
	p.Instrs = []device.Instr{{Op: h, In: []int{e.p.X}}} // and what the head's layers read besides
	rest := &executable{dev: e.dev, p: &p, params: e.params}
	inHead := make([]bool, len(e.p.Buffers))
	inHead[e.p.X] = true
	for _, in := range e.p.Instrs {
		if h.take(rest, in, inHead) {
			inHead[in.Out[0]] = true
			p.Instrs[0].In = append(p.Instrs[0].In, in.In[len(h.steps[len(h.steps)-1].in):]...)
		} else {
			p.Instrs = append(p.Instrs, in)
		}
	}
	if len(h.steps) == 0 {
		return nil
	}
	h.arrange(p.Instrs[1:], inHead)
	h.places = min(rows, e.p.Rows, mostPatchValues/max(2*h.keptSize, 1))
	p.Instrs[0].Out = h.edges
	if h.places == 0 || rest.load() != nil {
		return nil
	}
	h.known, h.fresh = make([]float32, h.places*h.keptSize), make([]float32, h.places*h.keptSize)
	h.regions = make([]device.Region, h.places*len(e.p.Buffers))
	return &patches{rest: rest, head: h}
}

// shapes finds the images [H,W,C] among a program's buffers, from the geometry of the layers that
// read or make them. Those of no image stay zero.
func shapes(p *device.Program) []device.Window {
	list := make([]device.Window, len(p.Buffers))
	set := func(b, h, w, c int) bool {
		if list[b].H != 0 || p.Buffers[b].Kind != device.Row || p.Buffers[b].Size != h*w*c {
			return false
		}
		list[b] = device.Window{H: h, W: w, C: c}
		return true
	}
	for changed := true; changed; {
		changed = false
		for _, in := range p.Instrs {
			if w, ok := geometry(in.Op); ok {
				channels := w.C
				if conv, ok := in.Op.(device.Conv); ok {
					channels = conv.Out
				}
				changed = set(in.In[0], w.H, w.W, w.C) || changed
				changed = set(in.Out[0], w.OutH(), w.OutW(), channels) || changed
				continue
			}
			alike := []int{in.In[0], in.Out[0]}
			switch in.Op.(type) {
			case device.ReLU, device.Activation, device.Normalize, device.BatchNorm, device.Scale:
			case device.Add:
				alike = append(alike, in.In[1])
			default:
				continue
			}
			for _, from := range alike {
				for _, to := range alike {
					s := list[from]
					changed = s.H != 0 && set(to, s.H, s.W, s.C) || changed
				}
			}
		}
	}
	return list
}

// geometry is that of a layer whose results see a window of what it reads.
func geometry(o device.Op) (device.Window, bool) {
	switch op := o.(type) {
	case device.Conv:
		return op.Window, true
	case device.MaxPool:
		return op.Window, true
	case device.AvgPool:
		return op.Window, true
	}
	return device.Window{}, false
}

// arrange decides which buffers are kept and what their regions are aligned to. rest are the
// instructions behind the head.
func (h *head) arrange(rest []device.Instr, inHead []bool) {
	x, keep := h.p.X, make([]bool, len(h.p.Buffers))
	edge := func(b int) {
		if b >= 0 && b != x && inHead[b] && !keep[b] {
			keep[b] = true
			h.edges = append(h.edges, b)
		}
	}
	for _, in := range rest {
		for _, b := range in.In {
			edge(b)
		}
	}
	edge(h.p.Logits)
	h.group = 1
	for i := len(h.steps) - 1; i >= 0; i-- {
		s := &h.steps[i]
		if s.grid > 1 {
			h.group = together
		}
		h.grid[s.out] = multiple(h.grid[s.out], s.grid)
		for _, b := range s.in {
			grid := 0 // that spares knowing b
			switch w := s.window; {
			case w == nil && len(s.in) == 1:
				grid = h.grid[s.out]
			case w != nil && w.KH == w.Stride && w.KW == w.Stride && w.PadTop|w.PadLeft == 0:
				grid = h.grid[s.out] * w.Stride
			}
			if grid = multiple(h.grid[b], grid); grid > 0 && grid <= mostGrid {
				h.grid[b] = grid
			} else {
				keep[b] = true
			}
		}
	}
	for b, s := range h.shapes {
		h.kept[b], h.temp[b] = -1, -1
		size := roundUp(s.H*s.W*s.C, 16)
		switch {
		case b == x || !inHead[b]:
		case keep[b]:
			h.kept[b] = h.keptSize
			h.keptSize += size
		default:
			h.temp[b] = h.tempSize
			h.tempSize += size
		}
		if inHead[b] {
			h.window = max(h.window, size)
		}
	}
}

// multiple is the least common multiple of two grids, 0 where the second is.
func multiple(a, b int) int {
	if a = max(a, 1); b == 0 {
		return 0
	}
	m := a
	for m%b != 0 {
		m += a
	}
	return m
}

func roundUp(n, m int) int { return (n + m - 1) / m * m }

// take makes a step of an instruction, if the head has what it reads and knows how its regions map.
func (h *head) take(e *executable, in device.Instr, inHead []bool) bool {
	s := step{in: in.In[:1], out: in.Out[0], grid: 1}
	for _, b := range append(in.Out[:1:1], in.In...) {
		row := e.p.Buffers[b].Kind == device.Row
		if row && (h.shapes[b].H == 0 || b != s.out && !inHead[b]) {
			return false
		}
	}
	s.work = h.shapes[s.out].C
	if w, ok := geometry(in.Op); ok {
		if max(w.PadTop, w.PadBottom) >= w.KH || max(w.PadLeft, w.PadRight) >= w.KW {
			return false // some windows see nothing
		}
		s.window = &w
		s.work *= w.KH * w.KW
	}
	switch op := in.Op.(type) {
	case device.Conv:
		k := kernel.Conv{Window: op.Window, Out: op.Out}
		if k.ManyRows() {
			return false
		}
		s.grid = k.Grid()
		s.work *= op.C
		if s.grid > 1 {
			s.work /= 3 // what Winograd's form saves, about
		}
		relu := op.ReLU
		op.ReLU = false // the packed weights are the same with it and without
		w := e.packed(e.p.Buffers[in.In[1]].Param, op, k.PackedForward(), k.PackForward)
		h.needs = max(h.needs, k.Scratch())
		s.run = func(f *frame, parts []kernel.ConvPart, _ [][]float32) {
			k.ForwardParts(parts, w.data, bias(f, in.In), relu, f.scratch)
		}
	case device.MaxPool:
		h.needs = max(h.needs, (op.OutH()*op.OutW()*op.C+3)/4)
		s.run = each(func(f *frame, p *kernel.ConvPart, _ []float32) { kernel.MaxPool(p.Window, p.Y, bytes(f.scratch), p.X) })
	case device.AvgPool:
		s.run = each(func(_ *frame, p *kernel.ConvPart, _ []float32) { kernel.AvgPool(p.Window, p.Y, p.X) })
	case device.Normalize:
		scale, shift := normalization(op)
		s.run = each(func(_ *frame, p *kernel.ConvPart, _ []float32) { kernel.Affine(p.Y, p.X, scale, shift) })
	case device.BatchNorm:
		if op.Channels != s.work { // of a flat vector
			return false
		}
		h.needs = max(h.needs, 2*op.Channels)
		s.run = func(f *frame, parts []kernel.ConvPart, _ [][]float32) {
			scale, shift := batchNormFactors(f, in.In, op)
			for _, p := range parts {
				kernel.Affine(p.Y, p.X, scale, shift)
			}
		}
	case device.ReLU:
		s.run = each(func(_ *frame, p *kernel.ConvPart, _ []float32) { kernel.ReLU(p.Y, p.X) })
	case device.Activation:
		s.run = each(func(_ *frame, p *kernel.ConvPart, _ []float32) { kernel.Activation(op.Func, op.Slope, p.Y, p.X) })
	case device.Scale:
		s.run = each(func(_ *frame, p *kernel.ConvPart, _ []float32) { kernel.Scale(p.Y, p.X, op.Factor) })
	case device.Add:
		s.in = in.In
		s.run = each(func(_ *frame, p *kernel.ConvPart, second []float32) { kernel.Add(p.Y, p.X, second) })
	default:
		return false
	}
	h.steps = append(h.steps, s)
	return true
}

// each runs a kernel for one part after the other.
func each(one func(f *frame, p *kernel.ConvPart, second []float32)) func(*frame, []kernel.ConvPart, [][]float32) {
	return func(f *frame, parts []kernel.ConvPart, second [][]float32) {
		for i := range parts {
			one(f, &parts[i], second[i])
		}
	}
}
