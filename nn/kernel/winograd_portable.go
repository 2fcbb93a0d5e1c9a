package kernel

// winogradInput describes the transform of a patch, for each channel c:
//
//	v[(6*i+j)*step + c] = sum over k, l of B[i][k] * x[k*line + l*channels + c] * B[j][l]
//
// with B = {4 0 -5 0 1 0; 0 -4 -4 1 1 0; 0 4 -4 -1 1 0; 0 -2 -1 2 1 0; 0 2 -1 -2 1 0; 0 4 0 -5 0 1}.
type winogradInput struct {
	v, x                 []float32
	step, line, channels int       // channels are whole vectors
	registers            []float32 // scratch for a patch of one vector
}

// winogradOutput describes the transform of a patch of products, for each channel c:
//
//	y[i*line + j*channels + c] = bias[c] + sum over k, l of A[i][k] * m[(6*k+l)*step + c] * A[j][l]
//
// with A = {1 1 1 1 1 0; 0 1 -1 2 -2 0; 0 1 1 4 4 0; 0 1 -1 8 -8 1}, and ReLU on top.
type winogradOutput struct {
	y, m                 []float32
	step, line, channels int       // channels are whole vectors
	bias                 []float32 // may be nil
	rectified            bool
	registers            []float32 // scratch for a patch of one vector
}

// winogradWeights describes the transform of filters, for each r < lines and n < cols:
//
//	u[(6*i+j)*step + 16*r + n] = sum over k, l of G[i][k] * w[(3*k+l)*tap + r*line + n] * G[j][l]
//
// with G = {1/4 0 0; -1/6 -1/6 -1/6; -1/6 1/6 -1/6; 1/24 1/12 1/6; 1/24 -1/12 1/6; 0 0 1}.
type winogradWeights struct {
	u, w                   []float32
	step                   int
	tap, line, lines, cols int // cols: one or two vectors
}

// fromPatch is B times d. The conversions forbid fusing; with these factors it would change nothing.
func fromPatch(d0, d1, d2, d3, d4, d5 float32) (t0, t1, t2, t3, t4, t5 float32) {
	c, f := d4-d2, d3-d1
	a, b := d4-float32(4*d2), d3-float32(4*d1)
	t0 = c + float32(4*(d0-d2))
	t1, t2 = a+b, a-b
	t3, t4 = c+float32(2*f), c-float32(2*f)
	t5 = (d5 - d3) - float32(4*f)
	return
}

// toPatch is A times m.
func toPatch(m0, m1, m2, m3, m4, m5 float32) (y0, y1, y2, y3 float32) {
	p, q, r, s := m1+m2, m1-m2, m3+m4, m3-m4
	y0 = (m0 + p) + r
	y1 = q + float32(2*s)
	y2 = p + float32(4*r)
	y3 = (m5 + q) + float32(8*s)
	return
}

// fromFilter is G times g.
func fromFilter(g0, g1, g2 float32) (u [patchSide]float32) {
	const sixth = float32(1) / 6
	e, h, k := g0+g2, g2+float32(g0*.25), float32(g1*.5)
	return [patchSide]float32{g0 * .25, (e + g1) * -sixth, (e - g1) * -sixth, (h + k) * sixth, (h - k) * sixth, g2}
}

func portableWinogradInput(t winogradInput) {
	var d [patchSize]float32
	for c := range t.channels {
		for j := range patchSide {
			x := t.x[j*t.channels+c:]
			d[j], d[6+j], d[12+j], d[18+j], d[24+j], d[30+j] =
				fromPatch(x[0], x[t.line], x[2*t.line], x[3*t.line], x[4*t.line], x[5*t.line])
		}
		for i := range patchSide {
			r, v := d[patchSide*i:][:patchSide], t.v[patchSide*i*t.step+c:]
			v[0], v[t.step], v[2*t.step], v[3*t.step], v[4*t.step], v[5*t.step] =
				fromPatch(r[0], r[1], r[2], r[3], r[4], r[5])
		}
	}
}

func portableWinogradOutput(t winogradOutput) {
	var d [patchStep * patchSide]float32
	for c := range t.channels {
		for j := range patchSide {
			m := t.m[j*t.step+c:]
			row := patchSide * t.step
			d[j], d[6+j], d[12+j], d[18+j] = toPatch(m[0], m[row], m[2*row], m[3*row], m[4*row], m[5*row])
		}
		var bias float32
		if t.bias != nil {
			bias = t.bias[c]
		}
		for i := range patchStep {
			var y [patchStep]float32
			r := d[patchSide*i:][:patchSide]
			y[0], y[1], y[2], y[3] = toPatch(r[0], r[1], r[2], r[3], r[4], r[5])
			for j, v := range y {
				if v += bias; t.rectified {
					v = rectify(v)
				}
				t.y[i*t.line+j*t.channels+c] = v
			}
		}
	}
}

func portableWinogradWeights(t winogradWeights) {
	var g [patchSide][filterSide]float32
	for l := range t.lines {
		for n := range t.cols {
			w, u := t.w[l*t.line+n:], t.u[l*panel+n:]
			for j := range filterSide {
				column := fromFilter(w[j*t.tap], w[(3+j)*t.tap], w[(6+j)*t.tap])
				for i, v := range column {
					g[i][j] = v
				}
			}
			for i, r := range g {
				for j, v := range fromFilter(r[0], r[1], r[2]) {
					u[(patchSide*i+j)*t.step] = v
				}
			}
		}
	}
}
