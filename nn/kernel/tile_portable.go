package kernel

// portableTile computes one row at a time.
func portableTile(t tile) {
	a, y, left := 0, 0, t.left
	for range t.rows {
		var sums [panel]float32
		for o := range t.outer {
			t.addLine(&sums, t.a[a+o*t.aOuter:], t.b[o*t.inner*t.bK:])
		}
		t.finish(&sums, t.y[y:][:t.cols])
		a, y, left = a+t.aStep, y+t.yStep, left-1
		if left == 0 {
			a, y, left = a+t.aWrap, y+t.yWrap, t.width
		}
	}
}

// addLine adds the products of one outer step to the sums of a row. The sums live in memory, and
// four products are added at each visit: that many stay in registers, where 16 sums would not.
func (t *tile) addLine(sums *[panel]float32, a, b []float32) {
	aK, bK := t.aK, t.bK
	k := t.inner
	for ; k > 4; k -= 4 {
		x0, x1, x2, x3 := a[0], a[aK], a[2*aK], a[3*aK]
		w0, w1 := (*[panel]float32)(b), (*[panel]float32)(b[bK:])
		w2, w3 := (*[panel]float32)(b[2*bK:]), (*[panel]float32)(b[3*bK:])
		for n := range sums {
			s := sums[n]
			s += x0 * w0[n]
			s += x1 * w1[n]
			s += x2 * w2[n]
			s += x3 * w3[n]
			sums[n] = s
		}
		a, b = a[4*aK:], b[4*bK:]
	}
	for i := range k {
		x, w := a[i*aK], (*[panel]float32)(b[i*bK:])
		for n := range sums {
			sums[n] += x * w[n]
		}
	}
}

// finish adds what is to be added to the sums of a row and stores them.
func (t *tile) finish(sums *[panel]float32, y []float32) {
	for n := range y {
		s := sums[n]
		if t.accumulate {
			s += y[n]
		} else if t.bias != nil {
			s += t.bias[n]
		}
		if t.rectified {
			s = rectify(s)
		}
		y[n] = s
	}
}
