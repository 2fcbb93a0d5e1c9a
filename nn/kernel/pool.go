package kernel

import (
	"math"

	"rampart/nn/device"
)

// halves reports whether w is the common pooling of 2x2 elements with stride 2 and no padding.
func halves(w device.Window) bool {
	return w.KH == 2 && w.KW == 2 && w.Stride == 2 && w.PadTop|w.PadLeft|w.PadBottom|w.PadRight == 0
}

// covered returns the part [from,to) of a window of size k, with its origin at position at (maybe
// negative), that lies inside an axis of the given length.
func covered(at, k, length int) (from, to int) { return max(0, -at), min(k, length-at) }

// MaxPool computes y [OutH,OutW,C], the maximum of each window of one image x [H,W,C], and in
// index which element of the window (counted row by row) it is: the first of equals; a NaN wins over
// numbers. Padding never wins; a window holds at most 256 elements and must meet the image.
func MaxPool(w device.Window, y []float32, index []uint8, x []float32) {
	oh, ow, c := w.OutH(), w.OutW(), w.C
	x, y, index = x[:w.H*w.W*c], y[:oh*ow*c], index[:oh*ow*c]
	if halves(w) {
		for r := range oh {
			top := x[2*r*w.W*c:][:2*w.W*c]
			current.maxPool2(y[r*ow*c:][:ow*c], index[r*ow*c:][:ow*c], top[:w.W*c], top[w.W*c:], ow, c)
		}
		return
	}
	for p := range oh * ow {
		top, left := p/ow*w.Stride-w.PadTop, p%ow*w.Stride-w.PadLeft
		y0, y1 := covered(top, w.KH, w.H)
		x0, x1 := covered(left, w.KW, w.W)
		out, arg := y[p*c:][:c], index[p*c:][:c]
		for i := range out {
			out[i], arg[i] = float32(math.Inf(-1)), uint8(y0*w.KW+x0)
		}
		for ky := y0; ky < y1; ky++ {
			for kx := x0; kx < x1; kx++ {
				in := x[((top+ky)*w.W+left+kx)*c:][:c]
				for i, v := range in {
					if v > out[i] || v != v {
						out[i], arg[i] = v, uint8(ky*w.KW+kx)
					}
				}
			}
		}
	}
}

// MaxPoolGrad computes dx [H,W,C] from dy [OutH,OutW,C] and the index that MaxPool made.
func MaxPoolGrad(w device.Window, dx, dy []float32, index []uint8) {
	oh, ow, c := w.OutH(), w.OutW(), w.C
	dx, dy, index = dx[:w.H*w.W*c], dy[:oh*ow*c], index[:oh*ow*c]
	if halves(w) {
		if w.H%2 != 0 || w.W%2 != 0 {
			clear(dx)
		}
		for r := range oh {
			top := dx[2*r*w.W*c:][:2*w.W*c]
			current.unpool2(top[:w.W*c], top[w.W*c:], index[r*ow*c:][:ow*c], dy[r*ow*c:][:ow*c], ow, c)
		}
		return
	}
	clear(dx)
	for p := range oh * ow {
		top, left := p/ow*w.Stride-w.PadTop, p%ow*w.Stride-w.PadLeft
		for i, d := range dy[p*c:][:c] {
			k := int(index[p*c+i])
			dx[((top+k/w.KW)*w.W+left+k%w.KW)*c+i] += d
		}
	}
}

// portableMaxPool2 pools n windows of 2x2 elements that lie side by side on two lines.
func portableMaxPool2(y []float32, index []uint8, top, bottom []float32, n, channels int) {
	for p := range n {
		out, arg := y[p*channels:][:channels], index[p*channels:][:channels]
		t, b := top[2*p*channels:][:2*channels], bottom[2*p*channels:][:2*channels]
		for i := range out {
			best, at := t[i], uint8(0)
			if v := t[channels+i]; v > best || v != v {
				best, at = v, 1
			}
			if v := b[i]; v > best || v != v {
				best, at = v, 2
			}
			if v := b[channels+i]; v > best || v != v {
				best, at = v, 3
			}
			out[i], arg[i] = best, at
		}
	}
}

// portableUnpool2 puts each dy where portableMaxPool2 found the maximum, and zeros elsewhere.
func portableUnpool2(top, bottom []float32, index []uint8, dy []float32, n, channels int) {
	for p := range n {
		t, b := top[2*p*channels:][:2*channels], bottom[2*p*channels:][:2*channels]
		d, arg := dy[p*channels:][:channels], index[p*channels:][:channels]
		for i, v := range d {
			var out [4]float32
			out[arg[i]&3] = v
			t[i], t[channels+i], b[i], b[channels+i] = out[0], out[1], out[2], out[3]
		}
	}
}

// AvgPool computes y [OutH,OutW,C], the mean of each window of one image x [H,W,C]. Padding counts
// as zeros.
func AvgPool(w device.Window, y, x []float32) {
	oh, ow, c := w.OutH(), w.OutW(), w.C
	x, y = x[:w.H*w.W*c], y[:oh*ow*c]
	clear(y)
	for p := range oh * ow {
		top, left := p/ow*w.Stride-w.PadTop, p%ow*w.Stride-w.PadLeft
		y0, y1 := covered(top, w.KH, w.H)
		x0, x1 := covered(left, w.KW, w.W)
		out := y[p*c:][:c]
		for ky := y0; ky < y1; ky++ {
			for kx := x0; kx < x1; kx++ {
				Add(out, out, x[((top+ky)*w.W+left+kx)*c:])
			}
		}
	}
	Scale(y, y, 1/float32(w.KH*w.KW))
}

// AvgPoolGrad computes dx [H,W,C] from dy [OutH,OutW,C].
func AvgPoolGrad(w device.Window, dx, dy []float32) {
	oh, ow, c := w.OutH(), w.OutW(), w.C
	dx, dy = dx[:w.H*w.W*c], dy[:oh*ow*c]
	clear(dx)
	for p := range oh * ow {
		top, left := p/ow*w.Stride-w.PadTop, p%ow*w.Stride-w.PadLeft
		y0, y1 := covered(top, w.KH, w.H)
		x0, x1 := covered(left, w.KW, w.W)
		for ky := y0; ky < y1; ky++ {
			for kx := x0; kx < x1; kx++ {
				in := dx[((top+ky)*w.W+left+kx)*c:][:c]
				Add(in, in, dy[p*c:])
			}
		}
	}
	Scale(dx, dx, 1/float32(w.KH*w.KW))
}
