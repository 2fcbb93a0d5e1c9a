package nn

import "rampart/nn/device"

// The robust distillations have row groups adversarial and clean; b.Soft holds the teacher's logits
// for the clean image in both rows of an example.

// ARD is adversarially robust distillation (Goldblum et al. 2020, equation 3):
// Alpha T^2 KL(teacher(x) || student(x')) + (1-Alpha) CE(student(x), y), the first at temperature T.
type ARD struct{ Alpha, Temperature float32 }

// Groups implements device.Tied.
func (ARD) Groups() int { return 2 }

// Rows implements device.Loss.
func (l ARD) Rows(b *device.Block) {
	alpha, t := float64(l.Alpha), temperature(l.Temperature)
	pairs(b, func(adv, clean int, s [4][]float64) {
		g := row(b.Grad, adv, b.Classes)
		b.Value[adv] = float32(alpha * t * t * divergence(g, row(b.Logits, adv, b.Classes), row(b.Soft, adv, b.Classes), s[0], s[1], t))
		scale(g, alpha*t*t)
		g = row(b.Grad, clean, b.Classes)
		b.Value[clean] = float32((1 - alpha) * crossEntropy(g, row(b.Logits, clean, b.Classes), s[0], b.Labels[clean], 1, 0))
		scale(g, 1-alpha)
	})
}

// RSLAD is robust soft label distillation (Zi et al. 2021, equation 6): Alpha KL(teacher(x) ||
// student(x')) + (1-Alpha) KL(teacher(x) || student(x)), without labels.
type RSLAD struct{ Alpha float32 }

// Groups implements device.Tied.
func (RSLAD) Groups() int { return 2 }

// Rows implements device.Loss.
func (l RSLAD) Rows(b *device.Block) {
	pairs(b, func(adv, clean int, s [4][]float64) {
		for _, part := range [...]struct {
			row    int
			weight float64
		}{{adv, float64(l.Alpha)}, {clean, 1 - float64(l.Alpha)}} {
			g := row(b.Grad, part.row, b.Classes)
			b.Value[part.row] = float32(part.weight * divergence(g, row(b.Logits, part.row, b.Classes), row(b.Soft, part.row, b.Classes), s[0], s[1], 1))
			scale(g, part.weight)
		}
	})
}
