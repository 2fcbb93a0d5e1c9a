package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// AvgPool takes the mean of each window by channel: x [N,H,W,C] to [N,OutH,OutW,C]. Padding
// counts as zeros in the mean, as in PyTorch's default.
func AvgPool(x *gorgonia.Node, win device.Window) (*gorgonia.Node, error) {
	return apply(avgPool{device.AvgPool{Window: win}}, x)
}

type avgPool struct{ device.AvgPool }

func (p avgPool) kernel() device.Op { return p.AvgPool }
func (p avgPool) wrt() []bool       { return []bool{true} }

func (p avgPool) infer(in []tensor.Shape) (tensor.Shape, error) {
	x := in[0]
	if err := checkPool("average pooling", x, p.Window); err != nil {
		return nil, err
	}
	return tensor.Shape{x[0], p.OutH(), p.OutW(), p.C}, nil
}

func (p avgPool) do(y []float32, in [][]float32) {
	inSize, outSize := inputSize(p.Window), outputSize(p.Window, p.C)
	for row := range len(y) / outSize {
		x := in[0][row*inSize:]
		sums := make([]float64, outSize)
		taps(p.Window, func(_, in, out int) {
			for c := range p.C {
				sums[out*p.C+c] += float64(x[in*p.C+c]) / float64(p.KH*p.KW)
			}
		})
		round(y[row*outSize:], sums)
	}
}

func (p avgPool) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(avgPoolGrad{device.AvgPoolGrad{Window: p.Window}}, dy))
	return g.nodes, g.err
}

// avgPoolGrad takes dy to dx.
type avgPoolGrad struct{ device.AvgPoolGrad }

func (p avgPoolGrad) kernel() device.Op { return p.AvgPoolGrad }

func (p avgPoolGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	dy := in[0]
	if err := example("average pooling's gradient", "gradient", dy, p.OutH(), p.OutW(), p.C); err != nil {
		return nil, err
	}
	return tensor.Shape{dy[0], p.H, p.W, p.C}, nil
}

func (p avgPoolGrad) do(dx []float32, in [][]float32) {
	inSize, outSize := inputSize(p.Window), outputSize(p.Window, p.C)
	for row := range len(dx) / inSize {
		dy := in[0][row*outSize:]
		sums := make([]float64, inSize)
		taps(p.Window, func(_, in, out int) {
			for c := range p.C {
				sums[in*p.C+c] += float64(dy[out*p.C+c]) / float64(p.KH*p.KW)
			}
		})
		round(dx[row*inSize:], sums)
	}
}
