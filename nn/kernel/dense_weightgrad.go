package kernel

// The weight gradient is the product of the transpose of x with dy, cut into units by inputs. A unit
// takes a few inputs at a time, whose values stay in the first-level cache while all of dy meets them.
// dy is packed once for all units.
const (
	blockInputs    = 48
	preparedPanels = 8 // of a block of what the units share
)

// gradLines is the number of lines of a panel of dy: whole vectors, as lists want them.
func gradLines(rows int) int { return roundUp(max(rows, 1), lanes) }

// WeightGradShared is the number of values that the pieces of a weight gradient share.
func (d Dense) WeightGradShared(rows int) int {
	return panels(d.Out)*gradLines(rows)*panel + d.WeightGradBlocks(rows)
}

// WeightGradBlocks is the number of calls of PrepareWeightGrad that fill the shared memory.
func (d Dense) WeightGradBlocks(int) int {
	return (panels(d.Out) + preparedPanels - 1) / preparedPanels
}

// PrepareWeightGrad fills one block of the shared memory for all calls of WeightGrad: it packs some
// panels of dy, and notes whether they are finite.
func (d Dense) PrepareWeightGrad(block int, dy []float32, rows int, shared []float32) {
	finite := true
	for p := block * preparedPanels; p < min(panels(d.Out), (block+1)*preparedPanels); p++ {
		to := shared[p*gradLines(rows)*panel:][:rows*panel]
		if rows > 0 {
			packPanel(to, dy[p*panel:], rows, d.Out, min(panel, d.Out-p*panel))
		}
		finite = finite && AllFinite(to)
	}
	noted := &shared[panels(d.Out)*gradLines(rows)*panel+block]
	*noted = 0
	if finite {
		*noted = 1
	}
}

// WeightGradUnits is the number of independent pieces of dw.
func (d Dense) WeightGradUnits() int {
	return min(wantedUnits, (d.In+blockInputs-1)/blockInputs)
}

// unitInputs is the most inputs of a unit.
func (d Dense) unitInputs() int {
	blocks, units := (d.In+blockInputs-1)/blockInputs, d.WeightGradUnits()
	return (blocks + units - 1) / units * blockInputs
}

// Scratch is the number of values that WeightGrad may use as scratch for the given rows.
func (d Dense) Scratch(rows int) int {
	n, lines := d.unitInputs(), gradLines(rows)
	return max(rows*blockInputs, n*lines+sparseScratch(n, lines))
}

// WeightGrad computes one piece of dw [In,Out], summed over the rows of x [rows,In] and dy, from
// which shared was prepared, in their order. Units touch disjoint parts of dw and may run at the same
// time, each with a scratch of its own. Where most of x is zero only the rest is multiplied, with the
// same result.
func (d Dense) WeightGrad(unit int, dw, x []float32, rows int, shared, scratch []float32) {
	dw, x = dw[:d.In*d.Out], x[:rows*d.In]
	first, end := cut((d.In+blockInputs-1)/blockInputs, unit, d.WeightGradUnits())
	first, end = first*blockInputs, min(end*blockInputs, d.In)
	size := panels(d.Out) * gradLines(rows) * panel
	columns, notes := shared[:size], shared[size:]
	if rows == 0 {
		clear(dw[first*d.Out : end*d.Out])
		return
	}
	finite := true
	for _, v := range notes[:d.WeightGradBlocks(rows)] {
		finite = finite && v == 1
	}
	if finite && d.sparseWeightGrad(dw, x, columns, rows, first, end, scratch) {
		return
	}
	d.denseWeightGrad(dw, x, columns, rows, first, end, scratch)
}

// denseWeightGrad computes the inputs [first,end) of dw.
func (d Dense) denseWeightGrad(dw, x, columns []float32, rows, first, end int, scratch []float32) {
	lines := gradLines(rows)
	blocks := (lines + blockTaps - 1) / blockTaps
	most := (lines + blocks - 1) / blocks
	for from := 0; from < rows; from += most {
		size := min(most, rows-from)
		inputs := min(blockInputs, max(leastTapBlock, tapValues/size/lanes*lanes))
		for i := first; i < end; i += inputs {
			m := min(inputs, end-i)
			if m%lanes == 0 {
				current.copyRuns(scratch, x[from*d.In+i:], size, d.In, m)
			} else {
				portableCopyRuns(scratch, x[from*d.In+i:], size, d.In, m)
			}
			t := tile{
				a:    scratch,
				rows: m, width: m, left: m,
				aStep: 1, yStep: d.Out, outer: 1, inner: size, aK: m, bK: panel, bPanel: lines * panel,
				accumulate: from > 0,
			}
			for p := 0; p < panels(d.Out); p += current.wide {
				t.b, t.y = columns[(p*lines+from)*panel:], dw[i*d.Out+p*panel:]
				t.ahead = columns[min(p+current.wide, panels(d.Out)-1)*lines*panel:]
				t.cols = min(current.wide*panel, d.Out-p*panel)
				current.tile(t)
			}
		}
	}
}

// sparseGradRows is the least rows for which it pays to list the non-zeros of x by input.
const (
	sparseGradRows  = 16
	sparseRowsShare = 700
)

// sparseWeightGrad computes the inputs [first,end) of dw if multiplying only the non-zeros of x is
// faster.
func (d Dense) sparseWeightGrad(dw, x, columns []float32, rows, first, end int, scratch []float32) bool {
	n, lines := end-first, gradLines(rows)
	if rows < sparseGradRows || d.Out < leastColumns {
		return false
	}
	transposed := scratch[:n*lines]
	transpose(transposed, x[first:], rows, n, d.In)
	if current.count(transposed)*1000 > sparseRowsShare*n*rows {
		return false
	}
	l, _ := listAllRows(transposed, scratch[n*lines:], n, lines)
	sparseMultiply(dw[first*d.Out:end*d.Out], l, columns, nil, n, lines, d.Out, lines, false)
	return true
}

// transpose writes n columns of rows lines, stride apart, as n lines of whole vectors.
func transpose(dst, src []float32, rows, n, stride int) {
	lines := gradLines(rows)
	current.transpose(dst, src, rows, n, lines, stride)
	if rows < lines {
		for i := range n {
			clear(dst[i*lines+rows : (i+1)*lines])
		}
	}
}
