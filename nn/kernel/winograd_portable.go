package kernel

import "math"

// The points other than 0 are ±a and ±b. With 1/a = b the numbers stay small, and so do the rounding
// errors: a third of those with ±1 and ±2.
const (
	pointA = float32(math.Sqrt2 / 2)
	pointB = float32(math.Sqrt2)
)

// winogradInput describes the transform of a patch, for each channel c:
//
//	v[(6*i+j)*step + c] = sum over k, l of B[i][k] * x[k*line + l*channels + c] * B[j][l]
//
// with B = {1 0 -5/2 0 1 0; 0 -b -2 a 1 0; 0 b -2 -a 1 0; 0 -a -1/2 b 1 0; 0 a -1/2 -b 1 0; 0 1 0 -5/2 0 1}.
type winogradInput struct {
	v, x                 []float32
	step, line, channels int       // channels are whole vectors
	registers            []float32 // scratch for a patch of 16 channels
}

// winogradOutput describes the transform of a patch of products, for each channel c:
//
//	y[i*line + j*channels + c] = bias[c] + sum over k, l of A[i][k] * m[(6*k+l)*step + c] * A[j][l]
//
// with A = {1 1 1 1 1 0; 0 a -a b -b 0; 0 1/2 1/2 2 2 0; 0 a/2 -a/2 2b -2b 1}, and ReLU on top.
type winogradOutput struct {
	y, m                 []float32
	step, line, channels int       // channels are whole vectors
	bias                 []float32 // may be nil
	rectified            bool
	registers            []float32 // scratch for a patch of 16 channels
}

// winogradWeights describes the transform of filters, for each r < lines and n < cols:
//
//	u[(6*i+j)*step + 16*r + n] = sum over k, l of G[i][k] * w[(3*k+l)*tap + r*line + n] * G[j][l]
//
// with G = {1 0 0; -2/3 -2a/3 -1/3; -2/3 2a/3 -1/3; 1/6 b/6 1/3; 1/6 -b/6 1/3; 0 0 1}.
type winogradWeights struct {
	u, w                   []float32
	step                   int
	tap, line, lines, cols int // cols: one or two vectors
}

// fromPatch is B times d. The conversions forbid fusing; with factors 2 and 1/2 it would change nothing.
func fromPatch(d0, d1, d2, d3, d4, d5 float32) (t0, t1, t2, t3, t4, t5 float32) {
	e, f := d4-float32(2*d2), d4-float32(.5*d2)
	g, h := float32((d3-float32(2*d1))*pointA), float32((d3-float32(.5*d1))*pointB)
	t0 = (d0 - float32(2*d2)) + f
	t1, t2 = e+g, e-g
	t3, t4 = f+h, f-h
	t5 = (d5 - float32(2*d3)) + (d1 - float32(.5*d3))
	return
}

// toPatch is A times m.
func toPatch(m0, m1, m2, m3, m4, m5 float32) (y0, y1, y2, y3 float32) {
	p, q, r, s := m1+m2, float32((m1-m2)*pointA), m3+m4, float32((m3-m4)*pointB)
	y0 = (m0 + p) + r
	y1 = q + s
	y2 = float32(.5*p) + float32(2*r)
	y3 = (m5 + float32(.5*q)) + float32(2*s)
	return
}

// fromFilter is G times g.
func fromFilter(g0, g1, g2 float32) (u [patchSide]float32) {
	const third, sixth = float32(2) / 3, float32(1) / 6
	e, f := g0+float32(.5*g2), g0+float32(2*g2)
	h, k := float32(g1*pointA), float32(g1*pointB)
	return [patchSide]float32{g0, (e + h) * -third, (e - h) * -third, (f + k) * sixth, (f - k) * sixth, g2}
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
