package kernel

import "rampart/nn/device"

// Grid is the step of the lines and columns at which a region of outputs must begin, and end unless
// the image does, for ForwardPart: 1, or the side of Winograd's patches.
func (c Conv) Grid() int {
	if c.hasWinograd() {
		return patchStep
	}
	return 1
}

// ForwardPart is Forward for a region of the outputs of one image, with the same bits: y
// [part.OutH,part.OutW,Out] from the inputs x [part.H,part.W,C] that the region sees, part being
// c.Window.Part of the region.
func (c Conv) ForwardPart(part device.Window, y, x, packed, bias []float32, relu bool, scratch []float32) {
	p := Conv{Window: part, Out: c.Out}
	y, x, packed = y[:p.OutH()*p.OutW()*p.Out], x[:p.H*p.W*p.C], packed[:c.PackedForward()]
	if c.hasWinograd() {
		p.winogradForward().run(y, x, packed, bias, 1, relu, scratch)
		return
	}
	p.forward(y, x, packed, bias, relu, scratch)
}
