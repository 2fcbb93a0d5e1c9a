package nn

import (
	"fmt"

	"rampart/nn/registry"
)

// WideResNet is WRN-depth-width (Zagoruyko and Komodakis 2016) for images of CIFAR's size, under the
// names of the implementation that TRADES and AWP use.
type WideResNet struct {
	Depth   int     `toml:"depth" json:"depth"` // 6n+4: n blocks of two convolutions in each of three stages
	Width   int     `toml:"width" json:"width"` // the first stage has 16 times as many channels
	Dropout float64 `toml:"dropout" json:"dropout"`
	// Activation is the layer between convolutions: relu, or a smooth one (Gowal et al. 2020: silu).
	Activation string `toml:"activation" json:"activation"`
}

// Validate implements Architecture.
func (m *WideResNet) Validate() error {
	switch {
	case m.Depth < 10 || m.Depth > 1000 || (m.Depth-4)%6 != 0:
		return registry.Errorf("depth", "%d is not 10, 16, 22, 28, 34 or a greater 6n+4 up to 1000", m.Depth)
	case m.Width < 1 || m.Width > 64:
		return registry.Errorf("width", "%d must lie between 1 and 64", m.Width)
	case !(m.Dropout >= 0 && m.Dropout < 1):
		return registry.Errorf("dropout", "%v must lie in [0,1)", m.Dropout)
	}
	return checkActivation(m.Activation)
}

// Layers implements Architecture.
func (m *WideResNet) Layers(Shape, int) []Layer {
	act := Layer{Type: m.Activation}
	layers, channels := []Layer{square("conv1", 16, 3, 1)}, 16
	for stage := range 3 {
		for i := range (m.Depth - 4) / 6 {
			out, stride := 16*m.Width<<stage, 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			name := fmt.Sprintf("block%d.layer.%d.", stage+1, i)
			layers = append(layers, preActBlock(name, name+"convShortcut", act, channels, out, stride, m.Dropout)...)
			channels = out
		}
	}
	return append(layers, norm("bn1"), act, Layer{Type: "globalavgpool"}, Layer{Type: "dense", Name: "fc"})
}

func init() {
	registry.Register("wide_resnet", func() Architecture { return &WideResNet{Depth: 34, Width: 10, Activation: "relu"} })
}
