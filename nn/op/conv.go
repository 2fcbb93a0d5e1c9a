package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Conv is the cross-correlation of x [N,H,W,C] with w [KH,KW,C,Out], plus the bias b [Out], nil for
// none: [N,OutH,OutW,Out].
func Conv(x, w, b *gorgonia.Node, win device.Window) (*gorgonia.Node, error) {
	s := w.Shape()
	if len(s) != 4 {
		return nil, fmt.Errorf("convolution: weight has shape %v, want (%d, %d, %d, Out) to fit an input of shape %v",
			s, win.KH, win.KW, win.C, x.Shape())
	}
	c := conv{device.Conv{Window: win, Out: s[3]}}
	if b == nil {
		return apply(plainConv{c}, x, w)
	}
	return apply(c, x, w, b)
}

type conv struct{ device.Conv }

func (c conv) kernel() device.Op { return c.Conv }
func (c conv) wrt() []bool       { return []bool{true, true, true} }

func (c conv) infer(in []tensor.Shape) (tensor.Shape, error) {
	shape, err := plainConv{c}.infer(in[:2])
	if err != nil {
		return nil, err
	}
	return shape, match("convolution", "bias", in[2], "a weight", in[1], c.Out)
}

func (c conv) do(y []float32, in [][]float32) { c.correlate(y, in[0], in[1], in[2]) }

// correlate adds no bias where b is nil.
func (c conv) correlate(y, x, w, b []float32) {
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	for row := range len(y) / outSize {
		x := x[row*inSize:]
		sums := make([]float64, outSize)
		for i := range sums {
			if b != nil {
				sums[i] = float64(b[i%c.Out])
			}
		}
		taps(c.Window, func(tap, in, out int) {
			for ic := range c.C {
				for oc := range c.Out {
					sums[out*c.Out+oc] += float64(x[in*c.C+ic]) * float64(w[(tap*c.C+ic)*c.Out+oc])
				}
			}
		})
		round(y[row*outSize:], sums)
	}
}

func (c conv) grad(in []*gorgonia.Node, y, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	nodes, err := plainConv{c}.grad(in, y, dy)
	if err != nil {
		return nil, err
	}
	g := gradients{nodes: nodes}
	g.add(apply(biasGrad{device.BiasGrad{Channels: c.Out}}, dy))
	return g.nodes, g.err
}

// plainConv has no bias.
type plainConv struct{ conv }

func (c plainConv) wrt() []bool { return []bool{true, true} }

func (c plainConv) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, w := in[0], in[1]
	if err := checkWindow("convolution", x, c.Window); err != nil {
		return nil, err
	}
	if err := match("convolution", "weight", w, "an input", x, c.KH, c.KW, c.C, c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{x[0], c.OutH(), c.OutW(), c.Out}, nil
}

func (c plainConv) do(y []float32, in [][]float32) { c.correlate(y, in[0], in[1], nil) }

func (c plainConv) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(convInputGrad{device.ConvInputGrad{Window: c.Window, Out: c.Out}}, in[1], dy))
	g.add(apply(convWeightGrad{device.ConvWeightGrad{Window: c.Window, Out: c.Out}}, in[0], dy))
	return g.nodes, g.err
}

// convInputGrad takes w and dy to dx.
type convInputGrad struct{ device.ConvInputGrad }

func (c convInputGrad) kernel() device.Op { return c.ConvInputGrad }

func (c convInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	w, dy := in[0], in[1]
	if err := example("convolution's input gradient", "gradient", dy, c.OutH(), c.OutW(), c.Out); err != nil {
		return nil, err
	}
	if err := match("convolution's input gradient", "weight", w, "a gradient", dy, c.KH, c.KW, c.C, c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{dy[0], c.H, c.W, c.C}, nil
}

func (c convInputGrad) do(dx []float32, in [][]float32) {
	w, dy := in[0], in[1]
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	for row := range len(dx) / inSize {
		dy := dy[row*outSize:]
		sums := make([]float64, inSize)
		taps(c.Window, func(tap, in, out int) {
			for ic := range c.C {
				for oc := range c.Out {
					sums[in*c.C+ic] += float64(dy[out*c.Out+oc]) * float64(w[(tap*c.C+ic)*c.Out+oc])
				}
			}
		})
		round(dx[row*inSize:], sums)
	}
}

// convWeightGrad takes x and dy to dw, summed over rows.
type convWeightGrad struct{ device.ConvWeightGrad }

func (c convWeightGrad) kernel() device.Op { return c.ConvWeightGrad }

func (c convWeightGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := checkWindow("convolution's weight gradient", x, c.Window); err != nil {
		return nil, err
	}
	if err := match("convolution's weight gradient", "gradient", dy, "an input", x, x[0], c.OutH(), c.OutW(), c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{c.KH, c.KW, c.C, c.Out}, nil
}

func (c convWeightGrad) do(dw []float32, in [][]float32) {
	x, dy := in[0], in[1]
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	sums := make([]float64, len(dw))
	for row := range len(x) / inSize {
		x, dy := x[row*inSize:], dy[row*outSize:]
		taps(c.Window, func(tap, in, out int) {
			for ic := range c.C {
				for oc := range c.Out {
					sums[(tap*c.C+ic)*c.Out+oc] += float64(x[in*c.C+ic]) * float64(dy[out*c.Out+oc])
				}
			}
		})
	}
	round(dw, sums)
}
