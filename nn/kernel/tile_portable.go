package kernel

// portableTile computes two rows and four columns at a time: eight sums, with the values and weights
// that they need, are what the registers of a processor hold.
func portableTile(t tile) {
	a, y, left := 0, 0, t.left
	next := func() (row, out int) {
		row, out = a, y
		a, y, left = a+t.aStep, y+t.yStep, left-1
		if left == 0 {
			a, y, left = a+t.aWrap, y+t.yWrap, t.width
		}
		return row, out
	}
	for rows := t.rows; rows > 0; rows -= 2 {
		a0, y0 := next()
		a1, y1 := a0, y0
		if rows > 1 {
			a1, y1 = next()
		}
		for n := 0; n < t.cols; n += 4 {
			var sums [2][4]float32
			for o := range t.outer {
				line := o * t.aOuter
				t.addLine(&sums, t.a[a0+line:], t.a[a1+line:], t.b[o*t.inner*t.bK+n:])
			}
			cols := min(4, t.cols-n)
			t.finish(sums[0][:cols], n, t.y[y0+n:])
			if rows > 1 {
				t.finish(sums[1][:cols], n, t.y[y1+n:])
			}
		}
	}
}

// addLine adds the products of one outer step to the sums of two rows.
func (t *tile) addLine(sums *[2][4]float32, a0, a1, b []float32) {
	s00, s01, s02, s03 := sums[0][0], sums[0][1], sums[0][2], sums[0][3]
	s10, s11, s12, s13 := sums[1][0], sums[1][1], sums[1][2], sums[1][3]
	k, aK, bK := t.inner, t.aK, t.bK
	if aK == 1 && bK == panel { // two products of each sum at a time need fewer bounds checks
		for ; k > 2; k -= 2 {
			x0, x1 := (*[2]float32)(a0), (*[2]float32)(a1)
			w := (*[panel + 4]float32)(b)
			p, q := x0[0], x1[0]
			s00 += p * w[0]
			s10 += q * w[0]
			s01 += p * w[1]
			s11 += q * w[1]
			s02 += p * w[2]
			s12 += q * w[2]
			s03 += p * w[3]
			s13 += q * w[3]
			p, q = x0[1], x1[1]
			s00 += p * w[panel]
			s10 += q * w[panel]
			s01 += p * w[panel+1]
			s11 += q * w[panel+1]
			s02 += p * w[panel+2]
			s12 += q * w[panel+2]
			s03 += p * w[panel+3]
			s13 += q * w[panel+3]
			a0, a1, b = a0[2:], a1[2:], b[2*panel:]
		}
	}
	for i := range k {
		p, q, w := a0[i*aK], a1[i*aK], (*[4]float32)(b[i*bK:])
		s00 += p * w[0]
		s10 += q * w[0]
		s01 += p * w[1]
		s11 += q * w[1]
		s02 += p * w[2]
		s12 += q * w[2]
		s03 += p * w[3]
		s13 += q * w[3]
	}
	*sums = [2][4]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

// finish adds what is to be added to the sums of columns from n on, and stores them.
func (t *tile) finish(sums []float32, n int, y []float32) {
	y = y[:len(sums)]
	for i, s := range sums {
		if t.accumulate {
			s += y[i]
		} else if t.bias != nil {
			s += t.bias[n+i]
		}
		if t.rectified {
			s = rectify(s)
		}
		y[i] = s
	}
}
