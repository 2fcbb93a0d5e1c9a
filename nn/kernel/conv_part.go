package kernel

import "rampart/nn/device"

// ConvPart is a region of the outputs of one image: Y [OutH,OutW,Out] from the inputs X [H,W,C] that it
// sees; Window is what device.Window.Part makes of the region.
type ConvPart struct {
	device.Window
	Y, X []float32
}

// Grid is the step of the lines and columns at which a region of outputs must begin, and end unless
// the image does, for ForwardParts: 1, or the side of Winograd's patches.
func (c Conv) Grid() int {
	if c.hasWinograd() {
		return patchStep
	}
	return 1
}

// ForwardParts is Forward for regions of the outputs, with the same bits. Those of several images
// together are faster in Winograd's form.
func (c Conv) ForwardParts(parts []ConvPart, packed, bias []float32, relu bool, scratch []float32) {
	packed = packed[:c.PackedForward()]
	if c.hasWinograd() {
		c.winogradForward().runParts(parts, packed, bias, relu, scratch)
		return
	}
	for _, p := range parts {
		part := Conv{Window: p.Window, Out: c.Out}
		part.forward(p.Y[:p.OutH()*p.OutW()*c.Out], p.X[:p.H*p.W*c.C], packed, bias, relu, scratch)
	}
}

// runParts is run for patches of several pictures.
func (w winograd) runParts(parts []ConvPart, packed, bias []float32, relu bool, scratch []float32) {
	var held [mostBlock]struct{ part, patch int }
	n, count := w.block(), 0
	b := w.newBlock(n, bias, relu, scratch)
	of := func(p ConvPart) winograd { return Conv{Window: p.Window, Out: w.out}.winogradForward() }
	finish := func() {
		b.multiply(packed, count)
		for i, h := range held[:count] {
			b.winograd = of(parts[h.part])
			b.write(i, parts[h.part].Y, h.patch)
		}
		count = 0
	}
	for i, p := range parts {
		part := of(p)
		for patch := range part.patches() {
			held[count].part, held[count].patch = i, patch
			b.winograd = part
			b.read(count, p.X, patch)
			if count++; count == n {
				finish()
			}
		}
	}
	if count > 0 {
		finish()
	}
}
