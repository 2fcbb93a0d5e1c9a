// Package defenses holds the ways to train a network. A defence makes one training step of a
// batch: it prepares the rows, chooses the loss and asks for the parameter gradient once.
package defenses

import (
	"strings"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/registry"
)

// Defense is a training method with its options. It keeps nothing between steps: what it must keep
// lies in Session.State, so that a run that is resumed goes on to the same bits.
type Defense interface {
	Validate() error
	// Share is the share of a minibatch's examples that are attacked.
	Share() float64
	// Attack is the attack that the defence trains against; nil for none.
	Attack() attacks.Attack
	// Step leaves the parameter gradient of a batch in s.Model.
	Step(s *Session, b *data.Batch) (Metrics, error)
}

// What a Defense may be besides. A defence that wraps another one has Unwrap() Defense, and is all
// that the other is.
type (
	// Wide is a Defense whose parameter gradient takes more rows than the batch has examples.
	Wide interface{ Rows(batch int) int }
	// Replayer is a Defense that makes several steps in a row on each batch.
	Replayer interface{ Replays() int }
	// Guarded is a Defense whose training ends where the probed robust accuracy falls by more than
	// Guard below its best, with the weights of that best.
	Guarded interface{ Guard() float64 }
	// Student is a Defense that learns from a hardened teacher; see Session.Teacher.
	Student interface{ Student() }
	// Pretrained is a Defense that makes examples on other networks, too; see Session.Sources.
	Pretrained interface{ Sources() }
	// Joint is a Defense that trains the members of an ensemble together: the session's network is
	// their Stacked ensemble.
	Joint interface{ Together() }
	// OwnLoss is a Defense that may have a loss of its own, and cannot take the soft labels of a
	// defensive distillation then.
	OwnLoss interface{ OwnLoss() bool }
	// Many is a Defense against more attacks than its Attack.
	Many interface{ Attacks() []attacks.Attack }
	// Separable is a Defense whose parameter gradient may take adversarial and clean rows together, so that
	// each kind can have batch normalisations of its own (Xie et al. 2020).
	Separable interface{ Separates() bool }
	// Choosy is a Defense that cannot train every network.
	Choosy interface{ Suits(m *nn.Model) error }
	// Worker is a Defense whose work for an example is not that of its attacks and rows.
	Worker interface {
		Work() (attack, update float64)
	}
)

// as finds T in a defence or in what it wraps.
func as[T any](d Defense) (t T, ok bool) {
	for d != nil {
		if t, ok = d.(T); ok {
			return t, true
		}
		wrapper, wraps := d.(interface{ Unwrap() Defense })
		if !wraps {
			break
		}
		d = wrapper.Unwrap()
	}
	return t, false
}

// Unwrapped is the defence below those that wrap it.
func Unwrapped(d Defense) Defense {
	for {
		wrapper, wraps := d.(interface{ Unwrap() Defense })
		if !wraps {
			return d
		}
		d = wrapper.Unwrap()
	}
}

// Rows is the number of rows that the network's programs must take for batches of a size.
func Rows(d Defense, batch int) int {
	if w, ok := as[Wide](d); ok {
		return w.Rows(batch)
	}
	return batch
}

// Replays is the number of steps that are made on each batch.
func Replays(d Defense) int {
	if r, ok := as[Replayer](d); ok {
		return r.Replays()
	}
	return 1
}

// Guard is the fall of robust accuracy that ends the training, 0 for none.
func Guard(d Defense) float64 {
	if g, ok := as[Guarded](d); ok {
		return g.Guard()
	}
	return 0
}

// Certified reports whether a defence trains for bounds.
func Certified(d Defense) bool {
	_, ok := as[interface{ certified() }](d)
	return ok
}

// NeedsTeacher reports whether a defence learns from a hardened teacher.
func NeedsTeacher(d Defense) bool {
	_, ok := as[Student](d)
	return ok
}

// NeedsSources reports whether a defence makes examples on pretrained networks.
func NeedsSources(d Defense) bool {
	_, ok := as[Pretrained](d)
	return ok
}

// TrainsMembers reports whether a defence trains the members of an ensemble together.
func TrainsMembers(d Defense) bool {
	_, ok := as[Joint](d)
	return ok
}

// Separates reports whether a defence trains on adversarial and clean rows together.
func Separates(d Defense) bool {
	s, ok := as[Separable](d)
	return ok && s.Separates()
}

