package kernel

import (
	"math"

	"golang.org/x/sys/cpu"
)

// native returns what this processor can run besides portable Go. (cpu also checks that the
// operating system saves the wide registers.)
func native() []*implementation {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
		return []*implementation{avx512, avx2}
	}
	return []*implementation{avx2}
}

var avx2 = func() *implementation {
	im := &implementation{
		name:       "avx2",
		wide:       1,
		lineShare:  700,
		rowsShare:  500,
		group:      4,
		part:       80,
		sparse:     sparseAVX2,
		sparseRows: sparseRowsAVX2,
		windowSums: windowSumsAVX2,
		nonZeros:   nonZerosNarrow,
		tile:       tileAVX2,
		dots:       dotsAVX2,
		affine:     vectorAffine,
		copyRuns:   vectorCopyRuns,
		transpose:  vectorTranspose,
		maxPool2:   vectorMaxPool2,
		unpool2:    vectorUnpool2,
		peak: func(n int) float64 {
			peakAVX2(n)
			return float64(n) * 12 * 8 * 2
		},
		winogradInput:   winogradInputAVX2,
		winogradOutput:  winogradOutputAVX2,
		winogradWeights: winogradWeightsAVX2,
	}
	loopsAVX2.use(im)
	normAVX2.use(im)
	return im
}()

// avx512 is avx2 but for what gains from twice the width and twice the registers. It was run, and its
// bits compared, in an emulator alone: the shares, groups and parts are estimates.
var avx512 = func() *implementation {
	im := new(implementation)
	*im = *avx2
	im.name = "avx512"
	im.wide = 2
	im.lineShare, im.rowsShare = 450, 400
	im.group, im.part = 8, leastPart
	im.sparse, im.sparseRows, im.windowSums = sparseAVX512, sparseRowsAVX512, windowSumsAVX512
	im.nonZeros, im.tile = nonZerosWide, tileAVX512
	im.peak = func(n int) float64 {
		peakAVX512(n)
		return float64(n) * 12 * 16 * 2
	}
	im.winogradInput, im.winogradOutput, im.winogradWeights = winogradInputAVX512, winogradOutputAVX512, winogradWeightsAVX512
	loopsAVX512.use(im)
	normAVX512.use(im)
	return im
}()

const floatBytes = 4

// tileRows is the height of a tile in registers.
const tileRows = 6

var (
	noBias [panel]float32
	// masks holds 16 set words, then 16 clear ones.
	masks = func() (m [2 * panel]int32) {
		for i := range panel {
			m[i] = -1
		}
		return
	}()
	unbounded = float32(math.Inf(-1))
)

// tileAVX2 cuts the rows into tiles of even heights: 25 rows are five tiles of five, since tiles of
// one to three rows do not fill the pipeline.
func tileAVX2(t tile) {
	if t.rows == 0 {
		return
	}
	n := (t.rows + tileRows - 1) / tileRows
	height, taller := t.rows/n, t.rows%n
	t.check()
	if taller > 0 {
		t.runAVX2(height+1, taller)
		t = t.advance(taller * (height + 1))
	}
	t.runAVX2(height, n-taller)
}

// tilesAVX2 are the tiles by height.
var tilesAVX2 = [...]func(a, b, y, bias *float32, mask *int32, tiles, width, left, aStep, aWrap, yStep, yWrap, outer, inner, aSkip, aK, bK int, ahead *float32, aheadStep, accumulate int, floor float32){
	1: tile1AVX2, 2: tile2AVX2, 3: tile3AVX2, 4: tile4AVX2, 5: tile5AVX2, tileRows: tile6AVX2,
}

// check panics where the tile would read or write beyond its slices.
func (t *tile) check() {
	a, y := t.offsets(t.rows - 1)
	_ = t.y[y+t.cols-1]
	_ = t.a[a+(t.outer-1)*t.aOuter+(t.inner-1)*t.aK]
	_ = t.b[(t.outer*t.inner-1)*t.bK+(panels(t.cols)-1)*t.bPanel+panel-1]
	if t.bias != nil {
		_ = t.bias[t.cols-1]
	}
}

// runAVX2 computes the first n tiles of the given height.
func (t *tile) runAVX2(height, n int) {
	bias, mask, floor, accumulate := &noBias[0], (*int32)(nil), unbounded, 0
	if t.bias != nil {
		bias = &t.bias[0]
	}
	if t.cols < panel {
		mask = &masks[panel-t.cols]
	}
	if t.rectified {
		floor = 0
	}
	if t.accumulate {
		accumulate = 1
	}
	ahead, aheadStep := &t.b[0], 0
	if len(t.ahead) > 0 { // all tiles together fetch as much as this block holds
		ahead, aheadStep = &t.ahead[0], t.bK*floatBytes*height/t.rows
	}
	tilesAVX2[height](&t.a[0], &t.b[0], &t.y[0], bias, mask, n, t.width, t.left,
		t.aStep*floatBytes, t.aWrap*floatBytes, t.yStep*floatBytes, t.yWrap*floatBytes,
		t.outer, t.inner, (t.aOuter-t.inner*t.aK)*floatBytes, t.aK*floatBytes, t.bK*floatBytes,
		ahead, aheadStep, accumulate, floor)
}

func dotsAVX2(d dots) {
	f, rows := dots1AVX2, 8
	if dotSlots(d.channels) == 3 {
		f, rows = dots3AVX2, 4
	}
	if d.rows == 0 {
		return
	}
	lines := (d.rows - 1) / d.width
	_ = d.y[(d.rows-1)*d.yStep+lines*d.yWrap+d.channels-1]
	_ = d.a[(d.rows-1)*d.aStep+lines*d.aWrap+(d.outer-1)*d.aOuter+d.inner*lanes-1]
	_ = d.w[d.outer*d.inner*dotSlots(d.channels)*lanes-1]
	f(&d.a[0], &d.w[0], &d.y[0], (d.rows+rows-1)/rows, d.rows-1, d.width,
		d.aStep*floatBytes, d.aWrap*floatBytes, d.yStep*floatBytes, d.yWrap*floatBytes,
		d.outer, d.inner, (d.aOuter-d.inner*lanes)*floatBytes, d.channels)
}
