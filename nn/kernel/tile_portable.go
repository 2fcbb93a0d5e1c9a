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

// addLine adds the products of one outer step to the sums of two rows. The compiler keeps the sums in
// registers because the second look at b, with its bounds check, separates two columns from the others.
func (t *tile) addLine(sums *[2][4]float32, a0, a1, b []float32) {
	if t.aK != 1 || t.bK%2 != 0 {
		t.addScattered(sums, a0, a1, b)
		return
	}
	s00, s01, s02, s03 := sums[0][0], sums[0][1], sums[0][2], sums[0][3]
	s10, s11, s12, s13 := sums[1][0], sums[1][1], sums[1][2], sums[1][3]
	twos, i, step := inTwos(b), uint(0), uint(t.bK/2)
	a0 = a0[:t.inner]
	a1 = a1[:len(a0)]
	for k, p := range a0 {
		q, w := a1[k], &twos[i]
		v := w[0]
		s00 += p * v
		s10 += q * v
		v = w[1]
		s01 += p * v
		s11 += q * v
		w = &twos[i+1]
		v = w[0]
		s02 += p * v
		s12 += q * v
		v = w[1]
		s03 += p * v
		s13 += q * v
		i += step
	}
	*sums = [2][4]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

// addScattered is addLine at any distances.
func (t *tile) addScattered(sums *[2][4]float32, a0, a1, b []float32) {
	s00, s01, s02, s03 := sums[0][0], sums[0][1], sums[0][2], sums[0][3]
	s10, s11, s12, s13 := sums[1][0], sums[1][1], sums[1][2], sums[1][3]
	for k := range t.inner {
		p, q, w := a0[k*t.aK], a1[k*t.aK], (*[4]float32)(b[k*t.bK:])
		v := w[0]
		s00 += p * v
		s10 += q * v
		v = w[1]
		s01 += p * v
		s11 += q * v
		v = w[2]
		s02 += p * v
		s12 += q * v
		v = w[3]
		s03 += p * v
		s13 += q * v
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
