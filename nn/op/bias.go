package op

import (
	"fmt"

	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// biasGrad sums dy [N,..,Channels] over all but the channels: the gradient of a convolution's
// and a dense layer's bias, and of batch normalisation's beta.
type biasGrad struct{ device.BiasGrad }

func (b biasGrad) kernel() device.Op { return b.BiasGrad }

func (b biasGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	dy := in[0]
	if len(dy) < 2 || dy[len(dy)-1] != b.Channels {
		return nil, fmt.Errorf("bias gradient: gradient has shape %v, want %d channels last", dy, b.Channels)
	}
	return tensor.Shape{b.Channels}, nil
}

func (b biasGrad) do(db []float32, in [][]float32) {
	sums := make([]float64, b.Channels)
	for i, v := range in[0] {
		sums[i%b.Channels] += float64(v)
	}
	round(db, sums)
}
