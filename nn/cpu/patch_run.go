package cpu

import (
	"rampart/nn/device"
)

// Rowwise implements device.Op.
func (h *head) Rowwise() bool { return true }

// bind makes a row kernel of the head.
func (h *head) bind(e *executable, i int) (scratch int) {
	e.kernels[i] = func(f *frame, r, n int) {
		for ; n > 0; r, n = r+h.group, n-h.group {
			h.run(f, r, min(n, h.group))
		}
	}
	return h.needs + h.group*h.images()
}

// images is the scratch of one example: two windows that a step reads, and what is not kept.
func (h *head) images() int { return 2*h.window + h.tempSize }

// size is the number of values of a buffer's region.
func (h *head) size(b int, r device.Region) int { return r.Height() * r.Width() * h.shapes[b].C }

func (h *head) whole(b int) device.Region {
	return device.Region{Bottom: h.shapes[b].H, Right: h.shapes[b].W}
}

// reach fills the regions of all buffers for a change of the input.
func (h *head) reach(regions []device.Region, changed device.Region) {
	regions[h.p.X] = changed
	for i := range h.steps {
		s := &h.steps[i]
		var r device.Region
		for _, b := range s.in {
			if s.window != nil {
				r = r.Union(s.window.Reach(regions[b]))
			} else {
				r = r.Union(regions[b])
			}
		}
		if r.Empty() {
			r = device.Region{}
		} else {
			r = r.Aligned(h.grid[s.out], h.shapes[s.out].H, h.shapes[s.out].W)
		}
		regions[s.out] = r
	}
}

// run takes n examples through the head, from row on.
func (h *head) run(f *frame, row, n int) {
	for i := range n {
		changed := h.whole(h.p.X)
		if place := f.row0 + row + i; h.changed != nil {
			changed = h.changed[place]
		}
		h.reach(h.regionsOf(f.row0+row+i), changed)
	}
	for k := range h.steps {
		s, parts := &h.steps[k], 0
		for i := range n {
			out := h.regionsOf(f.row0 + row + i)[s.out]
			if out.Empty() {
				continue
			}
			p := &f.head.parts[parts]
			in := out
			if s.window != nil {
				in, p.Window = s.window.Part(out)
			}
			p.Y = h.result(f, row, i, s.out)[:h.size(s.out, out)]
			p.X = h.fetch(f, row, i, s.in[0], in, 0)
			if len(s.in) > 1 {
				f.head.second[parts] = h.fetch(f, row, i, s.in[1], in, h.window)
			}
			parts++
		}
		s.run(f, f.head.parts[:parts], f.head.second[:parts])
	}
	for r := row; r < row+n; r++ {
		for _, b := range h.edges {
			h.layOut(f.at(b, r, 1), f.row0+r, b)
		}
	}
}

func (h *head) regionsOf(place int) []device.Region {
	n := len(h.p.Buffers)
	return h.regions[place*n:][:n]
}

// result is where a buffer's region goes, of the i-th example from row on.
func (h *head) result(f *frame, row, i, b int) []float32 {
	if h.kept[b] >= 0 {
		return h.fresh[(f.row0+row+i)*h.keptSize+h.kept[b]:]
	}
	return f.scratch[h.needs+i*h.images()+2*h.window+h.temp[b]:]
}

// fetch returns the window in of a buffer, in its region and around it, side by side; it may use the
// example's scratch from an offset on.
func (h *head) fetch(f *frame, row, i, b int, in device.Region, offset int) []float32 {
	place, to := f.row0+row+i, f.scratch[h.needs+i*h.images()+offset:]
	s, region := h.shapes[b], h.regionsOf(place)[b]
	if b == h.p.X {
		image := f.at(b, row+i, 1)
		if in.Left == 0 && in.Right == s.W {
			return image[in.Top*s.W*s.C : in.Bottom*s.W*s.C]
		}
		copyWindow(to, image, in, device.Region{Right: s.W}, in, s.C)
		return to[:h.size(b, in)]
	}
	fresh := h.result(f, row, i, b)
	if in == region {
		return fresh[:h.size(b, in)]
	}
	if !region.Covers(in) {
		copyWindow(to, h.known[place*h.keptSize+h.kept[b]:], in, device.Region{Right: s.W}, in, s.C)
	}
	both := device.Region{Top: max(in.Top, region.Top), Left: max(in.Left, region.Left), Bottom: min(in.Bottom, region.Bottom), Right: min(in.Right, region.Right)}
	if !both.Empty() {
		copyWindow(to, fresh, in, region, both, s.C)
	}
	return to[:h.size(b, in)]
}

// copyWindow copies a region between pictures that hold the regions to and from, of which only the
// corner and the width matter.
func copyWindow(dst, src []float32, to, from, r device.Region, channels int) {
	n := r.Width() * channels
	toLine, fromLine := to.Width()*channels, from.Width()*channels
	dst = dst[(r.Top-to.Top)*toLine+(r.Left-to.Left)*channels:]
	src = src[(r.Top-from.Top)*fromLine+(r.Left-from.Left)*channels:]
	for y := range r.Height() {
		copy(dst[y*toLine:][:n], src[y*fromLine:])
	}
}

// layOut writes all of a buffer.
func (h *head) layOut(y []float32, place, b int) {
	region, at := h.regionsOf(place)[b], place*h.keptSize+h.kept[b]
	if region != h.whole(b) {
		copy(y, h.known[at:])
	}
	if !region.Empty() {
		copyWindow(y, h.fresh[at:], device.Region{Right: h.shapes[b].W}, region, region, h.shapes[b].C)
	}
}

// patches implements device.Patches.
type patches struct {
	rest *executable
	*head
}

// Places implements device.Patches.
func (p *patches) Places() int { return p.places }

// Pays implements device.Patches.
func (p *patches) Pays(height, width int) bool {
	s := p.shapes[p.p.X]
	top, left := max(s.H-height, 0)/2, max(s.W-width, 0)/2
	part := p.work(device.Region{Top: top, Left: left, Bottom: min(top+height, s.H), Right: min(left+width, s.W)})
	for _, b := range p.edges {
		part += p.p.Buffers[b].Size
	}
	return part*1000 <= p.work(p.whole(p.p.X))*patchShare
}

// work is that of a change of a region.
func (h *head) work(changed device.Region) (sum int) {
	regions := make([]device.Region, len(h.p.Buffers))
	h.reach(regions, changed)
	for _, s := range h.steps {
		sum += s.work * regions[s.out].Height() * regions[s.out].Width()
	}
	return sum
}

// Run implements device.Patches.
func (p *patches) Run(c *device.Call, regions []device.Region) error {
	p.changed = regions
	return p.rest.Run(c)
}

// Keep implements device.Patches.
func (p *patches) Keep(place int) {
	for b, region := range p.regionsOf(place) {
		if at := place*p.keptSize + p.kept[b]; p.kept[b] >= 0 && !region.Empty() {
			copyWindow(p.known[at:], p.fresh[at:], device.Region{Right: p.shapes[b].W}, region, region, p.shapes[b].C)
		}
	}
}

// Move implements device.Patches.
func (p *patches) Move(to, from int) {
	copy(p.known[to*p.keptSize:][:p.keptSize], p.known[from*p.keptSize:])
}
