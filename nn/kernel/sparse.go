package kernel

import "unsafe"

// nonZeros lists the values of an image that are not zero, line by line, position by position and
// channel by channel, as if the image had its padding.
type nonZeros struct {
	values  []float32
	offsets []int32   // 4*panel*channel: where its weights are among those of a tap, in bytes
	starts  []int32   // [line][column]: 4 times the index of the first value; each line has one column more, its end
	width   int       // columns of starts
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

// maxPanels is the number of panels that are computed side by side.
const maxPanels = 2

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
	residentShare = 700
	longLineShare = 150
)

// listIfSparse lists the non-zeros of x if multiplying only these is faster; else the list is empty.
// The answer depends on nothing but the shape and the number of non-zeros.
func (m image) listIfSparse(x, scratch []float32, window int) nonZeros {
	line, share := window*m.channels, residentShare
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
		width: m.width + 1,
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
		for c, v := range x[i*channels:][:channels] {
			l.values[n], l.offsets[n] = v, int32(4*panel*c)
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

// columns sums a window, which starts at an entry of the list's starts, with the weights at b.
func (s *sparse) columns(start, b int) [8]float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	values, offsets := s.list.values, s.list.offsets
	for range s.outer {
		starts, weights := s.list.starts[start:][:s.window+1], s.b[b:]
		e := uint32(starts[0]) / 4
		for k, end := range starts[1:] {
			values, offsets, weights := values[:uint32(end)/4], offsets[:uint32(end)/4], weights[k*s.bTap:]
			for ; e < uint32(len(values)); e++ {
				x, w := values[e], (*[8]float32)(weights[uint32(offsets[e])/4:])
				s0 += x * w[0]
				s1 += x * w[1]
				s2 += x * w[2]
				s3 += x * w[3]
				s4 += x * w[4]
				s5 += x * w[5]
				s6 += x * w[6]
				s7 += x * w[7]
			}
		}
		start, b = start+s.list.width, b+s.bOuter
	}
	return [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}
