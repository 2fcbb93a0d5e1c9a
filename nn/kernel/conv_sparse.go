package kernel

import "math"

// Packed weights end with a note, 1 if all of them are finite.
const noteSize = 1

// note writes the note and returns what is before it.
func note(packed, w []float32) []float32 {
	n := len(packed) - noteSize
	packed[n] = 0
	if AllFinite(w) {
		packed[n] = 1
	}
	return packed[:n]
}

// noted returns what is before the note, and what it says.
func noted(packed []float32) (weights []float32, finite bool) {
	n := len(packed) - noteSize
	return packed[:n], packed[n] == 1
}

// hasNegativeZero reports whether a sum of products that underflowed to -0 may show: s + bias is -0
// only if both are.
func hasNegativeZero(bias []float32) bool {
	for _, v := range bias {
		if math.Float32bits(v) == 1<<31 {
			return true
		}
	}
	return false
}

// paddedImage is x with its padding.
func (c Conv) paddedImage() image {
	return image{h: c.H, w: c.W, channels: c.C, stride: c.W, top: c.PadTop, left: c.PadLeft,
		height: c.H + c.PadTop + c.PadBottom, width: c.W + c.PadLeft + c.PadRight}
}

// gradientImage is dy with the zeros around it that InputGrad wants, less what lies beyond all that
// is read.
func (c Conv) gradientImage() image {
	top, height := c.vertical().span()
	left, width := c.horizontal().span()
	oh, ow := c.OutH(), c.OutW()
	return image{h: min(oh, height-top), w: min(ow, width-left), channels: c.Out, stride: ow,
		top: top, left: left, height: height, width: width}
}

// listSize is the number of values of scratch that Forward and InputGrad take for a list.
func (c Conv) listSize() int {
	if !c.hasSparse() {
		return 0
	}
	return max(c.paddedImage().listSize(), c.gradientImage().listSize())
}

// hasSparse reports whether there is a sparse form for the window: it slides by one position.
func (c Conv) hasSparse() bool { return c.Stride == 1 && c.KW >= 2 && c.KW <= 5 }

// sparseForward is Forward from the non-zeros of x.
func (c Conv) sparseForward(y []float32, l nonZeros, b, bias []float32, relu bool) {
	line := c.KW * c.C
	s := sparse{
		list: l, bias: bias,
		lines: c.OutH(), width: c.OutW(), window: c.KW,
		bTap: c.C * panel, bOuter: line * panel, bPanel: c.taps() * panel,
		yStep: c.Out, yLine: c.OutW() * c.Out,
	}
	lines := blockLines(c.KH, line)
	for ky := 0; ky < c.KH; ky += lines {
		s.outer = min(lines, c.KH-ky)
		s.first = ky * l.width
		s.accumulate = ky > 0
		s.rectified = relu && ky+s.outer == c.KH
		s.run(y, b[ky*s.bOuter:], c.Out)
	}
}

// sparseInputGrad is InputGrad from the non-zeros of dy.
func (c Conv) sparseInputGrad(dx []float32, l nonZeros, b []float32) {
	v, h := c.vertical().phase(0), c.horizontal().phase(0)
	top, _ := c.vertical().span()
	left, _ := c.horizontal().span()
	line := c.KW * c.Out
	s := sparse{
		list:  l,
		lines: c.H, width: c.W, window: c.KW,
		bTap: c.Out * panel, bOuter: line * panel, bPanel: c.KH * line * panel,
		yStep: c.C, yLine: c.W * c.C,
	}
	lines := blockLines(c.KH, line)
	for ky := 0; ky < c.KH; ky += lines {
		s.outer = min(lines, c.KH-ky)
		s.first = (v.start+top+ky)*l.width + h.start + left
		s.accumulate = ky > 0
		s.run(dx, b[ky*s.bOuter:], c.C)
	}
}

// run computes all n columns.
func (s sparse) run(y, b []float32, n int) {
	s.y, s.b = y, b
	s.panels = panels(n)
	s.cols = n - (s.panels-1)*panel
	current.sparse(s)
}
