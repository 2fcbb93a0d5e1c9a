package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// GroupConv is a convolution whose channels fall into groups, of x [N,H,W,C] with w
// [KH,KW,C/groups,Out], plus the bias b [Out], nil for none: [N,OutH,OutW,Out]. The g-th part of the
// output channels sees the g-th part of the input channels; with as many groups as channels it is
// depthwise.
func GroupConv(x, w, b *gorgonia.Node, win device.Window, groups int) (*gorgonia.Node, error) {
	s := w.Shape()
	if len(s) != 4 || groups < 1 || win.C%groups != 0 || s[3]%groups != 0 {
		return nil, fmt.Errorf("grouped convolution: weight has shape %v, and %d channels are to fall into %d groups: both channels must be multiples of the groups",
			s, win.C, groups)
	}
	c := groupConv{device.GroupConv{Window: win, Out: s[3], Groups: groups}}
	if b == nil {
		return apply(plainGroupConv{c}, x, w)
	}
	return apply(c, x, w, b)
}

// paths calls f for each pair of channels that belong together: ic counts the inputs of oc's group,
// in those of the image.
func paths(channels, out, groups int, f func(ic, in, oc int)) {
	inGroup, outGroup := channels/groups, out/groups
	for oc := range out {
		for ic := range inGroup {
			f(ic, oc/outGroup*inGroup+ic, oc)
		}
	}
}

type groupConv struct{ device.GroupConv }

func (c groupConv) kernel() device.Op { return c.GroupConv }
func (c groupConv) wrt() []bool       { return []bool{true, true, true} }

func (c groupConv) infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := match("grouped convolution", "bias", in[2], "a weight", in[1], c.Out); err != nil {
		return nil, err
	}
	return plainGroupConv{c}.infer(in[:2])
}

func (c groupConv) do(y []float32, in [][]float32) {
	plainGroupConv{c}.do(y, in)
	for i := range y {
		y[i] += in[2][i%c.Out]
	}
}

func (c groupConv) grad(in []*gorgonia.Node, y, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	nodes, err := plainGroupConv{c}.grad(in, y, dy)
	if err != nil {
		return nil, err
	}
	g := gradients{nodes: nodes}
	g.add(apply(biasGrad{device.BiasGrad{Channels: c.Out}}, dy))
	return g.nodes, g.err
}

// plainGroupConv has no bias.
type plainGroupConv struct{ groupConv }

func (c plainGroupConv) wrt() []bool { return []bool{true, true} }

func (c plainGroupConv) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, w := in[0], in[1]
	if err := checkWindow("grouped convolution", x, c.Window); err != nil {
		return nil, err
	}
	if err := match("grouped convolution", "weight", w, "an input", x, c.KH, c.KW, c.C/max(c.Groups, 1), c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{x[0], c.OutH(), c.OutW(), c.Out}, nil
}

func (c plainGroupConv) do(y []float32, in [][]float32) {
	x, w := in[0], in[1]
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	for row := range len(y) / outSize {
		x := x[row*inSize:]
		sums := make([]float64, outSize)
		taps(c.Window, func(tap, in, out int) {
			paths(c.C, c.Out, c.Groups, func(ic, from, oc int) {
				sums[out*c.Out+oc] += float64(x[in*c.C+from]) * float64(w[(tap*c.C/c.Groups+ic)*c.Out+oc])
			})
		})
		round(y[row*outSize:], sums)
	}
}

func (c plainGroupConv) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(groupConvInputGrad{device.GroupConvInputGrad(c.GroupConv)}, in[1], dy))
	g.add(apply(groupConvWeightGrad{device.GroupConvWeightGrad(c.GroupConv)}, in[0], dy))
	return g.nodes, g.err
}

// groupConvInputGrad takes w and dy to dx.
type groupConvInputGrad struct{ device.GroupConvInputGrad }

func (c groupConvInputGrad) kernel() device.Op { return c.GroupConvInputGrad }

func (c groupConvInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	w, dy := in[0], in[1]
	if err := example("grouped convolution's input gradient", "gradient", dy, c.OutH(), c.OutW(), c.Out); err != nil {
		return nil, err
	}
	if err := match("grouped convolution's input gradient", "weight", w, "a gradient", dy, c.KH, c.KW, c.C/max(c.Groups, 1), c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{dy[0], c.H, c.W, c.C}, nil
}

func (c groupConvInputGrad) do(dx []float32, in [][]float32) {
	w, dy := in[0], in[1]
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	for row := range len(dx) / inSize {
		dy := dy[row*outSize:]
		sums := make([]float64, inSize)
		taps(c.Window, func(tap, in, out int) {
			paths(c.C, c.Out, c.Groups, func(ic, from, oc int) {
				sums[in*c.C+from] += float64(dy[out*c.Out+oc]) * float64(w[(tap*c.C/c.Groups+ic)*c.Out+oc])
			})
		})
		round(dx[row*inSize:], sums)
	}
}

// groupConvWeightGrad takes x and dy to dw, summed over rows.
type groupConvWeightGrad struct{ device.GroupConvWeightGrad }

func (c groupConvWeightGrad) kernel() device.Op { return c.GroupConvWeightGrad }

func (c groupConvWeightGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := checkWindow("grouped convolution's weight gradient", x, c.Window); err != nil {
		return nil, err
	}
	if err := match("grouped convolution's weight gradient", "gradient", dy, "an input", x, x[0], c.OutH(), c.OutW(), c.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{c.KH, c.KW, c.C / max(c.Groups, 1), c.Out}, nil
}

func (c groupConvWeightGrad) do(dw []float32, in [][]float32) {
	x, dy := in[0], in[1]
	inSize, outSize := inputSize(c.Window), outputSize(c.Window, c.Out)
	sums := make([]float64, len(dw))
	for row := range len(x) / inSize {
		x, dy := x[row*inSize:], dy[row*outSize:]
		taps(c.Window, func(tap, in, out int) {
			paths(c.C, c.Out, c.Groups, func(ic, from, oc int) {
				sums[(tap*c.C/c.Groups+ic)*c.Out+oc] += float64(x[in*c.C+from]) * float64(dy[out*c.Out+oc])
			})
		})
	}
	round(dw, sums)
}
