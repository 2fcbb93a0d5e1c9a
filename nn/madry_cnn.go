package nn

import (
	"rampart/nn/registry"
)

// MadryCNN is the MNIST network of Madry et al. (2018, section 5 and their mnist_challenge):
// two 5x5 convolutions with max pooling and a hidden layer of 1024.
type MadryCNN struct {
	// Init is how the weights begin; "madry" is the published truncated normal of .1 with biases of .1.
	Init string `toml:"init" json:"init"`
}

// Validate implements Architecture.
func (m *MadryCNN) Validate() error {
	_, err := initNamed(m.Init)
	return err
}

// Layers implements Architecture.
func (m *MadryCNN) Layers(Shape, int) []Layer {
	init, _ := initNamed(m.Init)
	return []Layer{
		{Type: "conv", Out: 32, Kernel: 5, Padding: "same", Init: init}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "conv", Out: 64, Kernel: 5, Padding: "same", Init: init}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "flatten"},
		{Type: "dense", Out: 1024, Init: init}, {Type: "relu"},
		{Type: "dense", Init: init},
	}
}

func initNamed(name string) (*Init, error) {
	switch name {
	case "madry":
		return &Init{Weights: "truncated_normal", Std: 0.1, Bias: 0.1}, nil
	case "kaiming", "glorot", "pytorch":
		return &Init{Weights: name}, nil
	}
	return nil, registry.Errorf("init", "unknown initialiser %q: known: glorot, kaiming, madry, pytorch", name)
}

func init() {
	registry.Register("madry_cnn", func() Architecture { return &MadryCNN{Init: "kaiming"} })
}
