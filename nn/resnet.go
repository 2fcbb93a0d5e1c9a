package nn

import (
	"fmt"

	"rampart/nn/registry"
)

// ResNet is a residual network (He et al. 2016), under torchvision's names; with a bottleneck the
// stride is that of the 3x3 convolution, as there.
type ResNet struct {
	// Stem is "imagenet" (7x7 at stride 2, then pooled), "cifar" (3x3), or "auto": that of CIFAR for
	// images below 64 pixels.
	Stem string `toml:"stem" json:"stem"`
	// Width is the number of channels of the first stage, doubled by each of the other three.
	Width int `toml:"width" json:"width"`
	// Activation is the layer between convolutions: relu, or a smooth one (Xie et al. 2020).
	Activation string `toml:"activation" json:"activation"`

	blocks     [4]int
	bottleneck bool
}

// Validate implements Architecture.
func (m *ResNet) Validate() error {
	if err := choice("stem", m.Stem, "auto", "cifar", "imagenet"); err != nil {
		return err
	}
	if err := checkWidth("width", m.Width); err != nil {
		return err
	}
	return checkActivation(m.Activation)
}

// Layers implements Architecture.
func (m *ResNet) Layers(in Shape, _ int) []Layer {
	act := Layer{Type: m.Activation}
	var layers []Layer
	if m.Stem == "cifar" || m.Stem == "auto" && cifarSized(in) {
		layers = []Layer{square("conv1", m.Width, 3, 1), norm("bn1"), act}
	} else {
		layers = []Layer{square("conv1", m.Width, 7, 2), norm("bn1"), act, {Type: "maxpool", Kernel: 3, Stride: 2, Padding: "1"}}
	}
	channels := m.Width
	for stage, blocks := range m.blocks {
		width, out := m.Width<<stage, m.Width<<stage
		if m.bottleneck {
			out *= 4
		}
		for i := range blocks {
			stride := 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			name := fmt.Sprintf("layer%d.%d.", stage+1, i)
			block := Layer{Type: "residual", Body: m.body(name, width, out, stride)}
			if stride > 1 || channels != out {
				block.Shortcut = []Layer{square(name+"downsample.0", out, 1, stride), norm(name + "downsample.1")}
			}
			layers, channels = append(layers, block, act), out
		}
	}
	return append(layers, Layer{Type: "globalavgpool"}, Layer{Type: "dense", Name: "fc"})
}

func (m *ResNet) body(name string, width, out, stride int) []Layer {
	act := Layer{Type: m.Activation}
	if m.bottleneck {
		return []Layer{
			square(name+"conv1", width, 1, 1), norm(name + "bn1"), act,
			square(name+"conv2", width, 3, stride), norm(name + "bn2"), act,
			square(name+"conv3", out, 1, 1), norm(name + "bn3"),
		}
	}
	return []Layer{
		square(name+"conv1", width, 3, stride), norm(name + "bn1"), act,
		square(name+"conv2", out, 3, 1), norm(name + "bn2"),
	}
}

func init() {
	for name, m := range map[string]ResNet{
		"resnet18": {blocks: [4]int{2, 2, 2, 2}},
		"resnet34": {blocks: [4]int{3, 4, 6, 3}},
		"resnet50": {blocks: [4]int{3, 4, 6, 3}, bottleneck: true},
	} {
		m.Stem, m.Width, m.Activation = "auto", 64, "relu"
		registry.Register(name, func() Architecture { c := m; return &c })
	}
}
