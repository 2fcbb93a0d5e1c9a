package op

import (
	"testing"

	"gorgonia.org/gorgonia"
)

// TestNetwork differentiates one small network with every kind of layer.
func TestNetwork(t *testing.T) {
	inputs := []input{
		random("x", 1, 2, 6, 6, 2),
		random("conv1.w", 2, 3, 3, 2, 3), random("conv1.b", 3, 3),
		random("bn.gamma", 4, 3), random("bn.beta", 5, 3),
		random("bn.mean", 6, 3).withoutGrad(), random("bn.variance", 7, 3).positive().withoutGrad(),
		random("conv2.w", 8, 3, 3, 3, 3), random("conv2.b", 9, 3),
		random("fc1.w", 10, 3, 4), random("fc1.b", 11, 4),
		random("fc2.w", 12, 3, 4), random("fc2.b", 13, 4),
	}
	b := build(t, inputs, func(in nodes) (*gorgonia.Node, error) {
		var err error
		do := func(n *gorgonia.Node, e error) *gorgonia.Node {
			if e != nil && err == nil {
				err = e
				t.Fatal(e)
			}
			return n
		}
		y := do(Normalize(in[0], []float32{0.5, 0.25}, []float32{0.5, 2}))
		y = do(Conv(y, in[1], in[2], window(6, 6, 2, 3, 3, 1, 1, 1, 1, 1)))
		y = do(BatchNormTrain(y, in[3], in[4], in[5], in[6], 1e-3, 0.1))
		y = do(ReLU(y))
		y = do(MaxPool(y, window(6, 6, 3, 2, 2, 2)))
		shortcut := y
		y = do(Conv(y, in[7], in[8], window(3, 3, 3, 3, 3, 1, 1, 1, 1, 1)))
		y = do(ReLU(do(Add(y, shortcut))))
		y = do(Flatten(do(AvgPool(y, window(3, 3, 3, 3, 3, 3)))))
		dropped := do(Dropout(y, 0.25, 0))
		dropped.Op().(Noisy).SetNoise(3)
		y = do(Scale(dropped, 0.5))
		y = do(LogMeanSoftmax(nodes{do(Dense(y, in[9], in[10])), do(Dense(y, in[11], in[12]))}))
		return y, err
	})
	b.checkGradients(t, 1.0/4096, 1e-2)
}
