package kernel

import "rampart/nn/device"

// GroupConv is a convolution in groups, of one image at a time: x [H,W,C], w [KH,KW,C/Groups,Out],
// y [OutH,OutW,Out]. The g-th part of the outputs sees the g-th part of the inputs.
type GroupConv struct {
	device.Window
	Out, Groups int
}

// sizes are the channels of a group, in and out.
func (c GroupConv) sizes() (in, out int) { return c.C / c.Groups, c.Out / c.Groups }

// each calls f for each output position and each tap that lies inside the image: with the offsets of
// their channels in y and x, and the number of the tap.
func (c GroupConv) each(f func(y, x, tap int)) {
	ow := c.OutW()
	for p := range c.OutH() * ow {
		top, left := p/ow*c.Stride-c.PadTop, p%ow*c.Stride-c.PadLeft
		y0, y1 := covered(top, c.KH, c.H)
		x0, x1 := covered(left, c.KW, c.W)
		for ky := y0; ky < y1; ky++ {
			for kx := x0; kx < x1; kx++ {
				f(p*c.Out, ((top+ky)*c.W+left+kx)*c.C, ky*c.KW+kx)
			}
		}
	}
}

// Forward computes y = conv(x) + bias. bias may be nil.
func (c GroupConv) Forward(y, x, w, bias []float32) {
	in, out := c.sizes()
	y = y[:c.OutH()*c.OutW()*c.Out]
	clear(y)
	for at := 0; bias != nil && at < len(y); at += c.Out {
		copy(y[at:], bias[:c.Out])
	}
	c.each(func(yAt, xAt, tap int) {
		y, x, w := y[yAt:][:c.Out], x[xAt:][:c.C], w[tap*in*c.Out:][:in*c.Out]
		if in == 1 && out == 1 {
			for i, v := range x {
				y[i] += v * w[i]
			}
			return
		}
		for g := range c.Groups {
			y := y[g*out:][:out]
			for i, v := range x[g*in:][:in] {
				for j, f := range w[i*c.Out+g*out:][:out] {
					y[j] += v * f
				}
			}
		}
	})
}

// InputGrad computes dx from dy.
func (c GroupConv) InputGrad(dx, dy, w []float32) {
	in, out := c.sizes()
	dx = dx[:c.H*c.W*c.C]
	clear(dx)
	c.each(func(yAt, xAt, tap int) {
		dy, dx, w := dy[yAt:][:c.Out], dx[xAt:][:c.C], w[tap*in*c.Out:][:in*c.Out]
		if in == 1 && out == 1 {
			for i, d := range dy {
				dx[i] += d * w[i]
			}
			return
		}
		for g := range c.Groups {
			dy := dy[g*out:][:out]
			for i := range in {
				sum := float32(0)
				for j, f := range w[i*c.Out+g*out:][:out] {
					sum += dy[j] * f
				}
				dx[g*in+i] += sum
			}
		}
	})
}

// WeightGrad computes dw, the sum over n images, of one tap of the kernel: those from tap on by
// C/Groups*Out values. scratch holds as many. Each image's part is summed first, so that little is
// lost in a large batch.
func (c GroupConv) WeightGrad(tap int, dw, x, dy []float32, n int, scratch []float32) {
	in, out := c.sizes()
	dw, sum := dw[tap*in*c.Out:][:in*c.Out], scratch[:in*c.Out]
	clear(dw)
	ky, kx, ow := tap/c.KW, tap%c.KW, c.OutW()
	for row := range n {
		x, dy := x[row*c.H*c.W*c.C:][:c.H*c.W*c.C], dy[row*c.OutH()*ow*c.Out:]
		clear(sum)
		for p := range c.OutH() * ow {
			top, left := p/ow*c.Stride-c.PadTop+ky, p%ow*c.Stride-c.PadLeft+kx
			if top < 0 || top >= c.H || left < 0 || left >= c.W {
				continue
			}
			x, dy := x[(top*c.W+left)*c.C:][:c.C], dy[p*c.Out:][:c.Out]
			for g := range c.Groups {
				for i, v := range x[g*in:][:in] {
					s := sum[i*c.Out+g*out:][:out]
					for j, d := range dy[g*out:][:out] {
						s[j] += v * d
					}
				}
			}
		}
		Add(dw, dw, sum)
	}
}
