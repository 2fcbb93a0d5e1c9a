package kernel

// sparseGradShare is what share of dy, in thousandths, may be left for a weight gradient from its
// non-zeros to be faster. Behind maximum pooling of 2x2 at most 250 are.
const sparseGradShare = 500

// gradLists are the non-zeros of dy by block, part of an image and channel, as pairs of a value and
// the place of its window in the block's images, which are laid out with their padding.
type gradLists struct {
	listed []int32   // by block: 1 if there is a list
	counts []int32   // [block][part][Out]
	pairs  []float32 // [block][part][Out][positions] pairs
	images []float32
	size   int // of an image
	parts  int // of an image
}

func (g *weightGrad) blocks(rows int) int { return (rows + g.images - 1) / g.images }

// sizes are those of the parts of shared memory, whole lines of the cache.
func (g *weightGrad) sizes(rows int) (listed, counts, pairs, images int) {
	blocks := g.blocks(rows)
	channels := blocks * g.imageParts() * g.Out
	return roundUp(blocks, panel), roundUp(channels, panel), roundUp(2*g.positions*channels, panel),
		rows*roundUp(g.paddedSize(), panel) + mostVectors*lanes
}

// imageParts is the number of blocks that a large image takes.
func (g *weightGrad) imageParts() int { return (g.OutH() + g.lines - 1) / g.lines }

// lists lays out shared memory.
func (g *weightGrad) lists(shared []float32, rows int) gradLists {
	listed, counts, pairs, images := g.sizes(rows)
	l := gradLists{size: roundUp(g.paddedSize(), panel), parts: g.imageParts()}
	l.listed, shared = integers(shared[:g.blocks(rows)]), shared[listed:]
	l.counts, shared = integers(shared[:counts]), shared[counts:]
	l.pairs, l.images = shared[:pairs], shared[pairs:][:images]
	return l
}

// WeightGradShared is the number of values that the pieces of a weight gradient share, to multiply
// only what is not zero; without them all is multiplied, with the same result.
func (c Conv) WeightGradShared(rows int) int {
	if _, _, ok := c.windowParts(); !ok {
		return 0
	}
	g := c.weightGrad()
	listed, counts, pairs, images := g.sizes(rows)
	return listed + counts + pairs + images
}

// WeightGradBlocks is the number of calls of PrepareWeightGrad that fill the shared memory.
func (c Conv) WeightGradBlocks(rows int) int {
	if _, _, ok := c.windowParts(); !ok {
		return 0
	}
	g := c.weightGrad()
	return g.blocks(rows)
}

// PrepareWeightGrad prepares one block of the shared memory for all calls of WeightGrad.
func (c Conv) PrepareWeightGrad(block int, x, dy []float32, rows int, shared, scratch []float32) {
	g := c.weightGrad()
	l := g.lists(shared, rows)
	first, size, out := block*g.images, c.H*c.W*c.C, c.OutH()*c.OutW()*c.Out
	n := min(g.images, rows-first)
	x, dy = x[first*size:][:n*size], dy[first*out:][:n*out]
	l.listed[block] = 0
	// Zeros of dy times infinity would be missed.
	if current.count(dy)*1000 > sparseGradShare*len(dy) || !AllFinite(x) {
		return
	}
	g.list(l, block, dy, n, scratch)
	for i := range n {
		image := l.images[(first+i)*l.size:][:l.size]
		if copied := c.pad(x[i*size:][:size], image, true); !c.isPadded() {
			copy(image, copied)
		}
	}
	l.listed[block] = 1
}

// listScratch is the number of values that PrepareWeightGrad may use as scratch: for a line of dy.
func (g *weightGrad) listScratch() int { return 2*(g.OutW()*g.Out+lanes) + g.OutW() + 1 }

// list fills the lists of a block of n images.
func (g *weightGrad) list(l gradLists, block int, dy []float32, n int, scratch []float32) {
	oh, ow := g.OutH(), g.OutW()
	room := ow*g.Out + lanes
	line := nonZeros{values: scratch[:room], offsets: integers(scratch[room : 2*room])}
	starts := integers(scratch[2*room:][:ow+1])
	for part := range l.parts {
		counts := l.counts[(block*l.parts+part)*g.Out:][:g.Out]
		pairs := l.pairs[(block*l.parts+part)*g.Out*2*g.positions:][:g.Out*2*g.positions]
		places := integers(pairs)
		clear(counts)
		for i := range n {
			for y := part * g.lines; y < min(oh, (part+1)*g.lines); y++ {
				end := current.nonZeros(line, starts[:ow], dy[(i*oh+y)*ow*g.Out:][:ow*g.Out], 0, g.Out)
				starts[ow] = int32(end)
				for o := range ow {
					place := int32(4 * (i*l.size + g.Stride*(y*g.stride+o*g.C)))
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

// all reports whether all blocks are listed.
func (l gradLists) all() bool {
	for _, v := range l.listed {
		if v == 0 {
			return false
		}
	}
	return true
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
func (g *weightGrad) sparse(unit int, dw []float32, l gradLists, rows int, scratch []float32) {
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
			s.pairs = l.pairs[(i*g.Out+from)*s.pairStep:]
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
