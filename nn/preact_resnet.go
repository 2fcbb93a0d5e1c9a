package nn

import (
	"fmt"

	"rampart/nn/registry"
)

// PreActResNet18 is a residual network that normalises before it convolves (He et al. 2016b), with the
// stem and the names of the implementation that adversarial training on CIFAR-10 uses (Wong et al.
// 2020, Rice et al. 2020).
type PreActResNet18 struct {
	// Width is the number of channels of the first stage, doubled by each of the other three.
	Width int `toml:"width" json:"width"`
	// Activation is the layer between convolutions: relu, or a smooth one (Xie et al. 2020).
	Activation string `toml:"activation" json:"activation"`
}

// Validate implements Architecture.
func (m *PreActResNet18) Validate() error {
	if err := checkWidth("width", m.Width); err != nil {
		return err
	}
	return checkActivation(m.Activation)
}

// Layers implements Architecture.
func (m *PreActResNet18) Layers(Shape, int) []Layer {
	act := Layer{Type: m.Activation}
	layers, channels := []Layer{square("conv1", m.Width, 3, 1)}, m.Width
	for stage := range 4 {
		for i := range 2 {
			out, stride := m.Width<<stage, 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			name := fmt.Sprintf("layer%d.%d.", stage+1, i)
			layers = append(layers, preActBlock(name, name+"shortcut.0", act, channels, out, stride, 0)...)
			channels = out
		}
	}
	return append(layers, norm("bn"), act, Layer{Type: "globalavgpool"}, Layer{Type: "dense", Name: "linear"})
}

// preActBlock is a block whose shortcut, where the shape changes, starts at the normalised input.
func preActBlock(name, shortcut string, act Layer, in, out, stride int, dropout float64) []Layer {
	first := []Layer{norm(name + "bn1"), act}
	body := []Layer{square(name+"conv1", out, 3, stride), norm(name + "bn2"), act}
	if dropout > 0 {
		body = append(body, Layer{Type: "dropout", Rate: dropout})
	}
	body = append(body, square(name+"conv2", out, 3, 1))
	if in == out && stride == 1 {
		return []Layer{{Type: "residual", Body: append(first, body...)}}
	}
	return append(first, Layer{Type: "residual", Body: body, Shortcut: []Layer{square(shortcut, out, 1, stride)}})
}

func init() {
	registry.Register("preact_resnet18", func() Architecture { return &PreActResNet18{Width: 64, Activation: "relu"} })
}
