package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// BatchNormTrain normalises x [N,..,C] by channel with the mean and the (biased) variance of
// the batch (Ioffe and Szegedy 2015, algorithm 1): gamma*(x-mean(x))/sqrt(var(x)+eps) + beta.
// The other inputs are [C].
//
// Its side effect: each run moves the running mean and variance towards the batch's, in place:
// running = (1-momentum)*running + momentum*batch, with the unbiased variance, as in PyTorch. Do
// does so to the tensors bound to those two inputs.
func BatchNormTrain(x, gamma, beta, mean, variance *gorgonia.Node, eps, momentum float32) (*gorgonia.Node, error) {
	positions, channels, err := channelsOf(x.Shape(), eps)
	if err != nil {
		return nil, err
	}
	if !(momentum >= 0 && momentum <= 1) {
		return nil, fmt.Errorf("%s: momentum is %v, want 0 to 1 (input of shape %v)", batchNormName, momentum, x.Shape())
	}
	k := device.BatchNormTrain{Positions: positions, Channels: channels, Epsilon: eps, Momentum: momentum}
	return apply(batchNormTrain{k}, x, gamma, beta, mean, variance)
}

// statistics gives mean and biased variance of each channel of x.
func statistics(x []float32, channels int) (mean, variance []float64) {
	mean, variance = make([]float64, channels), make([]float64, channels)
	count := float64(len(x) / channels)
	for i, v := range x {
		mean[i%channels] += float64(v) / count
	}
	for i, v := range x {
		d := float64(v) - mean[i%channels]
		variance[i%channels] += d * d / count
	}
	return mean, variance
}

type batchNormTrain struct{ device.BatchNormTrain }

func (b batchNormTrain) kernel() device.Op { return b.BatchNormTrain }
func (b batchNormTrain) wrt() []bool       { return []bool{true, true, true, false, false} }

func (b batchNormTrain) infer(in []tensor.Shape) (tensor.Shape, error) {
	x := in[0]
	if err := checkChannels(x, b.Positions, b.Channels, batchNormInputs, in[1:]...); err != nil {
		return nil, err
	}
	if x[0]*b.Positions < 2 {
		return nil, fmt.Errorf("%s: input has shape %v, but a variance needs at least 2 values a channel; use larger batches", batchNormName, x)
	}
	return x.Clone(), nil
}

func (b batchNormTrain) do(y []float32, in [][]float32) {
	x, gamma, beta, runningMean, runningVariance := in[0], in[1], in[2], in[3], in[4]
	mean, variance := statistics(x, b.Channels)
	for i, v := range x {
		c := i % b.Channels
		normal := (float64(v) - mean[c]) * inverseStd(variance[c], b.Epsilon)
		y[i] = float32(float64(gamma[c])*normal + float64(beta[c]))
	}
	count, m := float64(len(x)/b.Channels), float64(b.Momentum)
	for c := range b.Channels {
		unbiased := variance[c] * count / max(count-1, 1) // of a single value, as a branch may have, it is 0
		runningMean[c] = float32((1-m)*float64(runningMean[c]) + m*mean[c])
		runningVariance[c] = float32((1-m)*float64(runningVariance[c]) + m*unbiased)
	}
}

func (b batchNormTrain) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	x, gamma := in[0], in[1]
	inputGrad := device.BatchNormTrainInputGrad{Positions: b.Positions, Channels: b.Channels, Epsilon: b.Epsilon}
	var g gradients
	g.add(apply(batchNormTrainInputGrad{inputGrad}, x, gamma, dy))
	g.add(apply(batchNormTrainGammaGrad{device.BatchNormTrainGammaGrad(inputGrad)}, x, dy))
	g.add(apply(biasGrad{device.BiasGrad{Channels: b.Channels}}, dy))
	g.add(nil, nil)
	g.add(nil, nil)
	return g.nodes, g.err
}

// batchNormTrainInputGrad takes x, gamma and dy to dx. Its kernel wants the statistics that
// BatchNormTrain's kernel has written as one more input.
type batchNormTrainInputGrad struct{ device.BatchNormTrainInputGrad }

func (b batchNormTrainInputGrad) kernel() device.Op { return b.BatchNormTrainInputGrad }

func (b batchNormTrainInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, gamma, dy := in[0], in[1], in[2]
	if err := checkChannels(x, b.Positions, b.Channels, []string{"gamma"}, gamma); err != nil {
		return nil, err
	}
	if err := match(batchNormName, "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return x.Clone(), nil
}

// do is the gradient of Ioffe and Szegedy 2015, section 3, simplified: with n = (x-mean)/std,
// dx = gamma/std * (dy - mean(dy) - n*mean(dy*n)).
func (b batchNormTrainInputGrad) do(dx []float32, in [][]float32) {
	x, gamma, dy := in[0], in[1], in[2]
	mean, variance := statistics(x, b.Channels)
	sum, dot := sumsOfGrad(x, dy, mean, variance, b.Epsilon)
	count := float64(len(x) / b.Channels)
	for i := range dx {
		c := i % b.Channels
		inverse := inverseStd(variance[c], b.Epsilon)
		normal := (float64(x[i]) - mean[c]) * inverse
		dx[i] = float32(float64(gamma[c]) * inverse * (float64(dy[i]) - sum[c]/count - normal*dot[c]/count))
	}
}

// sumsOfGrad sums dy, and dy times the normalised x, by channel.
func sumsOfGrad(x, dy []float32, mean, variance []float64, eps float32) (sum, dot []float64) {
	channels := len(mean)
	sum, dot = make([]float64, channels), make([]float64, channels)
	for i, v := range dy {
		c := i % channels
		sum[c] += float64(v)
		dot[c] += float64(v) * (float64(x[i]) - mean[c]) * inverseStd(variance[c], eps)
	}
	return sum, dot
}

// batchNormTrainGammaGrad takes x and dy to dgamma. Its kernel, too, wants the statistics.
type batchNormTrainGammaGrad struct{ device.BatchNormTrainGammaGrad }

func (b batchNormTrainGammaGrad) kernel() device.Op { return b.BatchNormTrainGammaGrad }

func (b batchNormTrainGammaGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := checkChannels(x, b.Positions, b.Channels, nil); err != nil {
		return nil, err
	}
	if err := match(batchNormName, "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return tensor.Shape{b.Channels}, nil
}

func (b batchNormTrainGammaGrad) do(dgamma []float32, in [][]float32) {
	mean, variance := statistics(in[0], b.Channels)
	_, dot := sumsOfGrad(in[0], in[1], mean, variance, b.Epsilon)
	round(dgamma, dot)
}
