package kernel

// The input gradient of a convolution is a convolution of dy with the flipped weights. With a
// stride s, the input positions fall into s*s phases, by (position + padding) mod s: each meets
// only every s-th tap of the filter, and is a convolution of stride one by itself.

// axis is one of the two directions of a convolution.
type axis struct{ size, kernel, stride, pad, out int }

func (c Conv) vertical() axis   { return axis{c.H, c.KH, c.Stride, c.PadTop, c.OutH()} }
func (c Conv) horizontal() axis { return axis{c.W, c.KW, c.Stride, c.PadLeft, c.OutW()} }

// phase is the part of an axis with (position + padding) mod stride = r.
type phase struct {
	first, count int // input positions: first, first+stride, …
	taps         int // filter taps r, r+stride, …
	start        int // the output position that the last tap meets at first
}

func (a axis) phase(r int) phase {
	var p phase
	p.first = (r - a.pad) % a.stride
	if p.first < 0 {
		p.first += a.stride
	}
	if p.first < a.size {
		p.count = (a.size - p.first + a.stride - 1) / a.stride
	}
	if r < a.kernel {
		p.taps = (a.kernel - r + a.stride - 1) / a.stride
	}
	p.start = (p.first+a.pad)/a.stride - (p.taps - 1)
	return p
}

// span returns how many zeros must precede the outputs, and how many positions there are with
// them, so that no phase reads beyond.
func (a axis) span() (before, total int) {
	end := 0
	for r := range a.stride {
		if p := a.phase(r); p.taps > 0 && p.count > 0 {
			before = max(before, -p.start)
			end = max(end, p.start+p.count+p.taps-1)
		}
	}
	return before, before + end
}

// gradientChannels is the number of channels of dy in scratch: dots need whole vectors.
func (c Conv) gradientChannels() int {
	if dotSlots(c.C) > 0 {
		return roundUp(c.Out, lanes)
	}
	return c.Out
}

// gradientSize is the number of values of dy with its padding.
func (c Conv) gradientSize() int {
	_, h := c.vertical().span()
	_, w := c.horizontal().span()
	return h * w * c.gradientChannels()
}

// gradientColumns is the number of columns of the packed weights.
func (c Conv) gradientColumns() int {
	if slots := dotSlots(c.C); slots > 0 {
		return slots
	}
	return panels(c.C) * panel
}

// PackedInputGrad is the number of values of the weights packed for InputGrad.
func (c Conv) PackedInputGrad() int {
	if c.hasWinograd() {
		return c.winogradInputGrad().packedSize()
	}
	return c.directInputGrad()
}

func (c Conv) directInputGrad() int {
	return c.KH*c.KW*c.gradientChannels()*c.gradientColumns() + noteSize
}

// PackInputGrad packs w [KH,KW,C,Out] for InputGrad.
func (c Conv) PackInputGrad(dst, w []float32) {
	if c.hasWinograd() {
		c.packWinogradInputGrad(dst[:c.PackedInputGrad()], w[:c.taps()*c.Out])
		return
	}
	c.packDirectInputGrad(dst, w)
}

func (c Conv) packDirectInputGrad(dst, w []float32) {
	w = w[:c.taps()*c.Out]
	dst = note(dst[:c.directInputGrad()], w)
	if c.gradientColumns() != c.C || c.gradientChannels() != c.Out {
		clear(dst)
	}
	depth := c.gradientChannels()
	slots := dotSlots(c.C)
	for ry := range c.Stride {
		v := c.vertical().phase(ry)
		for rx := range c.Stride {
			h := c.horizontal().phase(rx)
			k := v.taps * h.taps * depth
			for tap := range v.taps * h.taps {
				ky := ry + c.Stride*(v.taps-1-tap/h.taps)
				kx := rx + c.Stride*(h.taps-1-tap%h.taps)
				for ch := range c.C {
					from := w[((ky*c.KW+kx)*c.C+ch)*c.Out:][:c.Out]
					if slots > 0 {
						to := dst[tap*depth*slots:][:depth*slots]
						for o, value := range from {
							to[(o/lanes*slots+ch)*lanes+o%lanes] = value
						}
					} else {
						to := dst[(ch/panel*k+tap*depth)*panel+ch%panel:]
						for o, value := range from {
							to[o*panel] = value
						}
					}
				}
			}
			dst = dst[k*c.gradientColumns():]
		}
	}
}

