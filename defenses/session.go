package defenses

import (
	"fmt"

	"rampart/attacks"
	"rampart/data"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Session is a network in training, with the device memory of a batch.
type Session struct {
	Model *nn.Model
	// Teacher, where not nil, is the hardened network that a Student learns from; for every other
	// defence it gives the targets of a defensive distillation at Temperature.
	Teacher *nn.Model
	// Sources are the static networks that a Pretrained defence also makes its examples on.
	Sources     []*nn.Model
	Temperature float32
	// Step numbers the steps from 0; Progress is the share of all steps that are made already.
	Step     int
	Progress float64
	// EpsilonScale and StepsScale multiply the training attack's epsilon and number of steps.
	EpsilonScale, StepsScale float64
	// Noise draws the attacks' random starts, Dropout the masks.
	Noise   rng.Stream
	Dropout uint64
	// Before, where not nil, is Model behind the transformations that it is to learn behind.
	Before *transform.Network
	// OnBatch, where not nil, is Model with the batch's statistics, which attacks meet then.
	OnBatch *nn.OnBatch
	// Auxiliary, where not nil, is Model by its auxiliary batch normalisations. Clean images are answered
	// then by the branch of clean rows, and attacks meet that of adversarial ones.
	Auxiliary *nn.Auxiliary
	// State is what a defence keeps from step to step, by name; a run saves it.
	State map[string][]float32

	// Later leaves the loss, what was right and what attacks counted out of the metrics of a step, where the device
	// keeps them; Settle enters them.
	Later bool

	tallies          device.Tensor // of Later
	tallied          int
	rows             int           // of a batch
	x                device.Tensor // the clean batch
	next             device.Tensor // the clean batch of a later step, made by Ahead
	ahead            *data.Batch   // that is on its way to next; nil for none
	adv              device.Tensor // the rows of the gradient, adversarial ones first
	logits, value    device.Tensor
	soft             device.Tensor
	hostLogits, host []float32
	labels           []int32
	index            []uint32  // of the batch
	source           *nn.Model // that the attack is made on; nil is Model
	uncut            bool      // see the type
	// gradient is what the one parameter gradient of a step goes through.
	gradient func(*device.Call) error
	// bounds, boxes and crown are made by the first step that asks for them.
	bounds *nn.Bounds
	boxes  device.Tensor
	crown  *nn.Crown
	// denoiser and disturbed are those of Denoise.
	denoiser  *nn.Reconstruction
	disturbed device.Tensor
}

// NewSession makes a session for batches of rows; see Rows for what m must take.
func NewSession(m *nn.Model, rows int) *Session {
	size, k, all := m.Input().Size(), m.Classes(), m.Rows()
	return &Session{Model: m, EpsilonScale: 1, StepsScale: 1, State: map[string][]float32{}, rows: rows,
		x: m.New(rows * size), adv: m.New(all * size), logits: m.New(all * k), value: m.New(all), soft: m.New(all * k),
		hostLogits: make([]float32, all*k), host: make([]float32, all), gradient: m.ParamGrad}
}

// kept returns the n values that the defence keeps under a name, 0 at first.
func (s *Session) kept(name string, n int) []float32 {
	if len(s.State[name]) != n {
		s.State[name] = make([]float32, n)
	}
	return s.State[name]
}

// upload puts a batch on the device.
func (s *Session) upload(b *data.Batch) error {
	if len(b.Labels) > s.rows {
		return fmt.Errorf("a batch of %d in a session for %d", len(b.Labels), s.rows)
	}
	if b == s.ahead {
		s.x, s.next, s.ahead = s.next, s.x, nil
	} else {
		s.x.Upload(b.X, 0)
	}
	s.index = b.Index
	return nil
}

// Distant reports whether batches travel to the device, so that Ahead is worth while.
func (s *Session) Distant() bool {
	_, ok := s.x.(device.Distant)
	return ok
}

// Ahead lets the batch of a later step travel to a Distant device while that is busy with this step's.
// The batch must not change until its step; others may come between.
func (s *Session) Ahead(b *data.Batch) {
	if s.next == nil {
		s.next = s.Model.New(s.x.Len())
	}
	s.next.(device.Distant).UploadAhead(b.X)
	s.ahead = b
}

// begin puts the clean batch, in s.x already, where the attack's result is to be.
func (s *Session) begin(b *data.Batch) {
	if d, ok := s.adv.(device.Distant); ok {
		d.CopyFrom(s.x)
		return
	}
	s.adv.Upload(b.X, 0)
}

// branch is the network in training as rows of a kind meet it.
func (s *Session) branch(rows nn.RowKind) attacks.Victim {
	if s.Auxiliary != nil && s.Model.Spec.Auxiliary == rows {
		return s.Auxiliary
	}
	return s.Model
}

// answer writes the network's logits for the batch's first n examples, in x, to out.
func (s *Session) answer(n int, x, out device.Tensor) error {
	v := s.branch(nn.CleanRows)
	if s.Before != nil {
		v = s.Before
	}
	return v.Logits(&device.Call{Rows: n, X: x, Logits: out, Noise: s.Dropout + uint64(s.Step), Example: s.index[:n]})
}

// update computes the parameter gradient on x, whose first adversarial rows were attacked. The
// loss is cross-entropy on the labels or, in a distillation, on the teacher's outputs for the
// clean images in s.x.
func (s *Session) update(x device.Tensor, b *data.Batch, adversarial int, smooth Smoothing) (Metrics, error) {
	rows := len(b.Labels)
	c := device.Call{Rows: rows, X: x, Labels: b.Labels, Scale: 1 / float32(rows),
		Loss: nn.CrossEntropy{Temperature: s.Temperature, Smoothing: float32(smooth.Label)}}
	if s.Teacher != nil {
		if err := s.teach(rows); err != nil {
			return Metrics{}, err
		}
		c.Soft, c.Loss = s.soft, nn.Distill{Temperature: s.Temperature}
	} else if b.Mix != nil {
		s.targets(b, s.Temperature, float32(smooth.Label))
		c.Soft, c.Loss = s.soft, nn.Distill{Temperature: s.Temperature}
	}
	return s.run(&c, adversarial)
}

// updatePairs computes the parameter gradient of a loss on the adversarial rows in s.adv, one for
// each example, and the clean ones. With soft, s.soft holds a row for each example.
func (s *Session) updatePairs(b *data.Batch, loss device.Tied, soft bool) (Metrics, error) {
	n, size, k := len(b.Labels), s.Model.Input().Size(), s.Model.Classes()
	s.adv.Upload(b.X, n*size)
	s.labels = append(append(s.labels[:0], b.Labels...), b.Labels...)
	c := device.Call{Rows: 2 * n, X: s.adv, Labels: s.labels, Loss: loss, Scale: 1 / float32(n)}
	if b.Mix != nil && !soft {
		s.targets(b, 1, 0)
		c.Loss, soft = nn.Blend{Loss: loss}, true
	}
	if soft {
		s.soft.Download(s.hostLogits[:n*k], 0)
		s.soft.Upload(s.hostLogits[:n*k], n*k)
		c.Soft = s.soft
	}
	m, err := s.run(&c, n)
	m.Rows = n
	return m, err
}

// teach puts the teacher's logits for the clean batch into s.soft.
func (s *Session) teach(rows int) error {
	if s.Teacher == nil {
		return fmt.Errorf("there is no teacher to learn from")
	}
	if err := s.Teacher.Logits(&device.Call{Rows: rows, X: s.x, Logits: s.soft}); err != nil {
		return fmt.Errorf("teacher: %w", err)
	}
	return nil
}

// run computes the parameter gradient and counts what its own forward pass got right, now or for Settle; the first
// rows are adversarial.
func (s *Session) run(c *device.Call, adversarial int) (Metrics, error) {
	return s.measure(c, adversarial, true)
}

// measure is run, which a defence that needs the figures calls with later false.
func (s *Session) measure(c *device.Call, adversarial int, later bool) (Metrics, error) {
	c.Logits, c.Value, c.Noise, c.Adversarial = s.logits, s.value, s.Dropout+uint64(s.Step), adversarial
	gradient := s.gradient
	if s.Before != nil {
		c.Example = nil
		for r := range c.Rows {
			c.Example = append(c.Example, s.index[r%len(s.index)]) // rows come in groups of the batch
		}
		gradient = func(c *device.Call) error { return s.Before.Through(c, s.gradient) }
	}
	if err := gradient(c); err != nil {
		return Metrics{}, err
	}
	k := s.Model.Classes()
	m := Metrics{Rows: c.Rows, AdversarialRows: adversarial, CleanRows: c.Rows - adversarial}
	if counter := s.counter(); later && counter != nil && s.tallied < mostTallies {
		return s.tally(counter, c.Labels, m)
	}
	s.logits.Download(s.hostLogits[:c.Rows*k], 0)
	s.value.Download(s.host[:c.Rows], 0)
	for r, y := range c.Labels {
		m.Loss += float64(s.host[r])
		if device.Argmax(s.hostLogits[r*k:(r+1)*k]) != int(y) {
			continue
		}
		if r < adversarial {
			m.AdversarialCorrect++
		} else {
			m.CleanCorrect++
		}
	}
	return m, nil
}

// perturb attacks the batch's first n examples, in s.x already, and writes them to s.adv; the
// other rows of the batch stay clean there. bend, where not nil, changes the attack's loop.
func (s *Session) perturb(a attacks.Attack, b *data.Batch, n int, bend bend) (device.Counts, error) {
	s.begin(b)
	epsilon := float64(a.Threat().Epsilon) * s.EpsilonScale
	if epsilon == 0 || n == 0 {
		return device.Counts{}, nil
	}
	if b.Mix != nil && bend == nil {
		s.targets(b, 1, 0)
		bend = towards(s.soft)
	}
	// The step number takes the place of the restart, so that an example meets new noise each time.
	counts, err := a.At(epsilon).Perturb(s.victim(bend), &attacks.Batch{X: s.x, Labels: b.Labels[:n], Index: b.Index[:n]},
		s.adv, attacks.Draw{Stream: s.Noise, Restart: uint32(s.Step)})
	if err != nil {
		return counts, fmt.Errorf("%s: %w", a.Label(), err)
	}
	return counts, nil
}

// count enters what an attack did.
func (m Metrics) count(c device.Counts) Metrics {
	m.Gradients, m.ZeroGradients, m.BadGradients = c.Gradients, c.Zero, c.NonFinite
	return m
}
