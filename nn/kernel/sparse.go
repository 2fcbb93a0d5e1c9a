package kernel

import "unsafe"

// nonZeros lists the values of an image that are not zero, line by line, position by position and
// channel by channel, as if the image had its padding.
type nonZeros struct {
	values  []float32
	offsets []int32   // 4*panel*channel: where its weights are among those of a tap, in bytes; plus column*step
	starts  []int32   // [line][column]: 4 times the index of the first value; each line has one column more, its end
	width   int       // columns of starts
	column  int       // of the first position of a line
	step    int       // 0, or where all taps of a line are to be found by one offset, their distance in bytes
	partial []float32 // scratch for those who read it
}

// sparse describes what a tile does for windows that move by one position, with the zeros left out.
// The rows are the positions of an image, lines x width, and as many panels of columns as b holds
// are computed:
//
//	y[line][i][n] (+)= bias[n] + sum over o < outer, k < window of values[e] * b[n/16][o*bOuter + k*bTap + offsets[e] + n%16]
//
// where e runs over the entries of column i+k of line+o of the list, its columns counted from first
// on. The products of one sum are those of the tile without the zeros, in the same order; so are
// the sums of blocks. With finite b the results have the same bits, since w*0 + s is s.
type sparse struct {
	list                  nonZeros
	b, y, bias            []float32 // bias may be nil
	first                 int       // start of the first window
	lines, width          int
	window, outer         int
	bTap, bOuter, bPanel  int
	yStep, yLine          int
	panels, cols          int // cols of the last panel
	accumulate, rectified bool
}

// maxPanels is the most panels that are computed side by side.
const maxPanels = 4

func (m image) partialSize() int { return (m.width + 1) * maxPanels * panel }

// image is a picture inside a larger one of zeros.
type image struct {
	h, w, channels, stride   int // stride: positions of a line in memory
	top, left, height, width int
}

// listSize is the number of values of scratch that a list takes.
func (m image) listSize() int {
	return 2*(m.h*m.w*m.channels+lanes) + m.height*(m.width+1) + m.partialSize()
}

// What share of the values, in thousandths, may be left for the sparse form to be faster. Over few
// channels it does too little at each position; over many it reads more weights than the
// first-level cache holds.
const (
	leastLine     = 64        // values of a window's line
	residentLine  = blockTaps // whose weights the cache holds
	longLineShare = 150
)

// listIfSparse lists the non-zeros of x if multiplying only these is faster; else the list is empty.
// The answer depends on nothing but the shape, the number of non-zeros and the implementation.
func (m image) listIfSparse(x, scratch []float32, window int) nonZeros {
	line, share := window*m.channels, current.lineShare
	switch {
	case line < leastLine:
		return nonZeros{}
	case line > residentLine:
		share = longLineShare
	}
	if l := m.list(x, scratch); len(l.values)*1000 <= share*m.h*m.w*m.channels {
		return l
	}
	return nonZeros{}
}

// empty reports whether there is no list; one of an image of zeros is not empty.
func (l nonZeros) empty() bool { return l.starts == nil }

// integers views scratch as integers.
func integers(v []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

// list finds the non-zeros of x.
func (m image) list(x, scratch []float32) nonZeros {
	n := m.h*m.w*m.channels + lanes
	starts := m.height * (m.width + 1)
	l := nonZeros{
		partial: scratch[2*n+starts:][:m.partialSize()],
		values:  scratch[:n], offsets: integers(scratch[n : 2*n]), starts: integers(scratch[2*n : 2*n+starts]),
		width: m.width + 1, column: m.left,
	}
	if current.linear {
		l.step = 4 * panel * m.channels
	}
	at := 0
	for r := range m.height {
		line := l.starts[r*l.width:][:l.width]
		if r < m.top || r >= m.top+m.h {
			fill(line, at)
			continue
		}
		fill(line[:m.left], at)
		at = current.nonZeros(l, line[m.left:][:m.w], x[(r-m.top)*m.stride*m.channels:][:m.w*m.channels], at, m.channels)
		fill(line[m.left+m.w:], at)
	}
	l.values, l.offsets = l.values[:at/4], l.offsets[:at/4]
	return l
}

func fill(v []int32, at int) {
	for i := range v {
		v[i] = int32(at)
	}
}

// portableCountNonZeros is the number of values that are not zero; NaN is not.
func portableCountNonZeros(x []float32) (n int) {
	for _, v := range x {
		if v != 0 {
			n++
		}
	}
	return n
}

// portableNonZeros appends the non-zeros of a line x to the list, from byte at on,
// and notes where each position starts; it returns the end.
func portableNonZeros(l nonZeros, starts []int32, x []float32, at, channels int) int {
	n := at / 4
	for i := range starts {
		starts[i] = int32(4 * n)
		first := (l.column + i) * l.step
		for c, v := range x[i*channels:][:channels] {
			l.values[n], l.offsets[n] = v, int32(first+4*panel*c)
			if v != 0 { // also of a NaN
				n++
			}
		}
	}
	return 4 * n
}

// portableSparse computes eight columns of one position at a time.
func portableSparse(s sparse) {
	t := tile{accumulate: s.accumulate, rectified: s.rectified}
	for p := range s.panels {
		cols := panel
		if p == s.panels-1 {
			cols = s.cols
		}
		if s.bias != nil {
			t.bias = s.bias[p*panel:][:cols]
		}
		for line := range s.lines {
			for i := range s.width {
				for n := 0; n < cols; n += 8 {
					sums := s.columns(s.first+line*s.list.width+i, p*s.bPanel+n)
					t.finish(sums[:min(8, cols-n)], n, s.y[line*s.yLine+i*s.yStep+p*panel+n:])
				}
			}
		}
	}
}

// columns sums a window, which starts at an entry of the list's starts, with the weights at b. What
// the window meets of a line is a run of the list.
func (s *sparse) columns(start, b int) (sums [8]float32) {
	skipped := start % s.list.width * s.list.step
	for range s.outer {
		from, to := s.list.starts[start]/4, s.list.starts[start+s.window]/4
		addProducts(&sums, s.list.values[from:to], s.list.offsets[from:to], uint32(skipped), s.b[b:])
		start, b = start+s.list.width, b+s.bOuter
	}
	return sums
}

// addProducts adds to each of eight sums the products of the values with b[offsets/4..], less the
// bytes that are skipped. The compiler keeps the sums in registers because the second look at b, with
// its bounds check, separates the products of four columns from those of the others.
func addProducts(sums *[8]float32, values []float32, offsets []int32, skipped uint32, b []float32) {
	s0, s1, s2, s3, s4, s5, s6, s7 := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
	offsets = offsets[:len(values)]
	fours := inFours(b)
	for e, x := range values {
		i := uint((uint32(offsets[e]) - skipped) / 16)
		w := &fours[i]
		s0 += x * w[0]
		s1 += x * w[1]
		s2 += x * w[2]
		s3 += x * w[3]
		w = &fours[i+1]
		s4 += x * w[0]
		s5 += x * w[1]
		s6 += x * w[2]
		s7 += x * w[3]
	}
	*sums = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}

// inFours views values in groups, so that one bounds check serves all of a group.
func inFours(v []float32) [][4]float32 {
	return unsafe.Slice((*[4]float32)(unsafe.Pointer(unsafe.SliceData(v))), len(v)/4)
}

func inTwos(v []float32) [][2]float32 {
	return unsafe.Slice((*[2]float32)(unsafe.Pointer(unsafe.SliceData(v))), len(v)/2)
}
