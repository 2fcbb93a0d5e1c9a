package nn

import (
	"fmt"

	"rampart/nn/registry"
)

// VGG is a plain deep network (Simonyan and Zisserman 2015) with batch normalisation, under
// torchvision's names.
type VGG struct {
	// Head is "imagenet" (two hidden layers of 4096 on the last 7x7 features), "cifar" (global pooling
	// and one dense layer), or "auto": that of ImageNet for images of 224 pixels.
	Head    string  `toml:"head" json:"head"`
	Dropout float64 `toml:"dropout" json:"dropout"` // in ImageNet's head

	convs []int // channels by stage, of as many convolutions as it is repeated; a pooling after each
}

// Validate implements Architecture.
func (m *VGG) Validate() error {
	if !(m.Dropout >= 0 && m.Dropout < 1) {
		return registry.Errorf("dropout", "%v must lie in [0,1)", m.Dropout)
	}
	return choice("head", m.Head, "auto", "cifar", "imagenet")
}

// Layers implements Architecture.
func (m *VGG) Layers(in Shape, _ int) []Layer {
	var layers []Layer
	index, relu := 0, Layer{Type: "relu"} // of torchvision's list
	for stage, convs := range m.convs {
		for range convs {
			conv := square(fmt.Sprintf("features.%d", index), min(64<<stage, 512), 3, 1)
			conv.NoBias = false
			layers = append(layers, conv, norm(fmt.Sprintf("features.%d", index+1)), relu)
			index += 3
		}
		layers = append(layers, Layer{Type: "maxpool", Kernel: 2})
		index++
	}
	if m.Head == "cifar" || m.Head == "auto" && (in.H != 224 || in.W != 224) {
		return append(layers, Layer{Type: "globalavgpool"}, Layer{Type: "dense", Name: "classifier"})
	}
	for _, name := range []string{"classifier.0", "classifier.3"} {
		layers = append(layers, Layer{Type: "dense", Name: name, Out: 4096}, relu)
		if m.Dropout > 0 {
			layers = append(layers, Layer{Type: "dropout", Rate: m.Dropout})
		}
	}
	return append(layers, Layer{Type: "dense", Name: "classifier.6"})
}

func init() {
	for name, convs := range map[string][]int{"vgg11": {1, 1, 2, 2, 2}, "vgg16": {2, 2, 3, 3, 3}} {
		registry.Register(name, func() Architecture { return &VGG{Head: "auto", Dropout: 0.5, convs: convs} })
	}
}
