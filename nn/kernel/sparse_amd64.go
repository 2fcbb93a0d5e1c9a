package kernel

// orders[m] lists the lanes whose bits are set in m, and then zeros.
var orders = func() (o [256][lanes]uint8) {
	for m := range o {
		n := 0
		for i := range lanes {
			if m>>i&1 != 0 {
				o[m][n] = uint8(i)
				n++
			}
		}
	}
	return
}()

func nonZerosNarrow(l nonZeros, starts []int32, x []float32, at, channels int) int {
	if channels%lanes != 0 || len(starts) == 0 {
		return portableNonZeros(l, starts, x, at, channels)
	}
	_, _, _ = l.values[at/4+len(x)+lanes-1], l.offsets[at/4+len(x)+lanes-1], x[len(starts)*channels-1]
	return nonZerosAVX2(&l.values[0], &l.offsets[0], &starts[0], &x[0], &orders[0][0], at, len(starts), channels/lanes)
}

func nonZerosWide(l nonZeros, starts []int32, x []float32, at, channels int) int {
	if channels%panel != 0 || len(starts) == 0 {
		return nonZerosNarrow(l, starts, x, at, channels)
	}
	_, _, _ = l.values[at/4+len(x)-1], l.offsets[at/4+len(x)-1], x[len(starts)*channels-1]
	return nonZerosAVX512(&l.values[0], &l.offsets[0], &starts[0], &x[0], at, len(starts), channels/panel)
}

// sparseKernels are the functions for windows of 2 to 5 columns and some panels.
type sparseKernels [6][maxPanels + 1]func(values *float32, offsets, starts *int32, b, y, bias, partial, zeros *float32, mask *int32, lines, width, startLine, bTap, bOuter, bPanel, yStep, yLine, outer, accumulate int, floor float32)

var sparseKernelsAVX2 = sparseKernels{
	2: {1: sparse2x1AVX2, 2: sparse2x2AVX2},
	3: {1: sparse3x1AVX2, 2: sparse3x2AVX2},
	4: {1: sparse4x1AVX2},
	5: {1: sparse5x1AVX2},
}

var sparseKernelsAVX512 = sparseKernels{
	2: {1: sparse2x1AVX512, 2: sparse2x2AVX512, 4: sparse2x4AVX512},
	3: {1: sparse3x1AVX512, 2: sparse3x2AVX512, 4: sparse3x4AVX512},
	4: {1: sparse4x1AVX512, 2: sparse4x2AVX512, 4: sparse4x4AVX512},
	5: {1: sparse5x1AVX512, 2: sparse5x2AVX512, 4: sparse5x4AVX512},
}

// sparseAVX2 computes two panels at a time where few taps would not fill the pipeline otherwise.
func sparseAVX2(s sparse) {
	side := 1
	if s.window <= 3 {
		side = 2
	}
	s.inParts(&sparseKernelsAVX2, side)
}

// firstLevel is the size in bytes that the weights of a window's line may have, so that the first-level
// cache keeps most of them.
const firstLevel = 48 << 10

// sparseAVX512 computes four panels at a time, or two where more would not stay in the cache.
func sparseAVX512(s sparse) {
	side := 4
	if side*s.window*s.bTap*floatBytes > firstLevel {
		side = 2
	}
	s.inParts(&sparseKernelsAVX512, side)
}

// inParts computes side panels at a time, or what is left of them.
func (s sparse) inParts(kernels *sparseKernels, side int) {
	if s.lines == 0 || s.width == 0 {
		return
	}
	for s.panels > 0 {
		n := min(side, s.panels)
		for kernels[s.window][n] == nil {
			n--
		}
		part := s
		part.panels, s.panels = n, s.panels-n
		if s.panels > 0 {
			part.cols = panel
			s.b, s.y = s.b[n*s.bPanel:], s.y[n*panel:]
			if s.bias != nil {
				s.bias = s.bias[n*panel:]
			}
		}
		part.check()
		part.runPanels(kernels)
	}
}

// check panics where sparse would read or write beyond its slices. It trusts the list's offsets.
func (s *sparse) check() {
	last := (s.panels-1)*panel + s.cols - 1
	_ = s.y[(s.lines-1)*s.yLine+(s.width-1)*s.yStep+last]
	_ = s.list.starts[s.first+(s.lines+s.outer-2)*s.list.width+s.width+s.window-1]
	_ = s.b[(s.panels-1)*s.bPanel+(s.outer-1)*s.bOuter+s.window*s.bTap-1]
	_ = s.list.partial[(s.width+s.window)*s.panels*panel-1]
	if s.bias != nil {
		_ = s.bias[last]
	}
}

