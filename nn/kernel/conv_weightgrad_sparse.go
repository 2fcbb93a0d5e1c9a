package kernel

// sparseGradShare is what share of dy, in thousandths, may be left for a weight gradient from its
// non-zeros to be faster. Behind maximum pooling of 2x2 at most 250 are.
const sparseGradShare = 350

// gradShare is what the pieces of a weight gradient share, by block of images: the non-zeros of dy by
// part of an image and channel, as pairs of a value and the place of its window in the block's images,
// which are laid out with their padding; or, where most of dy is not zero, dy in panels.
type gradShare struct {
	kinds  []int32   // by block
	counts []int32   // [block][part][Out]
	data   []float32 // [block][part]: [Out][positions] pairs, or [panel][positions][16]
	images []float32
	size   int // of an image
	parts  int // of an image
	part   int // size of data for it
}

// What a block of gradShare holds.
const (
	nothing = iota
	listed
	packed
)

func (g *weightGrad) blocks(rows int) int { return (rows + g.images - 1) / g.images }

// share lays out shared memory, or nothing if that is empty.
func (g *weightGrad) share(shared []float32, rows int) (s gradShare) {
	if len(shared) == 0 {
		return s
	}
	kinds, counts, data, images := g.sizes(rows)
	s.size, s.parts, s.part = roundUp(g.paddedSize(), panel), g.imageParts(), g.partSize()
	s.kinds, shared = integers(shared[:g.blocks(rows)]), shared[kinds:]
	s.counts, shared = integers(shared[:counts]), shared[counts:]
	s.data, s.images = shared[:data], shared[data:][:images]
	return s
}

// sizes are those of the parts of shared memory, in whole lines of the cache.
func (g *weightGrad) sizes(rows int) (kinds, counts, data, images int) {
	blocks := g.blocks(rows)
	parts := blocks * g.imageParts()
	if _, _, ok := g.windowParts(); ok {
		counts, images = roundUp(parts*g.Out, panel), rows*roundUp(g.paddedSize(), panel)+mostVectors*lanes
	}
	return roundUp(blocks, panel), counts, parts * g.partSize(), images
}

// partSize is the size of the data of a part.
func (g *weightGrad) partSize() int {
	size := panels(g.Out) * panel
	if _, _, ok := g.windowParts(); ok {
		size = max(size, 2*g.Out)
	}
	return roundUp(size*g.positions, panel)
}

// imageParts is the number of blocks that a large image takes.
func (g *weightGrad) imageParts() int { return (g.OutH() + g.lines - 1) / g.lines }

func (s *gradShare) is(block, kind int) bool { return len(s.kinds) > 0 && int(s.kinds[block]) == kind }

// are reports whether all blocks are of a kind.
func (s *gradShare) are(kind int) bool {
	for _, k := range s.kinds {
		if int(k) != kind {
			return false
		}
	}
	return len(s.kinds) > 0
}

// columns is the data of a part.
func (s *gradShare) columns(block, part int) []float32 {
	return s.data[(block*s.parts+part)*s.part:][:s.part]
}

// shares reports whether the pieces share anything.
func (g *weightGrad) shares() bool {
	_, _, ok := g.windowParts()
	return ok || !g.unpacked
}

// WeightGradShared is the number of values that the pieces of a weight gradient share, so that zeros
// need not be multiplied, nor dy packed for each piece; without them the result is the same.
func (c Conv) WeightGradShared(rows int) int {
	g := c.weightGrad()
	if !g.shares() {
		return 0
	}
	kinds, counts, data, images := g.sizes(rows)
	return kinds + counts + data + images
}

// WeightGradBlocks is the number of calls of PrepareWeightGrad that fill the shared memory.
func (c Conv) WeightGradBlocks(rows int) int {
	g := c.weightGrad()
	if !g.shares() {
		return 0
	}
	return g.blocks(rows)
}

