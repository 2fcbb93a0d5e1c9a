package nn

import (
	"rampart/nn/registry"
)

// FastCNN is the MNIST network of Wong et al. (2020, "Fast is better than free").
type FastCNN struct {
	// Init is how the weights begin; theirs with "pytorch".
	Init string `toml:"init" json:"init"`
}

// Validate implements Architecture.
func (f *FastCNN) Validate() error {
	_, err := initNamed(f.Init)
	return err
}

// Layers implements Architecture.
func (f *FastCNN) Layers(Shape, int) []Layer {
	init, _ := initNamed(f.Init)
	return []Layer{
		{Type: "conv", Out: 16, Kernel: 4, Stride: 2, Padding: "1", Init: init}, {Type: "relu"},
		{Type: "conv", Out: 32, Kernel: 4, Stride: 2, Padding: "1", Init: init}, {Type: "relu"},
		{Type: "flatten"}, {Type: "dense", Out: 100, Init: init}, {Type: "relu"}, {Type: "dense", Init: init},
	}
}

func init() {
	registry.Register("fast_cnn", func() Architecture { return &FastCNN{Init: "kaiming"} })
}
