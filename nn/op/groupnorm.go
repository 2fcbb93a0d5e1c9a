package op

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// GroupNorm normalises each example of x [N,..,C] by the mean and the (biased) variance of each of
// groups equal parts of its channels, over all positions (Wu and He 2018): gamma*(x-mean)/std + beta,
// gamma and beta [C].
func GroupNorm(x, gamma, beta *gorgonia.Node, groups int, eps float32) (*gorgonia.Node, error) {
	positions, channels, err := channelsOf(x.Shape(), eps)
	if err != nil {
		return nil, err
	}
	if groups < 1 || channels%groups != 0 {
		return nil, fmt.Errorf("group normalisation: %d channels do not fall into %d groups (input of shape %v)", channels, groups, x.Shape())
	}
	k := device.GroupNorm{Samples: 1, Positions: positions, Channels: channels, Groups: groups, Epsilon: eps}
	return apply(groupNorm{k}, x, gamma, beta)
}

// LayerNorm normalises each position of each example of x [N,..,C] over its channels (Ba et al. 2016;
// on images as in ConvNeXt, Liu et al. 2022).
func LayerNorm(x, gamma, beta *gorgonia.Node, eps float32) (*gorgonia.Node, error) {
	positions, channels, err := channelsOf(x.Shape(), eps)
	if err != nil {
		return nil, err
	}
	return apply(groupNorm{device.GroupNorm{Samples: positions, Positions: 1, Channels: channels, Groups: 1, Epsilon: eps}}, x, gamma, beta)
}

type groupNorm struct{ device.GroupNorm }

func (g groupNorm) kernel() device.Op { return g.GroupNorm }
func (g groupNorm) wrt() []bool       { return []bool{true, true, true} }

func (g groupNorm) infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkChannels(in[0], g.Samples*g.Positions, g.Channels, []string{"gamma", "beta"}, in[1:]...); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// parts calls f for each part of x [.., Channels] that has statistics of its own, with the indices of
// its values, their mean and 1/std.
func parts(g device.GroupNorm, x []float32, f func(index []int, mean, inverse float64)) {
	width, block := g.Channels/g.Groups, g.Positions*g.Channels
	for first := 0; first < len(x); first += block {
		for group := range g.Groups {
			var index []int
			sum, squares := 0.0, 0.0
			for p := range g.Positions {
				for c := range width {
					index = append(index, first+p*g.Channels+group*width+c)
				}
			}
			for _, i := range index {
				sum += float64(x[i])
			}
			mean := sum / float64(len(index))
			for _, i := range index {
				squares += (float64(x[i]) - mean) * (float64(x[i]) - mean)
			}
			f(index, mean, 1/math.Sqrt(squares/float64(len(index))+float64(g.Epsilon)))
		}
	}
}

func (g groupNorm) do(y []float32, in [][]float32) {
	x, gamma, beta := in[0], in[1], in[2]
	parts(g.GroupNorm, x, func(index []int, mean, inverse float64) {
		for _, i := range index {
			c := i % g.Channels
			y[i] = float32(float64(gamma[c])*(float64(x[i])-mean)*inverse + float64(beta[c]))
		}
	})
}

func (g groupNorm) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var list gradients
	list.add(apply(groupNormInputGrad{device.GroupNormInputGrad(g.GroupNorm)}, in[0], in[1], dy))
	list.add(apply(groupNormGammaGrad{device.GroupNormGammaGrad(g.GroupNorm)}, in[0], dy))
	list.add(apply(biasGrad{device.BiasGrad{Channels: g.Channels}}, dy))
	return list.nodes, list.err
}

// groupNormInputGrad takes x, gamma and dy to dx.
type groupNormInputGrad struct{ device.GroupNormInputGrad }

func (g groupNormInputGrad) kernel() device.Op { return g.GroupNormInputGrad }

func (g groupNormInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, gamma, dy := in[0], in[1], in[2]
	if err := checkChannels(x, g.Samples*g.Positions, g.Channels, []string{"gamma"}, gamma); err != nil {
		return nil, err
	}
	if err := match("group normalisation", "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return x.Clone(), nil
}

// do is batch normalisation's gradient, on other sets of values: see batchNormTrainInputGrad.
func (g groupNormInputGrad) do(dx []float32, in [][]float32) {
	x, gamma, dy := in[0], in[1], in[2]
	parts(device.GroupNorm(g.GroupNormInputGrad), x, func(index []int, mean, inverse float64) {
		sum, dot := 0.0, 0.0
		for _, i := range index {
			d := float64(dy[i]) * float64(gamma[i%g.Channels])
			sum += d
			dot += d * (float64(x[i]) - mean) * inverse
		}
		for _, i := range index {
			normal := (float64(x[i]) - mean) * inverse
			d := float64(dy[i]) * float64(gamma[i%g.Channels])
			dx[i] = float32(inverse * (d - (sum+normal*dot)/float64(len(index))))
		}
	})
}

// groupNormGammaGrad takes x and dy to dgamma.
type groupNormGammaGrad struct{ device.GroupNormGammaGrad }

func (g groupNormGammaGrad) kernel() device.Op { return g.GroupNormGammaGrad }

func (g groupNormGammaGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[1]
	if err := checkChannels(x, g.Samples*g.Positions, g.Channels, nil); err != nil {
		return nil, err
	}
	if err := match("group normalisation", "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return tensor.Shape{g.Channels}, nil
}

func (g groupNormGammaGrad) do(dgamma []float32, in [][]float32) {
	x, dy := in[0], in[1]
	sums := make([]float64, g.Channels)
	parts(device.GroupNorm(g.GroupNormGammaGrad), x, func(index []int, mean, inverse float64) {
		for _, i := range index {
			sums[i%g.Channels] += float64(dy[i]) * (float64(x[i]) - mean) * inverse
		}
	})
	round(dgamma, sums)
}
