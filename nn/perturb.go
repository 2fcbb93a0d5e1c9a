package nn

import (
	"fmt"
	"math"

	"rampart/nn/device"
)

// PerturbedGrad is ParamGrad at adversarially perturbed weights (AWP, Wu et al. 2020, section 4.2):
// each weight tensor w of two dimensions or more, with gradient g at the weights as they are, moves
// to w + gamma |w| g/|g|, norms taken over the tensor, and the gradient is computed there. Biases
// and normalisations stay, as in the authors' code. Afterwards the weights are what they were, bit
// for bit; running statistics have moved once, with the second pass.
func (m *Model) PerturbedGrad(c *device.Call, gamma float64) error {
	before := make([][]float32, len(m.own()))
	for i, p := range m.own() {
		before[i] = download(p.Value)
	}
	restore := func(frozen bool) {
		for i, p := range m.own() {
			if p.Frozen == frozen {
				p.Value.Upload(before[i], 0)
			}
		}
		m.params.Version++
	}
	if err := m.ParamGrad(c); err != nil {
		return err
	}
	for i, p := range m.own() {
		if p.Frozen || len(p.Shape) < 2 {
			continue
		}
		moved, err := along(before[i], download(p.Grad), gamma)
		if err != nil {
			restore(false)
			return fmt.Errorf("perturb %q: %w", p.Name, err)
		}
		p.Value.Upload(moved, 0)
	}
	restore(true)
	err := m.ParamGrad(c)
	restore(false)
	return err
}

// along returns w + gamma |w| g/|g|; a gradient of 0 moves nothing.
func along(w, g []float32, gamma float64) ([]float32, error) {
	length := func(v []float32) float64 {
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		return math.Sqrt(sum)
	}
	norm := length(g)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return nil, fmt.Errorf("the gradient is not finite: lower the learning rate")
	}
	moved := make([]float32, len(w))
	step := 0.0
	if norm > 0 {
		step = gamma * length(w) / norm
	}
	for i, x := range w {
		moved[i] = float32(float64(x) + step*float64(g[i]))
	}
	return moved, nil
}
