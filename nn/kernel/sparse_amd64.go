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

func vectorNonZeros(l nonZeros, starts []int32, x []float32, at, channels int) int {
	if channels%lanes != 0 || len(starts) == 0 {
		return portableNonZeros(l, starts, x, at, channels)
	}
	_, _, _ = l.values[at/4+len(x)+lanes-1], l.offsets[at/4+len(x)+lanes-1], x[len(starts)*channels-1]
	return nonZerosAVX2(&l.values[0], &l.offsets[0], &starts[0], &x[0], &orders[0][0], at, len(starts), channels/lanes)
}

// sparseAVX2 computes two panels at a time where few taps would not fill the pipeline otherwise.
func sparseAVX2(s sparse) {
	if s.lines == 0 || s.width == 0 {
		return
	}
	side := 1
	if s.window <= 3 {
		side = maxPanels
	}
	for s.panels > 0 {
		n := min(side, s.panels)
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
		part.runAVX2()
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

func (s *sparse) runAVX2() {
	values, offsets := s.list.values[:1], s.list.offsets[:1] // even if all is zero
	f := sparse5x1AVX2
	switch {
	case s.window == 4:
		f = sparse4x1AVX2
	case s.window == 3 && s.panels == 2:
		f = sparse3x2AVX2
	case s.window == 3:
		f = sparse3x1AVX2
	case s.window == 2 && s.panels == 2:
		f = sparse2x2AVX2
	case s.window == 2:
		f = sparse2x1AVX2
	}
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
	f(&values[0], &offsets[0], &s.list.starts[s.first], &s.b[0], &s.y[0], bias, &s.list.partial[0], &zeros[0], mask,
		s.lines, s.width, s.list.width*floatBytes, s.bTap*floatBytes, s.bOuter*floatBytes, s.bPanel*floatBytes,
		s.yStep*floatBytes, s.yLine*floatBytes, s.outer, accumulate, floor)
}

func sparseRowsAVX2(s sparseRows) {
	if s.rows == 0 {
		return
	}
	last := (s.panels-1)*panel + s.cols - 1
	_, _, _ = s.from[(s.rows-1)*s.fromStep+last], s.add[(s.rows-1)*s.addStep+last], s.to[(s.rows-1)*s.toStep+last]
	_, _ = s.starts[(s.rows-1)*s.startStep+1], s.b[(s.panels-1)*s.bPanel]
	values, offsets := s.list.values[:1], s.list.offsets[:1] // even if all is zero
	f := sparseRows4AVX2
	switch s.panels {
	case 1:
		f = sparseRows1AVX2
	case 2:
		f = sparseRows2AVX2
	case 3:
		f = sparseRows3AVX2
	}
	ahead, fetches := &s.b[0], 0
	if len(s.ahead) > 0 {
		ahead, fetches = &s.ahead[0], (partLines+s.rows-1)/s.rows
	}
	mask, floor := (*int32)(nil), unbounded
	if s.cols < panel {
		mask = &masks[panel-s.cols]
	}
	if s.rectified {
		floor = 0
	}
	f(&values[0], &offsets[0], &s.starts[0], &s.b[0], &s.from[0], &s.add[0], &s.to[0], ahead, mask,
		s.rows, s.startStep*floatBytes, s.bPanel*floatBytes,
		s.fromStep*floatBytes, s.addStep*floatBytes, s.toStep*floatBytes, fetches, floor)
}

func windowSumsAVX2(s windowSums) {
	channels := len(s.counts)
	if channels == 0 {
		return
	}
	_, _ = s.pairs[channels*s.pairStep-1], s.to[(channels-1)*s.toStep+s.vectors*lanes-1]
	f := windowSums12AVX2
	switch s.vectors {
	case 4:
		f = windowSums4AVX2
	case 5:
		f = windowSums5AVX2
	case 6:
		f = windowSums6AVX2
	case 7:
		f = windowSums7AVX2
	case 8:
		f = windowSums8AVX2
	case 9:
		f = windowSums9AVX2
	case 10:
		f = windowSums10AVX2
	case 11:
		f = windowSums11AVX2
	}
	f(&s.counts[0], channels, &s.pairs[0], &s.x[0], &s.to[0], s.pairStep*floatBytes, s.toStep*floatBytes)
}
