package kernel

// sparseRows multiplies the non-zeros of a part of each row with some panels of b:
//
//	to[row][n] = add[row][n] + (from[row][n] + sum over e of values[e] * b[n/16][offsets[e] + n%16])
//
// where e runs over the entries from starts[row*startStep] to before the next start. A step of 0
// gives all rows the same values.
type sparseRows struct {
	list                      nonZeros
	starts                    []int32
	b, ahead, from, add, to   []float32
	fetches                   int // lines from ahead on that are fetched early
	rows, startStep           int
	bPanel                    int
	fromStep, addStep, toStep int
	panels, cols              int // cols of the last panel
	rectified                 bool
}

// Bounds of what implementations choose as group and part: side by side in the first-level cache lie
// that many lines of that many panels, with room for the sums and the list.
const (
	mostGroup = 8
	leastPart = 48
)

var zeros [mostGroup * panel]float32

// place says where a part is: first or last in its block, and whether in a later block.
type place struct{ first, last, later bool }

// parts cuts k products into the blocks of multiply, and those into parts of some lines; it calls f for
// the n products from i on.
func parts(k, lines int, f func(i, n int, at place)) {
	blocks := (k + blockTaps - 1) / blockTaps
	size := (k + blocks - 1) / blocks
	for i := 0; i < k; i += size {
		end := min(i+size, k)
		for j := i; j < end; j += lines {
			f(j, min(lines, end-j), place{first: j == i, last: j+lines >= end, later: i > 0})
		}
	}
}

// countParts is the number of parts of k products.
func countParts(k, lines int) (n int) {
	parts(k, lines, func(int, int, place) { n++ })
	return n
}

// sparseScratch is the number of values that sparseMultiply takes at most.
func sparseScratch(rows, k int) int {
	return 2*(rows*k+lanes) + countParts(k, leastPart)*(rows+1) + rows*mostGroup*panel
}

// Smaller products are not worth a list.
const (
	leastDepth      = 256
	leastColumns    = 4 * panel
	leastSparseRows = 4 // fewer only wait for the weights
)

// listRows lists the non-zeros of x [rows,k] if multiplying only these is faster.
func listRows(x, scratch []float32, rows, k, n int) (l nonZeros, ok bool) {
	if k < leastDepth || n < leastColumns || rows < leastSparseRows || len(scratch) < sparseScratch(rows, k) {
		return l, false
	}
	l, count := listAllRows(x, scratch, rows, k)
	return l, count*1000 <= current.rowsShare*rows*k
}

// listAllRows lists the non-zeros of x [rows,k], part by part and row by row, as sparseMultiply reads them, and
// counts them.
func listAllRows(x, scratch []float32, rows, k int) (l nonZeros, count int) {
	size, width := rows*k+lanes, rows+1
	all := countParts(k, current.part) * width
	l = nonZeros{
		values: scratch[:size], offsets: integers(scratch[size : 2*size]),
		starts: integers(scratch[2*size:][:all]), width: width,
		partial: scratch[2*size+all:][:rows*current.group*panel],
	}
	at, starts := 0, l.starts
	parts(k, current.part, func(i, n int, _ place) {
		for r := range rows {
			at = current.nonZeros(l, starts[r:r+1], x[r*k+i:][:n], at, n)
		}
		starts[rows] = int32(at)
		starts = starts[width:]
	})
	return l, at / 4
}

// sparseMultiply is multiply from the list of x, with panels of b that lie pitch lines apart. The sums have the order
// and the blocks of multiply.
func sparseMultiply(y []float32, l nonZeros, b, bias []float32, rows, k, n, pitch int, relu bool) {
	for p := 0; p < panels(n); p += current.group {
		s := sparseRows{list: l, rows: rows, startStep: 1, bPanel: pitch * panel, fetches: current.part, panels: min(current.group, panels(n)-p)}
		width := s.panels * panel
		part := 0 // the closure does not escape: nothing is allocated
		parts(k, current.part, func(i, lines int, at place) {
			s.starts = l.starts[part*l.width:]
			part++
			s.b = b[(p*pitch+i)*panel:]
			s.ahead = s.b[lines*panel:]
			s.from, s.fromStep = zeros[:], 0
			s.add, s.addStep = zeros[:], 0
			s.to, s.toStep = l.partial, width
			s.cols, s.rectified = panel, false
			if !at.first {
				s.from, s.fromStep = l.partial, width
			}
			if at.last {
				s.cols = min(panel, n-(p+s.panels-1)*panel)
				s.to, s.toStep = y[p*panel:], n
				if at.later {
					s.add, s.addStep = s.to, n
				} else if bias != nil {
					s.add = bias[p*panel:]
				}
				s.rectified = relu && i+lines == k
			}
			current.sparseRows(s)
		})
	}
}

// portableSparseRows computes eight columns of one row at a time.
func portableSparseRows(s sparseRows) {
	for r := range s.rows {
		from, to := s.starts[r*s.startStep]/4, s.starts[r*s.startStep+1]/4
		for n := 0; n < (s.panels-1)*panel+s.cols; n += 8 {
			sums := s.columns(int(from), int(to), n/panel*s.bPanel+n%panel, s.from[r*s.fromStep+n:])
			add, y := s.add[r*s.addStep+n:], s.to[r*s.toStep+n:]
			for i, v := range sums[:min(8, (s.panels-1)*panel+s.cols-n)] {
				v += add[i]
				if s.rectified {
					v = rectify(v)
				}
				y[i] = v
			}
		}
	}
}

// columns adds the products of entries [from,to) with the weights at b to the given sums.
func (s *sparseRows) columns(from, to, b int, sums []float32) [8]float32 {
	t := *(*[8]float32)(sums)
	addProducts(&t, s.list.values[from:to], s.list.offsets[from:to], 0, s.b[b:])
	return t
}
