package nn

import (
	"strconv"

	"rampart/nn/registry"
)

// Custom is a list of layers of one's own.
type Custom struct {
	List []Layer `toml:"layer" json:"layer"`
}

// Validate implements Architecture.
func (c *Custom) Validate() error {
	if len(c.List) == 0 {
		return registry.Errorf("layer", "a model named %q needs [[model.layer]] tables", "layers")
	}
	for i, l := range c.List {
		if err := l.Validate(); err != nil {
			return registry.Errorf("layer", "layer %s: %w", strconv.Itoa(i+1), err)
		}
	}
	return nil
}

// Layers implements Architecture.
func (c *Custom) Layers(Shape, int) []Layer { return c.List }

func init() {
	registry.Register("layers", func() Architecture { return &Custom{} })
}
