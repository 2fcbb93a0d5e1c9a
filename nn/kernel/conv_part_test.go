package kernel

import (
	"fmt"
	"testing"

	"rampart/nn/device"
)

// TestForwardParts: regions of the outputs, of several images together, have the bits of Forward, in the
// dense, the sparse and Winograd's form, and nothing else is written.
func TestForwardParts(t *testing.T) {
	list := []Conv{
		{window(28, 28, 1, 3, 1, 1), 32},
		{window(14, 14, 32, 5, 1, 2), 64}, // sparse, where few inputs are not zero
		{window(13, 11, 16, 4, 2, 1), 24},
		{window(14, 15, 32, 3, 1, 1), 64}, // Winograd
		{window(18, 16, 64, 3, 1, 0), 16},
	}
	eachImplementation(t, func(t *testing.T) {
		for n, c := range list {
			for _, share := range []float64{1, 0.2} {
				name := fmt.Sprintf("%dx%dx%d to %d, %v not zero", c.H, c.W, c.C, c.Out, share)
				const images = 11
				k, r := newConvCase(c, images, uint64(n)), newRand(uint64(n))
				for i := range k.x {
					if r.Float64() > share {
						k.x[i] = 0
					}
				}
				k.pack(t)
				whole, scratch := newGuarded(len(k.dy)), newGuarded(c.Scratch())
				c.Forward(whole.x, k.x, k.packed, k.bias, images, true, scratch.x)
				var parts []ConvPart
				var regions []device.Region
				var results []guarded
				for i := range images {
					top, left := r.IntN(c.OutH()), r.IntN(c.OutW())
					out := device.Region{Top: top, Left: left, Bottom: min(top+1+r.IntN(6), c.OutH()), Right: min(left+1+r.IntN(6), c.OutW())}
					out = out.Aligned(c.Grid(), c.OutH(), c.OutW())
					in, part := c.Part(out)
					y := newGuarded(out.Height() * out.Width() * c.Out)
					x := newGuarded(in.Height() * in.Width() * c.C)
					for h := range in.Height() {
						copy(x.x[h*in.Width()*c.C:][:in.Width()*c.C], k.image(i)[((in.Top+h)*c.W+in.Left)*c.C:])
					}
					parts, regions, results = append(parts, ConvPart{part, y.x, x.x}), append(regions, out), append(results, y)
				}
				c.ForwardParts(parts, k.packed, k.bias, true, scratch.x)
				scratch.check(t, name)
				for i, out := range regions {
					results[i].check(t, name)
					line := out.Width() * c.Out
					for h := range out.Height() {
						from := ((i*c.OutH()+out.Top+h)*c.OutW() + out.Left) * c.Out
						sameBits(t, fmt.Sprintf("%s, image %d, %v, line %d", name, i, out, h), results[i].x[h*line:][:line], whole.x[from:][:line])
					}
				}
			}
		}
	})
}
