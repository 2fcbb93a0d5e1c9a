package nn

import (
	"fmt"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// NeedsTarget is a loss that compares an example's label with a target class: the largest entry of
// the row of device.Call.Soft, which is one-hot. It grows as the target wins over the label, so
// that attacks ascend it as it is, without Targeted.
type NeedsTarget interface {
	device.Loss
	NeedsTarget()
}

// NeedsClasses is a loss that is not defined for fewer classes than MinClasses.
type NeedsClasses interface {
	device.Loss
	MinClasses() int
}

// CheckClasses reports a loss, called name, that needs more classes than a network has.
func CheckClasses(l device.Loss, name string, classes int) error {
	if t, ok := l.(Targeted); ok {
		l = t.Loss
	}
	if n, ok := l.(NeedsClasses); ok && classes < n.MinClasses() {
		return fmt.Errorf("loss %q needs at least %d classes, the network has %d: use \"cross_entropy\" or \"margin\"", name, n.MinClasses(), classes)
	}
	return nil
}

// LogitDifference is z[target] - z[label]: what FAB makes linear (Croce and Hein 2020b, eq. 5).
type LogitDifference struct{}

// NeedsTarget implements nn.NeedsTarget.
func (LogitDifference) NeedsTarget() {}

// Rows implements device.Loss.
func (LogitDifference) Rows(b *device.Block) {
	for i := range b.Rows {
		z, g := b.Logits[i*b.Classes:][:b.Classes], b.Grad[i*b.Classes:][:b.Classes]
		y, t := int(b.Labels[i]), device.Argmax(b.Soft[i*b.Classes:][:b.Classes])
		clear(g)
		g[t]++
		g[y]--
		b.Value[i] = z[t] - z[y]
	}
}

func init() {
	registry.Register("logit_difference", func() device.Loss { return LogitDifference{} })
}
