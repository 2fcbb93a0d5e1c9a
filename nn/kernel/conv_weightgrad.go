package kernel

// Weight gradients are cut into units by shape alone: a unit is one panel of output channels and a
// range of the filter's taps.
const (
	wantedUnits = 16
	leastTaps   = 8
)

// WeightGradUnits is the number of independent pieces of dw.
func (c Conv) WeightGradUnits() int { return panels(c.Out) * c.tapRanges() }

func (c Conv) tapRanges() int {
	wanted := (wantedUnits + panels(c.Out) - 1) / panels(c.Out)
	// Each unit pads the images anew; the products of a unit should outweigh that.
	least := max(leastTaps, 2*c.H*c.W*c.C/(c.OutH()*c.OutW()))
	return max(1, min(wanted, c.taps()/least))
}

// WeightGrad computes one piece of dw [KH,KW,C,Out], summed over the images of x [rows,H,W,C] and
// dy [rows,OutH,OutW,Out] in their order. Units touch disjoint parts of dw and may run at the same
// time, each with a scratch of its own.
func (c Conv) WeightGrad(unit int, dw, x, dy []float32, rows int, scratch []float32) {
	oh, ow := c.OutH(), c.OutW()
	size, out := c.H*c.W*c.C, oh*ow*c.Out
	dw, x, dy = dw[:c.taps()*c.Out], x[:rows*size], dy[:rows*out]
	ranges := c.tapRanges()
	p := unit / ranges * panel
	first := unit % ranges * c.taps() / ranges
	end := (unit%ranges + 1) * c.taps() / ranges

	stride := (c.W + c.PadLeft + c.PadRight) * c.C
	width := c.KW * c.C
	t := tile{
		y:    dw[first*c.Out+p:],
		rows: end - first, width: width, left: width - first%width,
		aStep: 1, aWrap: stride - width,
		yStep: c.Out,
		outer: oh, inner: ow, aOuter: c.Stride * stride, aK: c.Stride * c.C, bK: panel,
		cols: min(panel, c.Out-p),
	}
	if rows == 0 {
		for i := range t.rows {
			clear(t.y[i*c.Out:][:t.cols])
		}
	}
	// A packed panel pays where several tiles read it.
	packed := t.cols < panel || t.rows > 4*panel
	if !packed {
		t.bK = c.Out
	}
	columns := scratch
	if c.isPadded() {
		columns = scratch[roundUp(c.paddedSize(), panel):]
	}
	columns = columns[:oh*ow*panel]
	for r := range rows {
		image := c.pad(x[r*size:][:size], scratch, r == 0)
		t.a = image[first/width*stride+first%width:]
		t.b = dy[r*out+p:]
		if packed {
			packPanel(columns, t.b, oh*ow, c.Out, t.cols)
			t.b = columns
		}
		t.accumulate = r > 0
		current.tile(t)
	}
}