// HasOwnLoss reports whether a defence cannot learn from the soft labels of a defensive distillation.
func HasOwnLoss(d Defense) bool {
	o, ok := as[OwnLoss](d)
	return ok && o.OwnLoss()
}

// Suits reports why a defence cannot train a network, nil where it can.
func Suits(d Defense, m *nn.Model) error {
	if c, ok := as[Choosy](d); ok {
		return c.Suits(m)
	}
	return nil
}

// Attacks are all that a defence trains against.
func Attacks(d Defense) []attacks.Attack {
	if m, ok := as[Many](d); ok {
		return m.Attacks()
	}
	if a := d.Attack(); a != nil {
		return []attacks.Attack{a}
	}
	return nil
}

// ThreatModel names what a defence trains against, "" for nothing.
func ThreatModel(d Defense) string {
	var list []string
	for _, a := range Attacks(d) {
		list = append(list, a.Threat().String())
	}
	return strings.Join(list, " and ")
}

// Work is what a step costs for each example of its batch, at the most: gradients in the image, and
// rows of the parameter gradient.
func Work(d Defense) (attack, update float64) {
	if w, ok := d.(Worker); ok {
		return w.Work()
	}
	for _, a := range Attacks(d) {
		attack += d.Share() * float64(a.Gradients())
	}
	return attack, float64(Rows(d, 1))
}

// Metrics are sums over the examples of a step. In a batch that holds its examples both attacked
// and clean, Rows counts each once.
type Metrics struct {
	Loss                                   float64
	Rows, CleanRows, CleanCorrect          int
	AdversarialRows, AdversarialCorrect    int
	Gradients, ZeroGradients, BadGradients int

	tally int // where Settle finds the rest, counted from 1; 0 for nowhere
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

// validAttack judges the table [defense.attack].
func validAttack(c configs.Choice[attacks.Attack]) error {
	if !c.Set() {
		return registry.Errorf("attack", "a [defense.attack] table is needed")
	}
	if _, ok := innermost(c.Value).(attacks.Sequence); ok {
		return registry.Errorf("attack.name", "%q is a sequence of attacks for evaluation: train against one, such as \"pgd\"", c.Name)
	}
	// Training takes examples as the attack makes them: nobody projects them into the ball.
	if _, ok := innermost(c.Value).(attacks.Minimal); ok {
		return registry.Errorf("attack.name", "%q looks for the nearest adversarial example, be it beyond eps: train against an attack within eps, such as \"pgd\"", c.Name)
	}
	if n := c.Value.Restarts(); n > 1 {
		return registry.Errorf("attack.restarts", "%d restarts: training makes one run of its attack on each example", n)
	}
	return nil
}

// innermost is the attack that makes the examples, without those around it.
func innermost(a attacks.Attack) attacks.Attack {
	for {
		switch outer := a.(type) {
		case *attacks.Expectation:
			a = outer.Attack.Value
		case *attacks.Transfer:
			a = outer.Attack.Value
		default:
			return a
		}
	}
}

// chosen is an attack of our own as the default of a table.
func chosen[A attacks.Attack](name string, set func(a A)) configs.Choice[attacks.Attack] {
	c, err := configs.Choose[attacks.Attack](name)
	if err != nil {
		panic(err) // registered by package attacks
	}
	set(c.Value.(A))
	return c
}

// Smoothing gives a defence its option label_smoothing.
type Smoothing struct {
	// Label is the share of the target that is spread evenly over all classes.
	Label configs.Number `toml:"label_smoothing"`
}

// Validate reports a share outside [0,1).
func (s Smoothing) Validate() error {
	if !(s.Label >= 0 && s.Label < 1) {
		return registry.Errorf("label_smoothing", "%v must lie in [0,1)", float64(s.Label))
	}
	return nil
}

// Natural is ordinary training on clean images: the undefended network.
type Natural struct{ Smoothing }

// Share implements Defense.
func (*Natural) Share() float64 { return 0 }

// Attack implements Defense.
func (*Natural) Attack() attacks.Attack { return nil }

// OwnLoss implements OwnLoss.
func (d *Natural) OwnLoss() bool { return d.Label > 0 }

// Step implements Defense.
func (d *Natural) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	return s.update(s.x, b, 0, d.Smoothing)
}

func init() {
	registry.Kind[Defense]("defence")
	registry.Register("natural", func() Defense { return &Natural{} })
}

func positive(key string, v float64) error {
	if !(v > 0) {
		return registry.Errorf(key, "%v must be above 0", v)
	}
	return nil
}
