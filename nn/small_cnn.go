package nn

import "rampart/nn/registry"

// SmallCNN is the MNIST network of TRADES (Zhang et al. 2019, section 5.2; it is that of Carlini and
// Wagner 2017 with dropout), under the names and with the zero last layer of the authors' code.
type SmallCNN struct {
	Dropout float64 `toml:"dropout" json:"dropout"`
}

// Validate implements Architecture.
func (m *SmallCNN) Validate() error {
	if !(m.Dropout >= 0 && m.Dropout < 1) {
		return registry.Errorf("dropout", "%v must lie in [0,1)", m.Dropout)
	}
	return nil
}

// Layers implements Architecture.
func (m *SmallCNN) Layers(Shape, int) []Layer {
	const features, classifier = "feature_extractor.", "classifier."
	layers := []Layer{
		{Type: "conv", Name: features + "conv1", Out: 32, Kernel: 3}, {Type: "relu"},
		{Type: "conv", Name: features + "conv2", Out: 32, Kernel: 3}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "conv", Name: features + "conv3", Out: 64, Kernel: 3}, {Type: "relu"},
		{Type: "conv", Name: features + "conv4", Out: 64, Kernel: 3}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "flatten"},
		{Type: "dense", Name: classifier + "fc1", Out: 200}, {Type: "relu"},
	}
	if m.Dropout > 0 {
		layers = append(layers, Layer{Type: "dropout", Rate: m.Dropout})
	}
	return append(layers, Layer{Type: "dense", Name: classifier + "fc2", Out: 200}, Layer{Type: "relu"},
		Layer{Type: "dense", Name: classifier + "fc3", Init: &Init{Weights: "zeros"}})
}

func init() {
	registry.Register("small_cnn", func() Architecture { return &SmallCNN{Dropout: 0.5} })
}
