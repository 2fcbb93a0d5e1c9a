package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Normalize is (x-mean)/std by channel, for x [N,..,C] and C means and deviations: the input
// normalisation of a model, with fixed numbers.
func Normalize(x *gorgonia.Node, mean, std []float32) (*gorgonia.Node, error) {
	if len(mean) != len(std) {
		return nil, fmt.Errorf("normalize: %d means but %d standard deviations", len(mean), len(std))
	}
	for i := range mean {
		m, s := float64(mean[i]), float64(std[i])
		if math.IsNaN(m) || math.IsInf(m, 0) || math.IsInf(s, 0) || !(s > 0) {
			return nil, fmt.Errorf("normalize: channel %d has mean %v and standard deviation %v, want finite numbers and a positive deviation", i, m, s)
		}
	}
	return apply(normalize{device.Normalize{Mean: device.EncodeFloats(mean), Std: device.EncodeFloats(std)}}, x)
}

type normalize struct{ device.Normalize }

func (n normalize) kernel() device.Op { return n.Normalize }
func (n normalize) wrt() []bool       { return []bool{true} }

func (n normalize) infer(in []tensor.Shape) (tensor.Shape, error) {
	return channelsLast("normalize", in[0], len(device.DecodeFloats(n.Std)))
}

func channelsLast(op string, x tensor.Shape, channels int) (tensor.Shape, error) {
	if len(x) < 2 || x[len(x)-1] != channels {
		return nil, fmt.Errorf("%s: input has shape %v, want (N, ..., %d), one channel for each of %d means and deviations", op, x, channels, channels)
	}
	return x.Clone(), nil
}

func (n normalize) do(y []float32, in [][]float32) {
	mean, std := device.DecodeFloats(n.Mean), device.DecodeFloats(n.Std)
	for i, v := range in[0] {
		c := i % len(mean)
		y[i] = float32((float64(v) - float64(mean[c])) / float64(std[c]))
	}
}

func (n normalize) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(normalizeGrad{device.NormalizeGrad{Std: n.Std}}, dy))
	return g.nodes, g.err
}

// normalizeGrad takes dy to dx.
type normalizeGrad struct{ device.NormalizeGrad }

func (n normalizeGrad) kernel() device.Op { return n.NormalizeGrad }

func (n normalizeGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return channelsLast("normalize's gradient", in[0], len(device.DecodeFloats(n.Std)))
}

func (n normalizeGrad) do(dx []float32, in [][]float32) {
	std := device.DecodeFloats(n.Std)
	for i, v := range in[0] {
		dx[i] = float32(float64(v) / float64(std[i%len(std)]))
	}
}
