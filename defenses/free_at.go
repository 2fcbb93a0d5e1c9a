package defenses

import (
	"math"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// FreeAT is free adversarial training (Shafahi et al. 2019, algorithm 1): each minibatch is replayed
// M times, and every backward pass serves both the weights and one step of a perturbation, which
// goes on from replay to replay and from batch to batch. As in the paper the gradient in the image
// is that of training mode. Each replay counts as a step of training: with a length in epochs, the
// data is gone through epochs/M times, at the cost of as many epochs of natural training.
type FreeAT struct {
	attacks.Bound
	// StepSize is that of the perturbation; 0 means eps, as in the paper.
	StepSize configs.Number `toml:"step_size"`
	M        int            `toml:"replays"`
	Smoothing
}

// Validate implements Defense.
func (d *FreeAT) Validate() error {
	if err := d.Bound.Validate(); err != nil {
		return err
	}
	if d.Norm == attacks.L1 {
		return registry.Errorf("norm", "free training knows %q and %q", string(attacks.Linf), string(attacks.L2))
	}
	if d.StepSize < 0 {
		return registry.Errorf("step_size", "%v must not be negative (0 means eps)", float64(d.StepSize))
	}
	if d.M < 1 {
		return registry.Errorf("replays", "%d must be at least 1", d.M)
	}
	return d.Smoothing.Validate()
}

// Share implements Defense.
func (d *FreeAT) Share() float64 { return 1 }

// Attack implements Defense: the perturbation's step is FGSM's.
func (d *FreeAT) Attack() attacks.Attack {
	return chosen("fgsm", func(a *attacks.FGSM) { a.Bound = d.Bound }).Value
}

// Work implements Worker: the gradient in the image comes with that in the weights.
func (d *FreeAT) Work() (attack, update float64) { return 0, 1 }

// Replays implements Replayer.
func (d *FreeAT) Replays() int { return d.M }

// OwnLoss implements OwnLoss: there is no teacher at the perturbed images.
func (d *FreeAT) OwnLoss() bool { return true }

// Step implements Defense.
func (d *FreeAT) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	size, n := s.Model.Input().Size(), len(b.Labels)
	delta := s.kept("free_at delta", s.rows*size)[:n*size]
	eps, step := float64(d.Epsilon)*s.EpsilonScale, float64(d.StepSize)*s.EpsilonScale
	if step == 0 {
		step = eps
	}
	moved, grad := make([]float32, n*size), make([]float32, n*size)
	for r := range n {
		d.project(delta[r*size:(r+1)*size], eps)
	}
	for i, v := range delta {
		moved[i] = min(max(b.X[i]+v, 0), 1)
	}
	s.adv.Upload(moved, 0)
	dx := s.Model.New(n * size)
	c := device.Call{Rows: n, X: s.adv, Labels: b.Labels, Scale: 1 / float32(n), InputGrad: dx,
		Loss: nn.CrossEntropy{Temperature: s.Temperature, Smoothing: float32(d.Label)}}
	m, err := s.measure(&c, n, false)
	if err != nil {
		return m, err
	}
	dx.Download(grad, 0)
	counts := device.Counts{Gradients: n}
	for r := range n {
		row, g := delta[r*size:(r+1)*size], grad[r*size:(r+1)*size]
		switch norm := length(g); {
		case norm == 0:
			counts.Zero++
		case math.IsNaN(norm) || math.IsInf(norm, 0):
			counts.NonFinite++
		case d.Norm == attacks.L2:
			for i, v := range g {
				row[i] += float32(step * float64(v) / norm)
			}
		default:
			for i, v := range g {
				if v != 0 {
					row[i] += float32(math.Copysign(step, float64(v)))
				}
			}
		}
		d.project(row, eps)
	}
	return m.count(counts), nil
}

// project brings a perturbation back into the ball of radius eps.
func (d *FreeAT) project(delta []float32, eps float64) {
	if d.Norm == attacks.L2 {
		if norm := length(delta); norm > eps {
			for i, v := range delta {
				delta[i] = float32(float64(v) * eps / norm)
			}
		}
		return
	}
	most := float32(eps)
	for i, v := range delta {
		delta[i] = min(max(v, -most), most)
	}
}

func length(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func init() {
	registry.Register("free_at", func() Defense {
		return &FreeAT{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.3}, M: 8}
	})
}
