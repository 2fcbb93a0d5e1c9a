package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// IBP is training by interval bound propagation (Gowal et al. 2019, section 3): Kappa times the loss of
// the clean images and 1-Kappa times that of the worst logits which the interval bounds allow within
// eps in Linf. What it hardens can be verified: see nn.Bounds. As in the paper's schedule training
// begins on clean images alone; then eps grows from 0 to its value and Kappa falls from 1 to its own,
// both linearly. train.eps_schedule, too, scales eps. Bounds are those of the deployed network: batch
// normalisation by its running statistics, no dropout.
type IBP struct {
	// Epsilon is that at the end of the ramp, in Linf; somewhat more than what is to be verified.
	Epsilon configs.Number `toml:"eps"`
	// Kappa is the share of the clean loss at the end of the ramp.
	Kappa configs.Number `toml:"kappa"`
	// Warmup and Ramp are shares of the steps: until Warmup eps is 0, and from Warmup+Ramp on it is full.
	Warmup configs.Number `toml:"warmup"`
	Ramp   configs.Number `toml:"ramp"`
}

// Validate implements Defense.
func (d *IBP) Validate() error {
	if err := (attacks.Bound{Norm: attacks.Linf, Epsilon: d.Epsilon}).Validate(); err != nil {
		return err
	}
	if !(d.Kappa >= 0 && d.Kappa < 1) {
		return registry.Errorf("kappa", "%v must lie in [0,1): the rest is the share of the worst case", float64(d.Kappa))
	}
	if !(d.Warmup >= 0 && d.Warmup < 1) {
		return registry.Errorf("warmup", "%v is not a share of the steps below 1", float64(d.Warmup))
	}
	if !(d.Ramp >= 0 && d.Warmup+d.Ramp <= 1) {
		return registry.Errorf("ramp", "%v: warmup and ramp are shares of the steps, together at most 1", float64(d.Ramp))
	}
	return nil
}

// Share implements Defense: nothing is attacked.
func (d *IBP) Share() float64 { return 0 }

// Attack implements Defense.
func (d *IBP) Attack() attacks.Attack { return nil }

// OwnLoss implements OwnLoss.
func (d *IBP) OwnLoss() bool { return true }

// Work implements Worker: bounds take a centre and a half-width, beside the clean images.
func (d *IBP) Work() (attack, update float64) { return 0, 3 }

// done is how much of the ramp is over at a share of the steps.
func (d *IBP) done(progress float64) float64 {
	over := progress - float64(d.Warmup)
	switch {
	case progress >= float64(d.Warmup+d.Ramp):
		return 1
	case over <= 0:
		return 0
	}
	return over / float64(d.Ramp)
}

// At is how far the schedule has come at a share of the steps.
func (d *IBP) At(progress float64) (epsilon, kappa float64) {
	done := d.done(progress)
	return done * float64(d.Epsilon), 1 - done*(1-float64(d.Kappa))
}

// certified marks what trains for bounds, for AWP.
func (d *IBP) certified() {}

// Suits implements Choosy.
func (d *IBP) Suits(m *nn.Model) error {
	_, err := nn.NewBounds(m, 1)
	return err
}

// Step implements Defense.
func (d *IBP) Step(s *Session, b *data.Batch) (Metrics, error) {
	return d.step(s, b, s.worstCase)
}

// step mixes the loss of the clean images with that of the worst case: worst adds scale times the
// gradient of the latter and returns its sum.
func (d *IBP) step(s *Session, b *data.Batch, worst func(b *data.Batch, epsilon, scale float64) (float64, error)) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	epsilon, kappa := d.At(s.Progress)
	n := len(b.Labels)
	m, err := s.measure(&device.Call{Rows: n, X: s.x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: float32(kappa) / float32(n)}, 0, false)
	if err != nil || kappa == 1 {
		return m, err
	}
	loss, err := worst(b, epsilon*s.EpsilonScale, (1-kappa)/float64(n))
	m.Loss = kappa*m.Loss + (1-kappa)*loss
	return m, err
}

// worstCase adds to the gradient scale times that of the loss of the worst logits within epsilon, and
// returns the sum of that loss.
func (s *Session) worstCase(b *data.Batch, epsilon, scale float64) (float64, error) {
	if s.bounds == nil {
		bounds, err := nn.NewBounds(s.Model, s.rows)
		if err != nil {
			return 0, err
		}
		if bounds.Before, err = s.boundsBefore(); err != nil {
			return 0, err
		}
		s.bounds, s.boxes = bounds, s.Model.New(2*s.rows*s.Model.Input().Size())
	}
	box := make([]float32, 2*len(b.X))
	s.bounds.Box(box, b.X, epsilon)
	s.boxes.Upload(box, 0)
	n := len(b.Labels)
	if err := s.bounds.AddGrad(&device.Call{Rows: n, X: s.boxes, Labels: b.Labels, Loss: nn.WorstCase{}, Scale: float32(scale), Value: s.value}); err != nil {
		return 0, err
	}
	s.value.Download(s.host[:n], 0)
	sum := 0.0
	for _, v := range s.host[:n] {
		sum += float64(v)
	}
	return sum, nil
}

// boundsBefore takes bounds through the transformations that the network learns behind.
func (s *Session) boundsBefore() (func(image []float32), error) {
	if s.Before == nil {
		return nil, nil
	}
	return s.Before.Chain().Bounds(s.Model.Input())
}

func init() {
	registry.Register("ibp", func() Defense { return &IBP{Epsilon: 0.4, Kappa: 0.5, Warmup: 1.0 / 30, Ramp: 1.0 / 6} })
}
