package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Denoiser is a small denoising autoencoder that a network begins with: convolutions 3x3 that keep the
// image's size, whose result is added to the image (Gu and Rigazio 2015 put one before a network; Zhang et
// al. 2017 learn the noise, as here). It is a part of the network, whose weights begin with "denoiser.":
// attacks differentiate through it, and checkpoints hold it. Fresh, it leaves images as they are.
type Denoiser struct {
	// Channels of each convolution but the last, and the number of convolutions.
	Channels int `toml:"channels" json:"channels"`
	Depth    int `toml:"depth" json:"depth"`
}

// Defaults implements configs.Defaulter.
func (d *Denoiser) Defaults() { *d = Denoiser{Channels: 16, Depth: 3} }

// Validate reports options that make no network.
func (d Denoiser) Validate() error {
	if d.Channels < 1 || d.Channels > maxOut {
		return registry.Errorf("channels", "%d must lie between 1 and %d", d.Channels, maxOut)
	}
	if d.Depth < 2 || d.Depth > 64 {
		return registry.Errorf("depth", "%d convolutions: at least 2 are needed, and at most 64 allowed", d.Depth)
	}
	return nil
}

// block is the denoiser as a layer for images of a shape.
func (d Denoiser) block(in Shape) Layer {
	conv := Layer{Type: "conv", Out: d.Channels, Kernel: 3, Padding: "same"}
	last := conv
	last.Out, last.Init = in.C, &Init{Weights: "zeros"}
	body := slices.Repeat([]Layer{conv, {Type: "relu"}}, d.Depth-1)
	return Layer{Type: "residual", Body: append(body, last)}
}

// denoise adds the denoiser, where there is one, to what a network begins with.
func (b *builder) denoise(spec Spec, prefix string, c *cursor) error {
	if spec.Denoiser == nil {
		return nil
	}
	b.prefix, b.counts = prefix+denoiserPrefix, map[string]int{}
	return b.layer(c, spec.Denoiser.block(spec.Input), spec.Classes)
}

const denoiserPrefix = "denoiser."

// Denoised reports whether a network, or a member of an ensemble, begins with a denoiser.
func (s Spec) Denoised() bool {
	return s.Denoiser != nil || slices.ContainsFunc(s.Members, Spec.Denoised)
}

// withoutDenoiser is the spec of what stands behind denoisers.
func (s Spec) withoutDenoiser() Spec {
	s.Denoiser, s.Members = nil, slices.Clone(s.Members)
	for i, m := range s.Members {
		s.Members[i] = m.withoutDenoiser()
	}
	return s
}

// Classifier is the network that stands behind the denoisers of m, with m's weights at the time of the
// call. It is made by the first call, and the same one ever after.
func (m *Model) Classifier() (*Model, error) {
	if !m.Spec.Denoised() {
		return nil, errors.New("the network has no denoiser")
	}
	if m.classifier == nil {
		behind, err := Build(m.Spec.withoutDenoiser(), m.Device, m.rows, rng.New(0, "unused: weights follow"))
		if err != nil {
			return nil, fmt.Errorf("network behind its denoiser: %w", err)
		}
		m.classifier = behind
	}
	var list []Weight
	for _, w := range m.Weights() {
		if !strings.HasPrefix(w.Name, denoiserPrefix) && !strings.Contains(w.Name, "."+denoiserPrefix) {
			list = append(list, w)
		}
	}
	return m.classifier, m.classifier.SetWeights(list)
}
