package kernel

// lanes is the number of partial sums of a dot product; vectors of this length are multiplied at
// a time.
const lanes = 8

// dots describes products with few columns, where a panel of 16 would be wasted: dot products of
// length outer*inner*8, rows x channels (1 to 3):
//
//	y[row][c] = sum over o < outer, i < inner, l < 8 of a[row + o*aOuter + i*8 + l] * w[((o*inner+i)*slots+c)*8 + l]
//
// with slots = 1 for one channel and else 3. The rows lie on a grid as in a tile.
type dots struct {
	a, w, y      []float32
	rows, width  int
	aStep, aWrap int
	yStep, yWrap int
	outer, inner int
	aOuter       int
	channels     int
}

// dotSlots is the number of columns that packed weights of dots have; 0 where the columns are too
// many for dots.
func dotSlots(channels int) int {
	switch {
	case channels == 1:
		return 1
	case channels <= 3:
		return 3
	}
	return 0
}

func portableDots(d dots) {
	slots := dotSlots(d.channels)
	a, y, left := 0, 0, d.width
	for range d.rows {
		for c := range d.channels {
			d.y[y+c] = d.dot(a, c*lanes, slots*lanes)
		}
		a, y, left = a+d.aStep, y+d.yStep, left-1
		if left == 0 {
			a, y, left = a+d.aWrap, y+d.yWrap, d.width
		}
	}
}

// dot multiplies the row at a with the weights at w, which advance by step for each vector.
func (d *dots) dot(a, w, step int) float32 {
	var s0, s1, s2, s3 float32
	for o := range d.outer {
		for i := range d.inner {
			x := (*[lanes]float32)(d.a[a+o*d.aOuter+i*lanes:])
			v := (*[lanes]float32)(d.w[w:])
			s0 += x[0] * v[0]
			s1 += x[1] * v[1]
			s2 += x[2] * v[2]
			s3 += x[3] * v[3]
			s0 += x[4] * v[4]
			s1 += x[5] * v[5]
			s2 += x[6] * v[6]
			s3 += x[7] * v[7]
			w += step
		}
	}
	return (s0 + s1) + (s2 + s3)
}
