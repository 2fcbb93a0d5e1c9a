package kernel

// panel is the number of columns that a tile computes at a time. Packed weights are stored as
// panels of this width, the last one padded with zeros.
const panel = 16

// tile describes a product of matrices, rows x the columns of one panel, or of as many as the
// implementation's tiles may have:
//
//	y[row][n] (+)= bias[n] + sum over o < outer, k < inner of a[row + o*aOuter + k*aK] * b[(o*inner+k)*bK + n/16*bPanel + n%16]
//
// for n < cols. Rows lie on a grid: after each one, a and y advance by their steps, and at the end
// of a line of width rows also by their wraps; left rows remain on the first line. So the rows may
// be the pixels of an image, the taps of a filter, or the examples of a batch. Distances count
// float32 values. b must be readable for all 16 columns of each panel and k.
type tile struct {
	a, b, y, bias         []float32 // bias may be nil
	ahead                 []float32 // what will be read as b next, to be fetched early; may be empty
	rows, width, left     int
	aStep, aWrap          int
	yStep, yWrap          int
	outer, inner          int
	aOuter, aK            int
	bK, bPanel            int
	cols                  int
	accumulate, rectified bool // add to what y holds; then apply ReLU
}

// panels is the number of panels that n columns take.
func panels(n int) int { return (n + panel - 1) / panel }

// roundUp is the least multiple of m that is not below n.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// packBlock is the number of lines that are packed at a time, so that both what is read and what
// is written stay in the cache.
const packBlock = 256

// pitch is the distance of the panels of a dense layer, in lines. At multiples of 64 lines, 4 KB, panels that are read
// side by side would crowd the same sets of the first-level cache.
func pitch(k int) int {
	if k%64 == 0 {
		return k + panel
	}
	return k
}

// packPanels writes the matrix w [k,n] as panels [n/16][k][16], pitch lines apart.
func packPanels(dst, w []float32, k, n, pitch int) {
	for i := 0; i < k; i += packBlock {
		lines := min(packBlock, k-i)
		for p := range panels(n) {
			packPanel(dst[(p*pitch+i)*panel:], w[i*n+p*panel:], lines, n, min(panel, n-p*panel))
		}
	}
}

// packPanel copies cols columns of n lines, stride apart, into a panel [n][16].
func packPanel(dst, src []float32, n, stride, cols int) {
	if cols == panel {
		current.copyRuns(dst, src, n, stride, panel)
		return
	}
	for i := range n {
		d := dst[i*panel:][:panel]
		clear(d[copy(d, src[i*stride:][:cols]):])
	}
}

// packTransposed writes the transpose of w [n,k] as panels [n/16][k][16], pitch lines apart.
func packTransposed(dst, w []float32, k, n, pitch int) {
	for p := range panels(n) {
		cols := min(panel, n-p*panel)
		for i := 0; i < k; i += packBlock {
			lines := min(packBlock, k-i)
			out := dst[(p*pitch+i)*panel:][:lines*panel]
			if cols < panel {
				clear(out)
			}
			current.transpose(out, w[p*panel*k+i:], cols, lines, panel, k)
		}
	}
}

// portableTranspose writes the columns of some lines of x, step apart, as lines of dst, dstStep apart.
func portableTranspose(dst, x []float32, lines, columns, dstStep, step int) {
	r := 0
	for ; r+4 <= lines; r += 4 {
		r0, r1, r2, r3 := x[r*step:][:columns], x[(r+1)*step:][:columns], x[(r+2)*step:][:columns], x[(r+3)*step:][:columns]
		for i, v := range r0 {
			*(*[4]float32)(dst[i*dstStep+r:]) = [4]float32{v, r1[i], r2[i], r3[i]}
		}
	}
	for ; r < lines; r++ {
		for i, v := range x[r*step:][:columns] {
			dst[i*dstStep+r] = v
		}
	}
}

// following returns what a tile reads after b, of which each panel has some more lines: those, or, where
// none are left after this tile, the panels behind.
func (t *tile) following(b []float32, lines int) []float32 {
	n := t.outer * t.inner
	if n == lines {
		n += (panels(t.cols) - 1) * t.bPanel / panel
	}
	return b[n*t.bK:]
}

// offsets are the distances of row n from the first in a and y.
func (t *tile) offsets(n int) (a, y int) {
	a, y = n*t.aStep, n*t.yStep
	if n >= t.left {
		lines := 1 + (n-t.left)/t.width
		a, y = a+lines*t.aWrap, y+lines*t.yWrap
	}
	return a, y
}

// advance returns the tile without its first n rows.
func (t tile) advance(n int) tile {
	a, y := t.offsets(n)
	if n >= t.left {
		t.left += (1 + (n-t.left)/t.width) * t.width
	}
	t.left -= n
	t.rows -= n
	if t.rows > 0 {
		t.a, t.y = t.a[a:], t.y[y:]
	}
	return t
}

// portableCopyRuns copies n runs of size values, a multiple of 8, which lie step apart, side by side.
func portableCopyRuns(dst, x []float32, n, step, size int) {
	for i := range n {
		copy(dst[i*size:][:size], x[i*step:])
	}
}
