// Package defenses holds the ways to train a network. A defence makes one training step of a
// batch: it prepares the rows, chooses the loss and asks for the parameter gradient once.
package defenses

import (
	"fmt"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Defense is a training method with its options. It keeps no state between steps: a run that is
// resumed continues from the session's step alone.
type Defense interface {
	Validate() error
	// Share is the share of adversarial examples in a minibatch.
	Share() float64
	// Attack is the attack that the defence trains against; nil for none.
	Attack() attacks.Attack
	// Step leaves the parameter gradient of a batch in s.Model.
	Step(s *Session, b *data.Batch) (Metrics, error)
}

// Metrics are sums over the rows of a step.
type Metrics struct {
	Loss                                   float64
	Rows, CleanRows, CleanCorrect          int
	AdversarialRows, AdversarialCorrect    int
	Gradients, ZeroGradients, BadGradients int
}

// Add adds another step's sums.
func (m *Metrics) Add(o Metrics) {
	m.Loss += o.Loss
	m.Rows += o.Rows
	m.CleanRows += o.CleanRows
	m.CleanCorrect += o.CleanCorrect
	m.AdversarialRows += o.AdversarialRows
	m.AdversarialCorrect += o.AdversarialCorrect
	m.Gradients += o.Gradients
	m.ZeroGradients += o.ZeroGradients
	m.BadGradients += o.BadGradients
}

// Session is a network in training, with the device memory of a batch.
type Session struct {
	Model *nn.Model
	// Teacher, where not nil, gives the targets of a distillation at Temperature.
	Teacher     *nn.Model
	Temperature float32
	// Step numbers the batches from 0; EpsilonScale is the epsilon schedule's factor at it.
	Step         int
	EpsilonScale float64
	// Noise draws the attacks' random starts, Dropout the masks.
	Noise   rng.Stream
	Dropout uint64

	x, adv, logits, value, soft device.Tensor
	hostLogits, hostValue       []float32
}

// NewSession makes a session for batches of rows.
func NewSession(m *nn.Model, rows int) *Session {
	size, k := m.Input().Size(), m.Classes()
	return &Session{Model: m, EpsilonScale: 1, x: m.New(rows * size), adv: m.New(rows * size), logits: m.New(rows * k),
		value: m.New(rows), soft: m.New(rows * k), hostLogits: make([]float32, rows*k), hostValue: make([]float32, rows)}
}

// upload puts a batch on the device; labels outside the network's classes are an error.
func (s *Session) upload(b *data.Batch) error {
	if len(b.Labels) > len(s.hostValue) {
		return fmt.Errorf("a batch of %d in a session for %d", len(b.Labels), len(s.hostValue))
	}
	s.x.Upload(b.X, 0)
	return nil
}

// update computes the parameter gradient on x, whose first adversarial rows were attacked. The
// loss is cross-entropy on the labels or, in a distillation, on the teacher's outputs for the
// clean images in s.x.
func (s *Session) update(x device.Tensor, b *data.Batch, adversarial int) (Metrics, error) {
	rows := len(b.Labels)
	c := device.Call{Rows: rows, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{Temperature: s.Temperature},
		Scale: 1 / float32(rows), Logits: s.logits, Value: s.value, Noise: s.Dropout + uint64(s.Step)}
	if s.Teacher != nil {
		if err := s.Teacher.Logits(&device.Call{Rows: rows, X: s.x, Logits: s.soft}); err != nil {
			return Metrics{}, fmt.Errorf("teacher: %w", err)
		}
		c.Soft, c.Loss = s.soft, nn.Distill{Temperature: s.Temperature}
	}
	if err := s.Model.ParamGrad(&c); err != nil {
		return Metrics{}, err
	}
	return s.measure(b, adversarial), nil
}

// measure counts what the step's own forward pass got right.
func (s *Session) measure(b *data.Batch, adversarial int) Metrics {
	k, rows := s.Model.Classes(), len(b.Labels)
	s.logits.Download(s.hostLogits[:rows*k], 0)
	s.value.Download(s.hostValue[:rows], 0)
	m := Metrics{Rows: rows, AdversarialRows: adversarial, CleanRows: rows - adversarial}
	for r, y := range b.Labels {
		m.Loss += float64(s.hostValue[r])
		if device.Argmax(s.hostLogits[r*k:(r+1)*k]) != int(y) {
			continue
		}
		if r < adversarial {
			m.AdversarialCorrect++
		} else {
			m.CleanCorrect++
		}
	}
	return m
}

// Natural is ordinary training on clean images: the undefended network.
type Natural struct{}

// Validate implements Defense.
func (*Natural) Validate() error { return nil }

// Share implements Defense.
func (*Natural) Share() float64 { return 0 }

// Attack implements Defense.
func (*Natural) Attack() attacks.Attack { return nil }

// Step implements Defense.
func (*Natural) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	return s.update(s.x, b, 0)
}

func init() {
	registry.Kind[Defense]("defence")
	registry.Register("natural", func() Defense { return &Natural{} })
}
