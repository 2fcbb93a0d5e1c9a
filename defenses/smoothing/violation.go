package smoothing

import (
	"fmt"

	"rampart/attacks"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Attacker looks for images within a certified radius that the smoothed classifier gives another
// class: PGD in L2 on Victim.
type Attacker struct {
	Steps, Samples int
	Noise          rng.Stream
}

// Break attacks an image at its certified radius and reports whether prediction, made with draws of
// its own, then gives another class; abstaining is no violation.
func (a Attacker) Break(s *Smoother, predict *Smoother, image []float32, example uint32, c Certificate) (bool, error) {
	v := Victim{Victim: s.network, Sigma: s.Sigma, Samples: a.Samples, Noise: a.Noise}
	x, adv := v.New(len(image)), v.New(len(image))
	x.Upload(image, 0)
	// The certificate holds inside the radius, and a projection in float32 may be off by its rounding.
	radius := c.Radius * (1 - 1e-4)
	loss, err := attacks.LossNamed("cross_entropy")
	if err != nil {
		return false, err
	}
	l := &device.Loop{Steps: a.Steps, Norm: device.L2, Epsilon: float32(radius), StepSize: float32(2.5 * radius / float64(a.Steps)),
		Start: device.FromUniform, Noise: a.Noise, Example: []uint32{example}, KeepBest: true, Adv: adv}
	if _, err := v.Iterate(&device.Call{Rows: 1, X: x, Labels: []int32{int32(c.Class)}, Loss: loss, Scale: 1}, l); err != nil {
		return false, fmt.Errorf("attack on the smoothed network: %w", err)
	}
	moved := make([]float32, len(image))
	adv.Download(moved, 0)
	class, err := predict.Predict(moved, example)
	return class != Abstain && class != c.Class, err
}

// TooMany is the probability of so many violations among m certificates or more, were certificates and
// predictions each wrong no more often than alpha.
func TooMany(violations, m int, alpha float64) float64 {
	return AtLeast(violations, m, min(1, 2*alpha))
}
