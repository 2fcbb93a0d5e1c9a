package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Dropout sets each value of x [N,..] to 0 with probability rate and divides the others by
// 1-rate (Srivastava et al. 2014, scaled in training). The layer, a number that no other dropout
// of the model has, and the noise of the run choose the mask: see DropoutMask. A node's op
// implements Noisy.
func Dropout(x *gorgonia.Node, rate float32, layer int) (*gorgonia.Node, error) {
	if !(rate >= 0 && rate < 1) {
		return nil, fmt.Errorf("dropout: rate is %v, want at least 0 and below 1 (input of shape %v)", rate, x.Shape())
	}
	if layer < 0 {
		return nil, fmt.Errorf("dropout: layer is %d, want 0 or more (input of shape %v)", layer, x.Shape())
	}
	r := dropout{device.Dropout{Size: size(x.Shape()), Layer: layer, Rate: rate}, new(uint64)}
	in := []*gorgonia.Node{x}
	o, err := newOperation(r, in)
	if err != nil {
		return nil, err
	}
	return gorgonia.ApplyOp(noisyOperation{o, r.noise}, in...)
}

// Noisy is an op whose Do depends on a number that is set between runs. Its gradient follows.
type Noisy interface {
	Op
	SetNoise(noise uint64)
}

type noisyOperation struct {
	operation
	noise *uint64
}

func (o noisyOperation) SetNoise(noise uint64) { *o.noise = noise }

// dropout shares its noise, no attribute of the node, with its gradient.
type dropout struct {
	device.Dropout
	noise *uint64
}

func (d dropout) kernel() device.Op { return d.Dropout }
func (d dropout) wrt() []bool       { return []bool{true} }

func (d dropout) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise("dropout", d.Size, in)
}

func (d dropout) do(y []float32, in [][]float32) {
	copy(y, in[0])
	mask := make([]float32, d.Size)
	for row := range len(y) / d.Size {
		device.DropoutMask(mask, d.Rate, *d.noise, d.Layer, row)
		for i, m := range mask {
			y[row*d.Size+i] *= m
		}
	}
}

func (d dropout) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(dropoutGrad{device.DropoutGrad(d.Dropout), d.noise}, dy))
	return g.nodes, g.err
}

// dropoutGrad takes dy to dx: the same mask once more.
type dropoutGrad struct {
	device.DropoutGrad
	noise *uint64
}

func (d dropoutGrad) kernel() device.Op { return d.DropoutGrad }

func (d dropoutGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return elementwise("dropout's gradient", d.Size, in)
}

func (d dropoutGrad) do(dx []float32, in [][]float32) {
	dropout{device.Dropout(d.DropoutGrad), d.noise}.do(dx, in)
}
