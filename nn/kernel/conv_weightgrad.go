package kernel

// The weight gradient sums, for each tap of the filter and each output channel, the products of x
// and dy over images and positions. It is cut twice, by shape alone: into units, which are
// independent pieces of dw, and into blocks of positions, whose sums are kept in registers before
// they are added to dw. While a unit meets a block, some values of x and a panel of dy stay in the
// first-level cache.
const (
	wantedUnits   = 16
	leastUnitTaps = 24 // of a unit: fewer are not worth packing dy for
	tapValues     = 6144
	leastTapBlock = 2 * lanes
)

// weightGrad is a weight gradient and how it is cut.
type weightGrad struct {
	Conv
	line      int // values of a window's line
	stride    int // of a line of padded x
	packs     bool
	images    int // of a block of positions, or
	lines     int // of one image
	positions int // at most in a block
	tapBlock  int // taps side by side in a line that are multiplied together
	tapBlocks int // in all
	tapUnits  int
	panelSets int
	unpacked  bool // dy is read as it is: a packed panel pays where several tiles read it
}

func (c Conv) weightGrad() weightGrad {
	g := weightGrad{Conv: c, line: c.KW * c.C, stride: (c.W + c.PadLeft + c.PadRight) * c.C}
	// With few channels an image is small enough for the first-level cache as it is.
	g.packs = c.C%lanes == 0
	g.images, g.lines = 1, c.OutH()
	if all := c.OutH() * c.OutW(); all > blockPositions {
		parts := min(c.OutH(), (all+blockPositions-1)/blockPositions)
		g.lines = (c.OutH() + parts - 1) / parts
	} else if g.packs {
		g.images = blockPositions / all
	}
	g.positions = g.images * g.lines * c.OutW()
	g.tapBlock = g.line
	if g.packs {
		most := max(leastTapBlock, tapValues/g.positions/lanes*lanes)
		blocks := (g.line + most - 1) / most
		g.tapBlock = roundUp((g.line+blocks-1)/blocks, lanes)
	}
	g.tapBlocks = c.KH * g.lineBlocks()
	g.tapUnits = max(1, min(wantedUnits, g.tapBlocks, c.taps()/leastUnitTaps))
	g.panelSets = min(panels(c.Out), wantedUnits/g.tapUnits)
	g.unpacked = g.images == 1 && c.taps()/g.tapUnits <= 4*panel && c.Out%panel == 0
	return g
}

// lineBlocks is the number of blocks of taps in a line.
func (g *weightGrad) lineBlocks() int { return (g.line + g.tapBlock - 1) / g.tapBlock }

// WeightGradUnits is the number of independent pieces of dw.
func (c Conv) WeightGradUnits() int {
	g := c.weightGrad()
	return g.tapUnits * g.panelSets
}

// weightScratch is the number of values that WeightGrad may use as scratch.
func (c Conv) weightScratch() int {
	g := c.weightGrad()
	n := panels(c.Out) * g.positions * panel
	if g.packs {
		n += g.positions * g.tapBlock
	} else if c.isPadded() {
		n += roundUp(c.paddedSize(), panel)
	}
	if _, _, ok := c.windowParts(); ok {
		n = max(n, g.sparseScratch(), g.listScratch())
	}
	return n
}

// WeightGrad computes one piece of dw [KH,KW,C,Out], summed over the images of x [rows,H,W,C] and
// dy [rows,OutH,OutW,Out] in their order. Units touch disjoint parts of dw and may run at the same
// time, each with a scratch of its own. shared is empty, or filled by PrepareWeightGrad.
func (c Conv) WeightGrad(unit int, dw, x, dy []float32, rows int, shared, scratch []float32) {
	g := c.weightGrad()
	l := g.share(shared, rows)
	if l.are(listed) {
		g.sparse(unit, dw[:c.taps()*c.Out], l, rows, scratch)
		return
	}
	w := weightPiece{weightGrad: g, dw: dw[:c.taps()*c.Out], scratch: scratch}
	w.firstTap, w.endTap = cut(g.tapBlocks, unit/g.panelSets, g.tapUnits)
	w.firstPanel, w.endPanel = cut(panels(c.Out), unit%g.panelSets, g.panelSets)
	size, out := c.H*c.W*c.C, c.OutH()*c.OutW()*c.Out
	x, dy = x[:rows*size], dy[:rows*out]
	if rows == 0 {
		w.clear()
	}
	for r := 0; r < rows; r += g.images {
		n := min(g.images, rows-r)
		w.pad(x[r*size:])
		for y := 0; y < c.OutH(); y += g.lines {
			if w.columns = nil; l.is(r/g.images, packed) {
				w.columns = l.columns(r/g.images, y/g.lines)
			}
			w.block(dy[r*out:], n, y, min(y+g.lines, c.OutH()))
		}
	}
}

// cut is part i of n of a range.
func cut(length, i, n int) (from, to int) { return i * length / n, (i + 1) * length / n }

