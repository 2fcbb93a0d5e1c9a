package nn

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// CrossEntropy is -log softmax(z/T)[label], computed on logits. T is 1 where Temperature is 0.
type CrossEntropy struct {
	Temperature float32
	// Smoothing is the share of the target that is spread evenly over all classes, the label's
	// included (Szegedy et al. 2016, section 7), as PyTorch's label_smoothing.
	Smoothing float32
}

// Distill is the cross-entropy between softmax(soft/T), soft being a teacher's logits, and
// softmax(z/T) (Hinton et al. 2015, section 2; Papernot et al. 2016 for defensive distillation).
type Distill struct{ Temperature float32 }

// Margin is max over j != label of z[j], minus z[label] (Carlini and Wagner 2017, f6 without its
// bound): positive exactly where the example is misclassified.
type Margin struct{}

// Targeted turns a loss round: ascending it descends the loss of the target, which stands in the
// place of the label (Madry et al. 2018, section 2; foolbox and torchattacks do the same).
type Targeted struct{ Loss device.Loss }

// softmax writes softmax(z/t) to p, all in float64. -log p[j] is (top-z[j])/t + rest: kept apart,
// because the sum of the two would lose the loss of an example that the network is sure of.
func softmax(p []float64, z []float32, t float64) (top, rest float64) {
	first := device.Argmax(z)
	top = float64(z[first])
	for j, v := range z {
		p[j] = math.Exp((float64(v) - top) / t)
		if j != first {
			rest += p[j]
		}
	}
	for j := range p[:len(z)] {
		p[j] /= 1 + rest
	}
	return top, math.Log1p(rest)
}

func temperature(t float32) float64 {
	if t == 0 {
		return 1
	}
	return float64(t)
}

// maxStackClasses bounds the number of classes for which a loss needs no heap.
const maxStackClasses = 128

// Rows implements device.Loss.
func (l CrossEntropy) Rows(b *device.Block) {
	t := temperature(l.Temperature)
	var stack [maxStackClasses]float64
	p := probabilities(stack[:], b.Classes)
	for i := range b.Rows {
		b.Value[i] = float32(crossEntropy(row(b.Grad, i, b.Classes), row(b.Logits, i, b.Classes), p, b.Labels[i], t, float64(l.Smoothing)))
	}
}

// row is row i of a block.
func row(values []float32, i, classes int) []float32 { return values[i*classes:][:classes] }

// crossEntropy returns the loss of one row at temperature t and writes its gradient; p is scratch.
func crossEntropy(g, z []float32, p []float64, y int32, t, smoothing float64) float64 {
	top, rest := softmax(p, z, t)
	even := smoothing / float64(len(z))
	// 1-p[y] as a sum of the others keeps its precision when p[y] is close to 1: that is
	// where float32 attacks lose their gradient.
	others := 0.0
	for j := range g {
		if j != int(y) {
			others += p[j]
		}
		g[j] = float32((p[j] - even) / t)
	}
	g[y] = float32((smoothing - even - others) / t)
	value := (1 - smoothing) * ((top-float64(z[y]))/t + rest)
	if smoothing > 0 {
		for _, v := range z {
			value += even * ((top-float64(v))/t + rest)
		}
	}
	return value
}

// Rows implements device.Loss. b.Soft holds the teacher's logits.
func (l Distill) Rows(b *device.Block) {
	t := temperature(l.Temperature)
	var s1, s2 [maxStackClasses]float64
	p, q := probabilities(s1[:], b.Classes), probabilities(s2[:], b.Classes)
	for i := range b.Rows {
		z, g := b.Logits[i*b.Classes:][:b.Classes], b.Grad[i*b.Classes:][:b.Classes]
		top, rest := softmax(p, z, t)
		softmax(q, b.Soft[i*b.Classes:][:b.Classes], t)
		value := 0.0
		for j := range g {
			value += q[j] * ((top-float64(z[j]))/t + rest)
			g[j] = float32((p[j] - q[j]) / t)
		}
		b.Value[i] = float32(value)
	}
}

// Rows implements device.Loss.
func (Margin) Rows(b *device.Block) {
	for i := range b.Rows {
		z, g, y := b.Logits[i*b.Classes:][:b.Classes], b.Grad[i*b.Classes:][:b.Classes], int(b.Labels[i])
		best := -1
		for j := range z {
			if j != y && (best < 0 || z[j] > z[best]) {
				best = j
			}
		}
		clear(g)
		g[best], g[y] = 1, -1
		b.Value[i] = z[best] - z[y]
	}
}

// Rows implements device.Loss.
func (l Targeted) Rows(b *device.Block) {
	l.Loss.Rows(b)
	for i := range b.Value[:b.Rows] {
		b.Value[i] = -b.Value[i]
	}
	for i := range b.Grad[:b.Rows*b.Classes] {
		b.Grad[i] = -b.Grad[i]
	}
}

func probabilities(stack []float64, classes int) []float64 {
	if classes <= len(stack) {
		return stack[:classes]
	}
	return make([]float64, classes)
}

func init() {
	registry.Kind[device.Loss]("loss")
	registry.Register("cross_entropy", func() device.Loss { return CrossEntropy{} })
	registry.Register("margin", func() device.Loss { return Margin{} })
}
