package kernel

import (
	"math"

	"golang.org/x/sys/cpu"
)

// native returns what this processor can run besides portable Go. (cpu also checks that the
// operating system saves the wide registers.)
func native() []*implementation {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return []*implementation{avx2}
	}
	return nil
}

var avx2 = &implementation{
	name:       "avx2",
	lineShare:  700,
	rowsShare:  500,
	sparse:     sparseAVX2,
	sparseRows: sparseRowsAVX2,
	windowSums: windowSumsAVX2,
	count:      vectorCountNonZeros,
	nonZeros:   vectorNonZeros,
	tile:       tileAVX2,
	dots:       dotsAVX2,
	relu:       vectorReLU,
	reluGrad:   vectorReLUGrad,
	add:        vectorAdd,
	scale:      vectorScale,
	axpy:       vectorAxpy,
	affine:     vectorAffine,
	columnSum:  vectorColumnSum,
	copyRuns:   vectorCopyRuns,
	finite:     vectorFinite,
	signStep:   vectorSignStep,
	momentum:   vectorMomentum,
	adam:       vectorAdam,
	maxPool2:   vectorMaxPool2,
	unpool2:    vectorUnpool2,
	peak: func(n int) float64 {
		peakAVX2(n)
		return float64(n) * 12 * 8 * 2
	},

	normSums:      vectorNormSums,
	normalize:     vectorNormalize,
	normalizeGrad: vectorNormalizeGrad,

	winogradInput:   winogradInputAVX2,
	winogradOutput:  winogradOutputAVX2,
	winogradWeights: winogradWeightsAVX2,
}

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

// check panics where the tile would read or write beyond its slices.
func (t *tile) check() {
	a, y := t.offsets(t.rows - 1)
	_ = t.y[y+t.cols-1]
	_ = t.a[a+(t.outer-1)*t.aOuter+(t.inner-1)*t.aK]
	_ = t.b[(t.outer*t.inner-1)*t.bK+panel-1]
	if t.bias != nil {
		_ = t.bias[t.cols-1]
	}
}

// runAVX2 computes the first n tiles of the given height.
func (t *tile) runAVX2(height, n int) {
	f := tile6AVX2
	switch height {
	case 1:
		f = tile1AVX2
	case 2:
		f = tile2AVX2
	case 3:
		f = tile3AVX2
	case 4:
		f = tile4AVX2
	case 5:
		f = tile5AVX2
	}
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
	f(&t.a[0], &t.b[0], &t.y[0], bias, mask, n, t.width, t.left,
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