// weightPiece is a unit at work.
type weightPiece struct {
	weightGrad
	firstTap, endTap     int // blocks of taps
	firstPanel, endPanel int
	dw, scratch          []float32
	x                    []float32 // the block's images, or one with its padding
	rest                 []float32 // of scratch
	columns              []float32 // panels of dy
	filled               bool      // dw holds sums
}

// pad lays out an image, unless its taps are packed.
func (w *weightPiece) pad(x []float32) {
	w.x, w.rest = x, w.scratch
	if !w.packs && w.isPadded() {
		w.x, w.rest = w.Conv.pad(x[:w.H*w.W*w.C], w.scratch, !w.filled), w.scratch[roundUp(w.paddedSize(), panel):]
	}
}

// block adds the products of lines [y0,y1) of n images.
func (w *weightPiece) block(dy []float32, n, y0, y1 int) {
	ow := w.OutW()
	k := n * (y1 - y0) * ow
	t := tile{yStep: w.Out, bK: panel, bPanel: k * panel, aStep: 1, outer: 1, inner: k, accumulate: w.filled}
	rest := w.rest
	if w.unpacked {
		t.bK, t.bPanel = w.Out, panel
	} else if w.columns == nil {
		w.columns = rest[:panels(w.Out)*k*panel]
		w.rest = rest[len(w.columns):]
		w.packColumns(w.columns, dy, n, y0, y1)
	}
	for b := w.firstTap; b < w.endTap; b++ {
		ky, first := b/w.lineBlocks(), b%w.lineBlocks()*w.tapBlock
		t.rows = min(w.tapBlock, w.line-first)
		t.width, t.left = t.rows, t.rows
		if w.packs {
			t.a, t.aK = w.rest, t.rows
			w.packTaps(ky, first, t.rows, n, y0, y1)
		} else {
			t.a = w.x[(y0*w.Stride+ky)*w.stride+first:]
			t.outer, t.inner, t.aOuter, t.aK = y1-y0, ow, w.Stride*w.stride, w.Stride*w.C
		}
		to := w.dw[(ky*w.line+first)*w.Out:]
		for p := w.firstPanel; p < w.endPanel; p += current.wide {
			t.y, t.cols = to[p*panel:], min(current.wide*panel, min(w.endPanel*panel, w.Out)-p*panel)
			if w.unpacked {
				t.b = dy[y0*ow*w.Out+p*panel:]
			} else {
				t.b = w.columns[p*k*panel:]
				t.ahead = t.following(t.b, k)
			}
			current.tile(t)
		}
	}
	w.rest, w.filled = rest, true
}

// packColumns packs dy for a block: lines [y0,y1) of n images.
func (g *weightGrad) packColumns(dst, dy []float32, n, y0, y1 int) {
	oh, ow := g.OutH(), g.OutW()
	size := (y1 - y0) * ow
	for p := range panels(g.Out) {
		for i := range n {
			packPanel(dst[(p*n+i)*size*panel:], dy[(i*oh+y0)*ow*g.Out+p*panel:], size, g.Out, min(panel, g.Out-p*panel))
		}
	}
}

// packTaps copies the taps [first,first+cols) of line ky of each window of the block, side by side.
func (w *weightPiece) packTaps(ky, first, cols, n, y0, y1 int) {
	dst, line, ow := w.rest, w.W*w.C, w.OutW()
	for i := range n {
		for y := y0; y < y1; y++ {
			to := dst[:ow*cols]
			dst = dst[ow*cols:]
			if iy := y*w.Stride + ky - w.PadTop; iy < 0 || iy >= w.H {
				clear(to)
			} else {
				packRuns(to, w.x[(i*w.H+iy)*line:][:line], first-w.PadLeft*w.C, w.Stride*w.C, cols)
			}
		}
	}
}

// packRuns copies the runs of cols values of src that begin at start, start+step and so on. What lies
// beside src is zero.
func packRuns(dst, src []float32, start, step, cols int) {
	n := len(dst) / cols
	first, end := 0, n // of the runs that lie in src
	for first < n && start+first*step < 0 {
		first++
	}
	for end > first && start+(end-1)*step+cols > len(src) {
		end--
	}
	if first < end {
		current.copyRuns(dst[first*cols:], src[start+first*step:], end-first, step, cols)
	}
	for i := range n {
		if i >= first && i < end {
			continue
		}
		run, at := dst[i*cols:][:cols], start+i*step
		clear(run)
		if from, to := max(0, -at), min(cols, len(src)-at); from < to {
			copy(run[from:to], src[at+from:])
		}
	}
}

// clear sets the unit's part of dw to zero.
func (w *weightPiece) clear() {
	for b := w.firstTap; b < w.endTap; b++ {
		first := b % w.lineBlocks() * w.tapBlock
		to := w.dw[(b/w.lineBlocks()*w.line+first)*w.Out:]
		for i := range min(w.tapBlock, w.line-first) {
			clear(to[i*w.Out+w.firstPanel*panel : i*w.Out+min(w.endPanel*panel, w.Out)])
		}
	}
}
