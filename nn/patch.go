package nn

import (
	"fmt"

	"rampart/nn/device"
)

// patches checks what a device.Patches of a model is asked.
type patches struct {
	device.Patches
	m *Model
}

// Patches prepares for logits of at most rows examples that differ from known ones in a region, in
// evaluation mode. It returns nil where the device or the network does not allow it.
func (m *Model) Patches(rows int) device.Patches {
	e, ok := m.logits.(device.Patching)
	if !ok {
		return nil
	}
	if p := e.Patches(min(rows, m.rows)); p != nil {
		return &patches{p, m}
	}
	return nil
}

// Run implements device.Patches.
func (p *patches) Run(c *device.Call, regions []device.Region) error {
	const what = "logits of patches"
	if c.Rows > p.Places() || regions != nil && len(regions) < c.Rows {
		return fmt.Errorf("%s: %d rows for %d places and %d regions", what, c.Rows, p.Places(), len(regions))
	}
	in := p.m.Spec.Input
	for _, r := range regions {
		if whole := (device.Region{Bottom: in.H, Right: in.W}); !whole.Covers(r) {
			return fmt.Errorf("%s: region %v of an example of %v", what, r, in)
		}
	}
	err := p.m.checkRowwise(c)
	if err == nil {
		err = p.m.refold()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return p.Patches.Run(c, regions)
}
