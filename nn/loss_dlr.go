package nn

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// DLR is the difference of logits ratio (Croce and Hein 2020, eq. 6): the margin divided by the
// distance of the largest from the third largest logit, which neither a shift nor a positive factor
// of all logits changes. It is positive exactly where the example is misclassified.
type DLR struct{}

// TargetedDLR is its targeted form (Croce and Hein 2020, eq. 7): z[target] - z[label], divided by
// the distance of the largest logit from the mean of the third and the fourth.
type TargetedDLR struct{}

// MinClasses implements NeedsClasses.
func (DLR) MinClasses() int { return 3 }

// MinClasses implements NeedsClasses.
func (TargetedDLR) MinClasses() int { return 4 }

// NeedsTarget implements nn.NeedsTarget.
func (TargetedDLR) NeedsTarget() {}

// Rows implements device.Loss.
func (DLR) Rows(b *device.Block) {
	for i := range b.Rows {
		z, g, y := b.Logits[i*b.Classes:][:b.Classes], b.Grad[i*b.Classes:][:b.Classes], int(b.Labels[i])
		top := largest(z)
		rival := top[0]
		if rival == y {
			rival = top[1]
		}
		b.Value[i] = ratio(g, z, rival, y, [...]weighted{{top[0], 1}, {top[2], -1}})
	}
}

// Rows implements device.Loss.
func (TargetedDLR) Rows(b *device.Block) {
	for i := range b.Rows {
		z, g := b.Logits[i*b.Classes:][:b.Classes], b.Grad[i*b.Classes:][:b.Classes]
		top := largest(z)
		target := device.Argmax(b.Soft[i*b.Classes:][:b.Classes])
		b.Value[i] = ratio(g, z, target, int(b.Labels[i]), [...]weighted{{top[0], 1}, {top[2], -0.5}, {top[3], -0.5}})
	}
}

// largest are the classes of the four largest logits in falling order, of equals the first one
// first; those that a short row lacks are -1.
func largest(z []float32) (top [4]int) {
	top = [4]int{-1, -1, -1, -1}
	for j, v := range z {
		k := len(top)
		for k > 0 && (top[k-1] < 0 || v > z[top[k-1]]) {
			k--
		}
		if k < len(top) {
			copy(top[k+1:], top[k:])
			top[k] = j
		}
	}
	return top
}

// weighted is a logit's share in a ratio's divisor.
type weighted struct {
	class int
	share float64
}

// ratio returns (z[t]-z[y])/divisor, and its gradient in g. Where the largest logits tie, the
// divisor vanishes. It is then held at a floor, with no gradient of its own, so that value and
// gradient stay finite: at the reference implementation's 1e-12, or a millionth of the numerator.
func ratio[T [2]weighted | [3]weighted](g, z []float32, t, y int, divisor T) float32 {
	difference := float64(z[t]) - float64(z[y])
	d := 0.0
	for k := range len(divisor) {
		d += divisor[k].share * float64(z[divisor[k].class])
	}
	floor := max(1e-12, 1e-6*math.Abs(difference))
	clear(g)
	if d > floor {
		for k := range len(divisor) {
			g[divisor[k].class] -= float32(divisor[k].share * difference / d / d)
		}
	}
	d = max(d, floor)
	g[t] += float32(1 / d)
	g[y] -= float32(1 / d)
	return float32(difference / d)
}

func init() {
	registry.Register("dlr", func() device.Loss { return DLR{} })
	registry.Register("targeted_dlr", func() device.Loss { return TargetedDLR{} })
}