// padGradient lays dy out in scratch with zeros around it, and returns it with the values of a line
// and the zeros above and to the left.
func (c Conv) padGradient(dy, scratch []float32) (a []float32, stride, top, left int) {
	top, height := c.vertical().span()
	left, width := c.horizontal().span()
	oh, ow, depth := c.OutH(), c.OutW(), c.gradientChannels()
	if top == 0 && left == 0 && height == oh && width == ow && depth == c.Out {
		return dy, width * depth, 0, 0
	}
	stride = width * depth
	a = scratch[:height*stride]
	cols := min(ow, width-left) // the rest lies beyond all that is read
	done := 0
	for r := range min(oh, height-top) {
		from, at := dy[r*ow*c.Out:], (top+r)*stride+left*depth
		if depth == c.Out {
			clear(a[done:at])
			done = at + copy(a[at:at+cols*depth], from)
			continue
		}
		clear(a[done : at+cols*depth])
		for i := range cols {
			copy(a[at+i*depth:][:c.Out], from[i*c.Out:])
		}
		done = at + cols*depth
	}
	clear(a[done:])
	return a, stride, top, left
}

// InputGrad computes dx [rows,H,W,C] from dy [rows,OutH,OutW,Out]. Where most of an image's dy is
// zero only the rest is multiplied, with the same result, unless the shape is one for Winograd's form.
func (c Conv) InputGrad(dx, dy, packed []float32, rows int, scratch []float32) {
	out, in := c.OutH()*c.OutW()*c.Out, c.H*c.W*c.C
	dx, dy, packed = dx[:rows*in], dy[:rows*out], packed[:c.PackedInputGrad()]
	if c.hasWinograd() {
		c.winogradInputGrad().run(dx, dy, packed, nil, rows, false, scratch)
		return
	}
	for r := range rows {
		c.inputGrad(dx[r*in:][:in], dy[r*out:][:out], packed, scratch)
	}
}

// inputGrad is InputGrad for one image in the direct form.
func (c Conv) inputGrad(dx, dy, packed, scratch []float32) {
	weights, finite := noted(packed)
	if finite && c.hasSparse() && dotSlots(c.C) == 0 {
		if l := c.gradientImage().listIfSparse(dy, scratch, c.KW); !l.empty() {
			c.sparseInputGrad(dx, l, weights)
			return
		}
	}
	c.denseInputGrad(dx, dy, weights, scratch)
}

func (c Conv) denseInputGrad(dx, dy, packed, scratch []float32) {
	if c.Stride > min(c.KH, c.KW) {
		clear(dx) // some phases meet no tap
	}
	a, stride, top, left := c.padGradient(dy, scratch)
	depth := c.gradientChannels()
	for ry := range c.Stride {
		v := c.vertical().phase(ry)
		for rx := range c.Stride {
			h := c.horizontal().phase(rx)
			b := packed[:v.taps*h.taps*depth*c.gradientColumns()]
			packed = packed[len(b):]
			if len(b) > 0 && v.count > 0 && h.count > 0 {
				at := (v.start+top)*stride + (h.start+left)*depth
				c.phaseGrad(dx[(v.first*c.W+h.first)*c.C:], a[at:], b, v, h, stride)
			}
		}
	}
}

// phaseGrad computes the input positions of one phase.
func (c Conv) phaseGrad(dx, a, b []float32, v, h phase, stride int) {
	depth := c.gradientChannels()
	xWrap := c.Stride * (c.W - h.count) * c.C
	if dotSlots(c.C) > 0 {
		current.dots(dots{
			a: a, w: b, y: dx,
			rows: v.count * h.count, width: h.count,
			aStep: depth, aWrap: stride - h.count*depth,
			yStep: c.Stride * c.C, yWrap: xWrap,
			outer: v.taps, inner: h.taps * depth / lanes, aOuter: stride,
			channels: c.C,
		})
		return
	}
	t := tile{
		rows: v.count * h.count, width: h.count, left: h.count,
		aStep: depth, aWrap: stride - h.count*depth,
		yStep: c.Stride * c.C, yWrap: xWrap,
		inner: h.taps * depth, aOuter: stride, aK: 1, bK: panel, bPanel: v.taps * h.taps * depth * panel,
	}
	lines := blockLines(v.taps, t.inner)
	k := v.taps * t.inner
	for p := 0; p < panels(c.C); p += current.wide {
		t.cols = min(current.wide*panel, c.C-p*panel)
		t.y = dx[p*panel:]
		for ky := 0; ky < v.taps; ky += lines {
			t.outer = min(lines, v.taps-ky)
			t.a, t.b = a[ky*stride:], b[(p*k+ky*t.inner)*panel:]
			t.ahead = t.following(t.b, k-ky*t.inner)
			t.accumulate = ky > 0
			current.tile(t)
		}
	}
}