func (s *sparse) runPanels(kernels *sparseKernels) {
	values, offsets := s.list.values[:1], s.list.offsets[:1] // even if all is zero
	bias, mask, floor, accumulate := &zeros[0], (*int32)(nil), unbounded, 0
	if s.bias != nil {
		bias = &s.bias[0]
	}
	if s.cols < panel {
		mask = &masks[panel-s.cols]
	}
	if s.rectified {
		floor = 0
	}
	if s.accumulate {
		accumulate = 1
	}
	kernels[s.window][s.panels](&values[0], &offsets[0], &s.list.starts[s.first], &s.b[0], &s.y[0], bias, &s.list.partial[0], &zeros[0], mask,
		s.lines, s.width, s.list.width*floatBytes, s.bTap*floatBytes, s.bOuter*floatBytes, s.bPanel*floatBytes,
		s.yStep*floatBytes, s.yLine*floatBytes, s.outer, accumulate, floor)
}

// rowsKernels are the functions for some panels.
type rowsKernels [mostGroup + 1]func(values *float32, offsets, starts *int32, b, from, add, to, ahead *float32, mask *int32, rows, startStep, bPanel, fromStep, addStep, toStep, fetches int, floor float32)

var rowsKernelsAVX2 = rowsKernels{1: sparseRows1AVX2, sparseRows2AVX2, sparseRows3AVX2, sparseRows4AVX2}

var rowsKernelsAVX512 = rowsKernels{1: sparseRows1AVX512, sparseRows2AVX512, sparseRows3AVX512, sparseRows4AVX512,
	sparseRows5AVX512, sparseRows6AVX512, sparseRows7AVX512, sparseRows8AVX512}

func sparseRowsAVX2(s sparseRows)   { s.runPanels(&rowsKernelsAVX2) }
func sparseRowsAVX512(s sparseRows) { s.runPanels(&rowsKernelsAVX512) }

func (s *sparseRows) runPanels(kernels *rowsKernels) {
	if s.rows == 0 {
		return
	}
	last := (s.panels-1)*panel + s.cols - 1
	_, _, _ = s.from[(s.rows-1)*s.fromStep+last], s.add[(s.rows-1)*s.addStep+last], s.to[(s.rows-1)*s.toStep+last]
	_, _ = s.starts[(s.rows-1)*s.startStep+1], s.b[(s.panels-1)*s.bPanel]
	values, offsets := s.list.values[:1], s.list.offsets[:1] // even if all is zero
	ahead, fetches := &s.b[0], 0
	if len(s.ahead) > 0 {
		ahead, fetches = &s.ahead[0], (s.fetches+s.rows-1)/s.rows
	}
	mask, floor := (*int32)(nil), unbounded
	if s.cols < panel {
		mask = &masks[panel-s.cols]
	}
	if s.rectified {
		floor = 0
	}
	kernels[s.panels](&values[0], &offsets[0], &s.starts[0], &s.b[0], &s.from[0], &s.add[0], &s.to[0], ahead, mask,
		s.rows, s.startStep*floatBytes, s.bPanel*floatBytes,
		s.fromStep*floatBytes, s.addStep*floatBytes, s.toStep*floatBytes, fetches, floor)
}

// sumsKernels are the functions for some vectors of 8.
type sumsKernels [mostVectors + 1]func(counts *int32, channels int, pairs, x, to *float32, pairStep, toStep int)

var sumsKernelsAVX2 = sumsKernels{4: windowSums4AVX2, windowSums5AVX2, windowSums6AVX2, windowSums7AVX2, windowSums8AVX2,
	windowSums9AVX2, windowSums10AVX2, windowSums11AVX2, windowSums12AVX2}

var sumsKernelsAVX512 = sumsKernels{4: windowSums4AVX512, windowSums5AVX512, windowSums6AVX512, windowSums7AVX512, windowSums8AVX512,
	windowSums9AVX512, windowSums10AVX512, windowSums11AVX512, windowSums12AVX512}

func windowSumsAVX2(s windowSums)   { s.run(&sumsKernelsAVX2) }
func windowSumsAVX512(s windowSums) { s.run(&sumsKernelsAVX512) }

func (s *windowSums) run(kernels *sumsKernels) {
	channels := len(s.counts)
	if channels == 0 {
		return
	}
	_, _ = s.pairs[channels*s.pairStep-1], s.to[(channels-1)*s.toStep+s.vectors*lanes-1]
	kernels[s.vectors](&s.counts[0], channels, &s.pairs[0], &s.x[0], &s.to[0], s.pairStep*floatBytes, s.toStep*floatBytes)
}
