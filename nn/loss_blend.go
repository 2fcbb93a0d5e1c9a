package nn

import "rampart/nn/device"

// Blend is a loss for examples that are mixed of two, whose target is two labels with weights: the sum of
// Loss for each label, so weighted (Zhang et al. 2018, section 2, for mixup). The call's Soft holds the logits
// of the target, which Loss must not need itself; the call's label is one of the two.
type Blend struct{ Loss device.Tied }

// Groups implements device.Tied.
func (l Blend) Groups() int { return l.Loss.Groups() }

// Rows implements device.Loss.
func (l Blend) Rows(b *device.Block) {
	inner := *b
	inner.Soft = nil
	l.Loss.Rows(&inner)
	second := inner
	second.Labels, second.Value, second.Grad = make([]int32, b.Rows), make([]float32, b.Rows), make([]float32, b.Rows*b.Classes)
	weight := make([]float64, b.Rows) // of the call's label
	p := make([]float64, b.Classes)
	for i, y := range b.Labels[:b.Rows] {
		softmax(p, row(b.Soft, i, b.Classes), 1)
		weight[i], p[y] = p[y], 0
		second.Labels[i] = y
		for j, v := range p {
			if v > p[second.Labels[i]] {
				second.Labels[i] = int32(j)
			}
		}
	}
	l.Loss.Rows(&second)
	for i, w := range weight {
		b.Value[i] = float32(w*float64(b.Value[i]) + (1-w)*float64(second.Value[i]))
		g, other := row(b.Grad, i, b.Classes), row(second.Grad, i, b.Classes)
		for j := range g {
			g[j] = float32(w*float64(g[j]) + (1-w)*float64(other[j]))
		}
	}
}
