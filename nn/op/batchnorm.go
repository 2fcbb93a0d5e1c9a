package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// BatchNorm normalises x [N,..,C] by channel with running statistics, as a network does once it
// is trained (Ioffe and Szegedy 2015): gamma*(x-mean)/sqrt(variance+eps) + beta, where each of
// the other inputs is [C]. There is no gradient with respect to mean and variance.
func BatchNorm(x, gamma, beta, mean, variance *gorgonia.Node, eps float32) (*gorgonia.Node, error) {
	positions, channels, err := channelsOf(x.Shape(), eps)
	if err != nil {
		return nil, err
	}
	k := device.BatchNorm{Positions: positions, Channels: channels, Epsilon: eps}
	return apply(batchNorm{k}, x, gamma, beta, mean, variance)
}

const batchNormName = "batch normalisation"

// channelsOf counts positions and channels of one example.
func channelsOf(x tensor.Shape, eps float32) (positions, channels int, err error) {
	if len(x) < 2 || x.TotalSize() == 0 {
		return 0, 0, fmt.Errorf("%s: input has shape %v, want (N, ..., C)", batchNormName, x)
	}
	if !(eps > 0) || math.IsInf(float64(eps), 0) {
		return 0, 0, fmt.Errorf("%s: epsilon is %v, want a positive number (input of shape %v)", batchNormName, eps, x)
	}
	channels = x[len(x)-1]
	return size(x) / channels, channels, nil
}

// checkChannels checks that x is a batch of positions x channels values, and the shapes of the
// inputs that have one value a channel.
func checkChannels(x tensor.Shape, positions, channels int, names []string, vectors ...tensor.Shape) error {
	if len(x) < 2 || x[len(x)-1] != channels || size(x) != positions*channels {
		return fmt.Errorf("%s: input has shape %v, want %d positions of %d channels", batchNormName, x, positions, channels)
	}
	for i, v := range vectors {
		if err := match(batchNormName, names[i], v, "an input", x, channels); err != nil {
			return err
		}
	}
	return nil
}

var batchNormInputs = []string{"gamma", "beta", "mean", "variance"}

// inverseStd is 1/sqrt(variance+eps).
func inverseStd(variance float64, eps float32) float64 {
	return 1 / math.Sqrt(variance+float64(eps))
}

type batchNorm struct{ device.BatchNorm }

func (b batchNorm) kernel() device.Op { return b.BatchNorm }
func (b batchNorm) wrt() []bool       { return []bool{true, true, true, false, false} }

func (b batchNorm) infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkChannels(in[0], b.Positions, b.Channels, batchNormInputs, in[1:]...); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

func (b batchNorm) do(y []float32, in [][]float32) {
	x, gamma, beta, mean, variance := in[0], in[1], in[2], in[3], in[4]
	for i, v := range x {
		c := i % b.Channels
		normal := (float64(v) - float64(mean[c])) * inverseStd(float64(variance[c]), b.Epsilon)
		y[i] = float32(float64(gamma[c])*normal + float64(beta[c]))
	}
}

func (b batchNorm) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	x, gamma, mean, variance := in[0], in[1], in[3], in[4]
	var g gradients
	g.add(apply(batchNormInputGrad{device.BatchNormInputGrad(b.BatchNorm)}, gamma, variance, dy))
	g.add(apply(batchNormGammaGrad{device.BatchNormGammaGrad(b.BatchNorm)}, x, mean, variance, dy))
	g.add(apply(biasGrad{device.BiasGrad{Channels: b.Channels}}, dy))
	g.add(nil, nil)
	g.add(nil, nil)
	return g.nodes, g.err
}

// batchNormInputGrad takes gamma, variance and dy to dx.
type batchNormInputGrad struct{ device.BatchNormInputGrad }

func (b batchNormInputGrad) kernel() device.Op { return b.BatchNormInputGrad }

func (b batchNormInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	gamma, variance, dy := in[0], in[1], in[2]
	names := []string{"gamma", "variance"}
	if err := checkChannels(dy, b.Positions, b.Channels, names, gamma, variance); err != nil {
		return nil, err
	}
	return dy.Clone(), nil
}

func (b batchNormInputGrad) do(dx []float32, in [][]float32) {
	gamma, variance, dy := in[0], in[1], in[2]
	for i, v := range dy {
		c := i % b.Channels
		dx[i] = float32(float64(v) * float64(gamma[c]) * inverseStd(float64(variance[c]), b.Epsilon))
	}
}

// batchNormGammaGrad takes x, mean, variance and dy to dgamma.
type batchNormGammaGrad struct{ device.BatchNormGammaGrad }

func (b batchNormGammaGrad) kernel() device.Op { return b.BatchNormGammaGrad }

func (b batchNormGammaGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, mean, variance, dy := in[0], in[1], in[2], in[3]
	names := []string{"mean", "variance"}
	if err := checkChannels(x, b.Positions, b.Channels, names, mean, variance); err != nil {
		return nil, err
	}
	if err := match(batchNormName, "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return tensor.Shape{b.Channels}, nil
}

func (b batchNormGammaGrad) do(dgamma []float32, in [][]float32) {
	x, mean, variance, dy := in[0], in[1], in[2], in[3]
	sums := make([]float64, b.Channels)
	for i, v := range x {
		c := i % b.Channels
		sums[c] += float64(dy[i]) * (float64(v) - float64(mean[c])) * inverseStd(float64(variance[c]), b.Epsilon)
	}
	round(dgamma, sums)
}
