package nn

import (
	"slices"
	"strings"

	"rampart/nn/registry"
)

// What residual networks are built of. Their convolutions have no bias: a normalisation follows.

// square is a convolution of an odd kernel, padded so that its stride alone shrinks the image.
func square(name string, out, kernel, stride int) Layer {
	padding := map[int]string{3: "1", 7: "3"}[kernel]
	return Layer{Type: "conv", Name: name, Out: out, Kernel: kernel, Stride: stride, Padding: padding, NoBias: true}
}

func norm(name string) Layer { return Layer{Type: "batchnorm", Name: name} }

// cifarSized reports whether images are too small for what ImageNet's networks begin with.
func cifarSized(in Shape) bool { return min(in.H, in.W) < 64 }

// choice reports an option that is none of those allowed.
func choice(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return registry.Errorf(key, "unknown %s %q: known: %s", key, value, strings.Join(allowed, ", "))
}

// checkActivation reports a type that is no activation layer.
func checkActivation(name string) error {
	return choice("activation", name, "relu", "gelu", "leaky_relu", "sigmoid", "silu", "tanh")
}

// checkWidth reports a number of channels that no network has.
func checkWidth(key string, width int) error {
	if width < 1 || width > 4096 {
		return registry.Errorf(key, "%d must lie between 1 and 4096", width)
	}
	return nil
}