// PrepareWeightGrad prepares one block of the shared memory for all calls of WeightGrad.
func (c Conv) PrepareWeightGrad(block int, x, dy []float32, rows int, shared, scratch []float32) {
	g := c.weightGrad()
	s := g.share(shared, rows)
	first, size, out := block*g.images, c.H*c.W*c.C, c.OutH()*c.OutW()*c.Out
	n := min(g.images, rows-first)
	x, dy = x[first*size:][:n*size], dy[first*out:][:n*out]
	_, _, ok := c.windowParts()
	// Zeros of dy times infinity would be missed.
	if ok && current.count(dy)*1000 <= sparseGradShare*len(dy) && AllFinite(x) {
		g.list(s, block, dy, n, scratch)
		for i := range n {
			image := s.images[(first+i)*s.size:][:s.size]
			if copied := c.pad(x[i*size:][:size], image, true); !c.isPadded() {
				copy(image, copied)
			}
		}
		s.kinds[block] = listed
		return
	}
	s.kinds[block] = nothing
	if !g.unpacked {
		for part := range s.parts {
			g.packColumns(s.columns(block, part), dy, n, part*g.lines, min(c.OutH(), (part+1)*g.lines))
		}
		s.kinds[block] = packed
	}
}

// listScratch is the number of values that PrepareWeightGrad may use as scratch: for a line of dy.
func (g *weightGrad) listScratch() int { return 2*(g.OutW()*g.Out+lanes) + g.OutW() + 1 }

// list fills the lists of a block of n images.
func (g *weightGrad) list(s gradShare, block int, dy []float32, n int, scratch []float32) {
	oh, ow := g.OutH(), g.OutW()
	room := ow*g.Out + lanes
	line := nonZeros{values: scratch[:room], offsets: integers(scratch[room : 2*room])}
	starts := integers(scratch[2*room:][:ow+1])
	for part := range s.parts {
		counts, pairs := s.counts[(block*s.parts+part)*g.Out:][:g.Out], s.columns(block, part)
		places := integers(pairs)
		clear(counts)
		for i := range n {
			for y := part * g.lines; y < min(oh, (part+1)*g.lines); y++ {
				end := current.nonZeros(line, starts[:ow], dy[(i*oh+y)*ow*g.Out:][:ow*g.Out], 0, g.Out)
				starts[ow] = int32(end)
				for o := range ow {
					place := int32(4 * (i*s.size + g.Stride*(y*g.stride+o*g.C)))
					from, to := starts[o]/4, starts[o+1]/4
					channels := line.offsets[from:to]
					for e, v := range line.values[from:to] {
						channel := int(channels[e]) / (4 * panel)
						at := 2 * (channel*g.positions + int(counts[channel]))
						counts[channel]++
						pairs[at], places[at+1] = v, place
					}
				}
			}
		}
	}
}

// sparseUnits cuts the sparse form: into sets of channels, and ranges of the parts of all lines. While
// the channels of a set meet a part, the values of x that it reads stay in the first-level cache.
func (g *weightGrad) sparseUnits() (sets, ranges int) {
	_, parts, _ := g.windowParts()
	units := g.tapUnits * g.panelSets
	sets = min(panels(g.Out), units)
	return sets, min(units/sets, g.KH*parts)
}

// sparseScratch is the number of values that sparse may use as scratch.
func (g *weightGrad) sparseScratch() int {
	vectors, parts, _ := g.windowParts()
	sets, ranges := g.sparseUnits()
	return ((g.Out + sets - 1) / sets) * ((g.KH*parts + ranges - 1) / ranges) * vectors * lanes
}

// sparse computes a unit from the lists.
func (g *weightGrad) sparse(unit int, dw []float32, l gradShare, rows int, scratch []float32) {
	sets, ranges := g.sparseUnits()
	if unit >= sets*ranges {
		return
	}
	vectors, parts, _ := g.windowParts()
	from, to := cut(g.Out, unit%sets, sets)
	first, end := cut(g.KH*parts, unit/sets, ranges)
	part := vectors * lanes
	size := (end - first) * part
	sums := scratch[:(to-from)*size]
	clear(sums)
	s := windowSums{vectors: vectors, pairStep: 2 * g.positions, toStep: size}
	for block := range g.blocks(rows) {
		x := l.images[block*g.images*l.size:]
		for i := block * l.parts; i < (block+1)*l.parts; i++ {
			s.counts = l.counts[i*g.Out:][from:to]
			s.pairs = l.data[i*l.part+from*s.pairStep:]
			for p := first; p < end; p++ {
				s.x, s.to = x[p/parts*g.stride+p%parts*part:], sums[(p-first)*part:]
				current.windowSums(s)
			}
		}
	}
	for p := first; p < end; p++ {
		tap := p/parts*g.line + p%parts*part
		for i := range min(part, g.line-p%parts*part) {
			for o := from; o < to; o++ {
				dw[(tap+i)*g.Out+o] = sums[(o-from)*size+(p-first)*part+i]
			}
		}
	}
}
