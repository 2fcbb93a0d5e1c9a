package nn

import (
	"rampart/nn/registry"
)

// MLP is a plain network of dense layers with ReLU.
type MLP struct {
	Hidden  []int   `toml:"hidden" json:"hidden"`
	Dropout float64 `toml:"dropout" json:"dropout"`
}

// Validate implements Architecture.
func (m *MLP) Validate() error {
	for _, h := range m.Hidden {
		if h < 1 {
			return registry.Errorf("hidden", "a hidden layer needs at least 1 unit, not %d", h)
		}
	}
	if !(m.Dropout >= 0 && m.Dropout < 1) {
		return registry.Errorf("dropout", "%v must lie in [0,1)", m.Dropout)
	}
	return nil
}

// Layers implements Architecture.
func (m *MLP) Layers(Shape, int) []Layer {
	layers := []Layer{{Type: "flatten"}}
	for _, h := range m.Hidden {
		layers = append(layers, Layer{Type: "dense", Out: h}, Layer{Type: "relu"})
		if m.Dropout > 0 {
			layers = append(layers, Layer{Type: "dropout", Rate: m.Dropout})
		}
	}
	return append(layers, Layer{Type: "dense"})
}

func init() {
	registry.Register("mlp", func() Architecture { return &MLP{Hidden: []int{256, 256}} })
}
