package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Dense is x [N,In] times w [In,Out], plus the bias b [Out]: [N,Out].
func Dense(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	s := w.Shape()
	if len(s) != 2 {
		return nil, fmt.Errorf("dense: weight has shape %v, want (In, Out) for an input of shape %v", s, x.Shape())
	}
	return apply(dense{device.Dense{In: s[0], Out: s[1]}}, x, w, b)
}

type dense struct{ device.Dense }

func (d dense) kernel() device.Op { return d.Dense }
func (d dense) wrt() []bool       { return []bool{true, true, true} }

func (d dense) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, w, b := in[0], in[1], in[2]
	if len(x) != 2 || x[1] != d.In {
		return nil, fmt.Errorf("dense: input has shape %v, want (N, %d) to fit a weight of shape %v; flatten images first", x, d.In, w)
	}
	if err := match("dense", "weight", w, "an input", x, d.In, d.Out); err != nil {
		return nil, err
	}
	if err := match("dense", "bias", b, "a weight", w, d.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{x[0], d.Out}, nil
}

func (d dense) do(y []float32, in [][]float32) {
	x, w, b := in[0], in[1], in[2]
	for i := range y {
		row, out := i/d.Out, i%d.Out
		sum := float64(b[out])
		for k := range d.In {
			sum += float64(x[row*d.In+k]) * float64(w[k*d.Out+out])
		}
		y[i] = float32(sum)
	}
}

func (d dense) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(denseInputGrad{device.DenseInputGrad{In: d.In, Out: d.Out}}, in[1], dy))
	g.add(apply(denseWeightGrad{device.DenseWeightGrad{In: d.In, Out: d.Out}}, in[0], dy))
	g.add(apply(biasGrad{device.BiasGrad{Channels: d.Out}}, dy))
	return g.nodes, g.err
}

// denseInputGrad takes w and dy to dx.
type denseInputGrad struct{ device.DenseInputGrad }

func (d denseInputGrad) kernel() device.Op { return d.DenseInputGrad }

func (d denseInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	w, dy := in[0], in[1]
	if err := example("dense layer's input gradient", "gradient", dy, d.Out); err != nil {
		return nil, err
	}
	if err := match("dense layer's input gradient", "weight", w, "a gradient", dy, d.In, d.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{dy[0], d.In}, nil
}

func (d denseInputGrad) do(dx []float32, in [][]float32) {
	w, dy := in[0], in[1]
	for i := range dx {
		row, k := i/d.In, i%d.In
		sum := 0.0
		for out := range d.Out {
			sum += float64(dy[row*d.Out+out]) * float64(w[k*d.Out+out])
		}
		dx[i] = float32(sum)
	}
}

// denseWeightGrad takes x and dy to dw, summed over rows.
type denseWeightGrad struct{ device.DenseWeightGrad }

func (d denseWeightGrad) kernel() device.Op { return d.DenseWeightGrad }

func (d denseWeightGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := example("dense layer's weight gradient", "input", x, d.In); err != nil {
		return nil, err
	}
	if err := match("dense layer's weight gradient", "gradient", dy, "an input", x, x[0], d.Out); err != nil {
		return nil, err
	}
	return tensor.Shape{d.In, d.Out}, nil
}

func (d denseWeightGrad) do(dw []float32, in [][]float32) {
	x, dy := in[0], in[1]
	for i := range dw {
		k, out := i/d.Out, i%d.Out
		sum := 0.0
		for row := range len(x) / d.In {
			sum += float64(x[row*d.In+k]) * float64(dy[row*d.Out+out])
		}
		dw[i] = float32(sum)
	}
}
