package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// MaxPool takes the greatest value of each window by channel: x [N,H,W,C] to [N,OutH,OutW,C].
// Padding never wins. The gradient goes to the first of equals in the order (ky, kx).
func MaxPool(x *gorgonia.Node, win device.Window) (*gorgonia.Node, error) {
	return apply(maxPool{device.MaxPool{Window: win}}, x)
}

type maxPool struct{ device.MaxPool }

func (p maxPool) kernel() device.Op { return p.MaxPool }
func (p maxPool) wrt() []bool       { return []bool{true} }

func (p maxPool) infer(in []tensor.Shape) (tensor.Shape, error) {
	x := in[0]
	if err := checkPool("max pooling", x, p.Window); err != nil {
		return nil, err
	}
	if p.KH*p.KW > math.MaxUint8+1 {
		return nil, fmt.Errorf("max pooling: kernel %dx%d has more than %d elements", p.KH, p.KW, math.MaxUint8+1)
	}
	return tensor.Shape{x[0], p.OutH(), p.OutW(), p.C}, nil
}

func (p maxPool) do(y []float32, in [][]float32) {
	for i, at := range winners(p.Window, in[0]) {
		y[i] = in[0][at]
	}
}

func (p maxPool) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(maxPoolGrad{device.MaxPoolGrad{Window: p.Window}}, in[0], dy))
	return g.nodes, g.err
}

// winners gives, for each pooled value of all rows, the position in x from which it comes.
func winners(w device.Window, x []float32) []int {
	inSize, outSize := inputSize(w), outputSize(w, w.C)
	rows := len(x) / inSize
	won := make([]int, rows*outSize)
	for i := range won {
		won[i] = -1
	}
	for row := range rows {
		taps(w, func(_, in, out int) {
			for c := range w.C {
				at, best := row*inSize+in*w.C+c, &won[row*outSize+out*w.C+c]
				if *best < 0 || x[at] > x[*best] {
					*best = at
				}
			}
		})
	}
	return won
}

// maxPoolGrad takes x and dy to dx. Its kernel wants in place of x the index that MaxPool's
// kernel has written for the same x and window.
type maxPoolGrad struct{ device.MaxPoolGrad }

func (p maxPoolGrad) kernel() device.Op { return p.MaxPoolGrad }

func (p maxPoolGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := checkPool("max pooling's gradient", x, p.Window); err != nil {
		return nil, err
	}
	if err := match("max pooling's gradient", "gradient", dy, "an input", x, x[0], p.OutH(), p.OutW(), p.C); err != nil {
		return nil, err
	}
	return x.Clone(), nil
}

func (p maxPoolGrad) do(dx []float32, in [][]float32) {
	sums := make([]float64, len(dx))
	for i, at := range winners(p.Window, in[0]) {
		sums[at] += float64(in[1][i])
	}
	round(dx, sums)
}
