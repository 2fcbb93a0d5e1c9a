package kernel

import "rampart/nn/device"

// Conv is a convolution: x [rows,H,W,C], w [KH,KW,C,Out], y [rows,OutH,OutW,Out].
// The weights are packed once, and then serve any number of calls.
type Conv struct {
	device.Window
	Out int
}

// taps is the number of products in one output value.
func (c Conv) taps() int { return c.KH * c.KW * c.C }

// paddedSize is the number of values of an image with its padding.
func (c Conv) paddedSize() int {
	return (c.H + c.PadTop + c.PadBottom) * (c.W + c.PadLeft + c.PadRight) * c.C
}

func (c Conv) isPadded() bool { return c.PadTop|c.PadLeft|c.PadBottom|c.PadRight != 0 }

// Scratch is the number of values that Forward, InputGrad and WeightGrad may use as scratch.
func (c Conv) Scratch() int {
	if c.hasWinograd() {
		return max(c.winogradForward().scratch(), c.winogradInputGrad().scratch(), c.weightScratch())
	}
	return max(c.directScratch(), c.weightScratch())
}

func (c Conv) directScratch() int {
	image := 0
	if c.isPadded() {
		image = c.paddedSize()
	}
	return max(image, c.gradientSize(), c.listSize())
}

// PackedForward is the number of values of the weights packed for Forward.
func (c Conv) PackedForward() int {
	if c.hasWinograd() {
		return c.winogradForward().packedSize()
	}
	return c.directForward()
}

func (c Conv) directForward() int { return panels(c.Out)*panel*c.taps() + noteSize }

// PackForward packs w [KH,KW,C,Out] for Forward.
func (c Conv) PackForward(dst, w []float32) {
	if c.hasWinograd() {
		c.packWinograd(dst[:c.PackedForward()], w[:c.taps()*c.Out])
		return
	}
	c.packDirectForward(dst, w)
}

func (c Conv) packDirectForward(dst, w []float32) {
	w = w[:c.taps()*c.Out]
	dst = note(dst[:c.directForward()], w)
	packPanels(dst, w, c.taps(), c.Out, c.taps())
}

// pad returns x with its padding, laid out in scratch unless there is none. The border of a copy
// that is there already need not be cleared again.
func (c Conv) pad(x, scratch []float32, clearBorder bool) []float32 {
	if !c.isPadded() {
		return x
	}
	dst := scratch[:c.paddedSize()]
	line := c.W * c.C
	stride := (c.W + c.PadLeft + c.PadRight) * c.C
	at := c.PadTop*stride + c.PadLeft*c.C
	if clearBorder {
		done := 0
		for r := range c.H {
			clear(dst[done : at+r*stride])
			done = at + r*stride + line
		}
		clear(dst[done:])
	}
	for r := range c.H {
		copy(dst[at+r*stride:][:line], x[r*line:][:line])
	}
	return dst
}

// blockTaps bounds the products summed in registers before they are added to y: the weights of
// one block of a panel then stay in the first-level cache.
const blockTaps = 400

// blockLines is the number of filter lines in a block.
func blockLines(lines, taps int) int {
	n := max(1, blockTaps/taps)
	blocks := (lines + n - 1) / n
	return (lines + blocks - 1) / blocks // of even sizes
}

// Forward computes y = conv(x) + bias for the given number of images, with ReLU on top if relu is
// set. bias may be nil. Where most of an image is zero only the rest is multiplied, with the same
// result, unless the shape is one for Winograd's form.
func (c Conv) Forward(y, x, packed, bias []float32, rows int, relu bool, scratch []float32) {
	out, in := c.OutH()*c.OutW()*c.Out, c.H*c.W*c.C
	y, x, packed = y[:rows*out], x[:rows*in], packed[:c.PackedForward()]
	if c.hasWinograd() {
		c.winogradForward().run(y, x, packed, bias, rows, relu, scratch)
		return
	}
	for r := range rows {
		c.forward(y[r*out:][:out], x[r*in:][:in], packed, bias, relu, scratch)
	}
}

// forward is Forward for one image in the direct form.
func (c Conv) forward(y, x, packed, bias []float32, relu bool, scratch []float32) {
	weights, finite := noted(packed)
	if finite && c.hasSparse() && !hasNegativeZero(bias) {
		if l := c.paddedImage().listIfSparse(x, scratch, c.KW); !l.empty() {
			c.sparseForward(y, l, weights, bias, relu)
			return
		}
	}
	c.denseForward(y, x, weights, bias, relu, scratch)
}

func (c Conv) denseForward(y, x, packed, bias []float32, relu bool, scratch []float32) {
	oh, ow := c.OutH(), c.OutW()
	a := c.pad(x, scratch, true)
	stride := (c.W + c.PadLeft + c.PadRight) * c.C
	t := tile{
		rows: oh * ow, width: ow, left: ow,
		aStep: c.Stride * c.C, aWrap: c.Stride * (stride - ow*c.C),
		yStep: c.Out,
		inner: c.KW * c.C, aOuter: stride, aK: 1, bK: panel, bPanel: c.taps() * panel,
	}
	lines := blockLines(c.KH, t.inner)
	for p := 0; p < panels(c.Out); p += current.wide {
		t.cols = min(current.wide*panel, c.Out-p*panel)
		t.y = y[p*panel:]
		t.bias = nil
		if bias != nil {
			t.bias = bias[p*panel:][:t.cols]
		}
		b := packed[p*panel*c.taps():]
		for ky := 0; ky < c.KH; ky += lines {
			t.outer = min(lines, c.KH-ky)
			t.a, t.b = a[ky*stride:], b[ky*t.inner*panel:]
			t.ahead = t.following(t.b, (c.KH-ky)*t.inner)
			t.accumulate = ky > 0
			t.rectified = relu && ky+t.outer == c.KH
			current.tile(t)
		}
	}
}
