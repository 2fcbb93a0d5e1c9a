package attacks

import (
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// CW is the L2 attack of Carlini and Wagner (2017, section VI.A): Adam descends
// |x' - x|² + c max(0, confidence - lead of the other class) in tanh space, which keeps x' in [0,1].
// It looks for the nearest adversarial example; eps only says which count as a success.
type CW struct {
	Bound
	Search
}

// Validate implements Attack.
func (a *CW) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if a.Norm != L2 {
		return registry.Errorf("norm", "CW is a method of %q", string(L2))
	}
	return a.validate()
}

// Label implements Attack.
func (a *CW) Label() string {
	if a.Target != "" {
		return "CW targeted"
	}
	return "CW"
}

// At implements Attack. The search does not depend on epsilon.
func (a *CW) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *CW) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	return a.pursue(v, b, adv, d, func(p *pursuit) pursuer {
		n := len(p.clean)
		s := &tanhSpace{origin: make([]float64, n), home: make([]float64, n), offset: make([]float64, n), tanh: make([]float64, n),
			mean: make([]float64, n), square: make([]float64, n), x: make([]float32, n)}
		for i, x := range p.clean {
			s.origin[i] = math.Atanh(inside * (2*float64(x) - 1))
			s.home[i] = math.Tanh(s.origin[i])
		}
		return s
	})
}

// inside keeps the pixels 0 and 1 at a finite place of tanh space.
const inside = 0.999999

// tanhSpace is where CW descends: x' = (tanh(origin + offset) + 1)/2. All slices are by pixel.
type tanhSpace struct {
	origin, offset []float64
	home, tanh     []float64 // of origin, and of origin + offset
	mean, square   []float64 // Adam's
	x              []float32
}

func (s *tanhSpace) begin(*pursuit) {
	clear(s.offset)
	clear(s.mean)
	clear(s.square)
}

func (s *tanhSpace) step(p *pursuit, rows []int, k int) error {
	eachRow(len(rows), func(n int) {
		for i := rows[n] * p.o.size; i < (rows[n]+1)*p.o.size; i++ {
			s.tanh[i] = math.Tanh(s.origin[i] + s.offset[i])
			s.x[i] = float32(s.tanh[i]/2 + 0.5)
		}
	})
	z, dx, err := p.descend(s.x, rows)
	if err != nil {
		return err
	}
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	correct1, correct2 := 1-math.Pow(beta1, float64(k+1)), 1-math.Pow(beta2, float64(k+1))
	eachRow(len(rows), func(n int) {
		r := rows[n]
		x, gradient := p.row(s.x, r), p.row(dx, n)
		distance := 0.0
		for j, g := range gradient {
			i := r*p.o.size + j
			// The distance is measured from the clean image as tanh space has it.
			away := (s.tanh[i] - s.home[i]) / 2
			distance += away * away
			d := (float64(g) + 2*away) * (1 - s.tanh[i]*s.tanh[i]) / 2
			s.mean[i] = beta1*s.mean[i] + (1-beta1)*d
			s.square[i] = beta2*s.square[i] + (1-beta2)*d*d
			s.offset[i] -= float64(p.StepSize) * (s.mean[i] / correct1) / (math.Sqrt(s.square[i]/correct2) + epsilon)
		}
		p.objective[r] = distance + p.judge(z, n, r, x, L2.Distance(x, p.row(p.clean, r)))
	})
	return nil
}

func init() {
	registry.Register("cw", func() Attack {
		return &CW{Bound{Norm: L2, Epsilon: 2}, Search{Searches: 9, Steps: 1000, StepSize: 0.01, Const: 1e-3, AbortEarly: true}}
	})
}
