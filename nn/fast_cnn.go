package nn

import (
	"rampart/nn/registry"
)

// FastCNN is the MNIST network of Wong et al. (2020, "Fast is better than free").
type FastCNN struct{}

// Validate implements Architecture.
func (*FastCNN) Validate() error { return nil }

// Layers implements Architecture.
func (*FastCNN) Layers(Shape, int) []Layer {
	return []Layer{
		{Type: "conv", Out: 16, Kernel: 4, Stride: 2, Padding: "1"}, {Type: "relu"},
		{Type: "conv", Out: 32, Kernel: 4, Stride: 2, Padding: "1"}, {Type: "relu"},
		{Type: "flatten"}, {Type: "dense", Out: 100}, {Type: "relu"}, {Type: "dense"},
	}
}

func init() {
	registry.Register("fast_cnn", func() Architecture { return &FastCNN{} })
}
