// Package nn builds networks as gorgonia expression graphs and compiles them to programs for a
// device: logits; logits, loss and d/dx for attacks; loss and d/dweights for training.
package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"rampart/nn/device"
	"rampart/nn/rng"
)

// Model is a network on a device. Its methods take device.Calls of at most Rows rows. It is not
// safe for concurrent use.
type Model struct {
	Spec   Spec
	Device device.Device

	rows   int
	specs  []param
	params *device.Parameters
	logits,
	inputGrad,
	paramGrad device.Executable
	programs []*device.Program
	train    *graph
	// bothGrads also computes the input's gradient in training mode; it is made on first use.
	bothGrads device.Executable
	steps     int
	folding   *folding // nil where nothing is folded
	segments  int      // of Tuning
	// classifier is what stands behind the denoiser; it is made on first use.
	classifier *Model
}

// Build makes a network with fresh weights drawn from init, ready for batches of up to rows.
func Build(spec Spec, dev device.Device, rows int, init rng.Stream) (*Model, error) {
	return BuildTuned(spec, dev, rows, init, Tuning{})
}

// BuildTuned is Build for a network whose weights are not all trained alike. A name in the tuning
// that belongs to no weight is a *TuningError.
func BuildTuned(spec Spec, dev device.Device, rows int, init rng.Stream, tuning Tuning) (*Model, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("build model: %w", err)
	}
	eval, err := newGraph(spec, evaluation, graphRows, trainsAll)
	if err != nil {
		return nil, fmt.Errorf("build model: %w", err)
	}
	held, factors, err := tuning.resolve(eval.params)
	if err != nil {
		return nil, err
	}
	train := eval
	if differs(spec) {
		if train, err = newGraph(spec, training, graphRows, held); err != nil {
			return nil, fmt.Errorf("build model: %w", err)
		}
	}
	eval.hold(held)
	m := &Model{Spec: spec, Device: dev, rows: rows, specs: eval.params, params: &device.Parameters{}, train: train, segments: tuning.Segments}
	if err := m.allocate(init); err != nil {
		return nil, fmt.Errorf("build model: %w", err)
	}
	for i, f := range factors {
		m.params.List[i].RateFactor = f
	}
	list := []struct {
		exec         *device.Executable
		graph        *graph
		name         string
		input, param bool
	}{
		{&m.logits, eval, "logits", false, false},
		{&m.inputGrad, eval, "input gradient", true, false},
		{&m.paramGrad, train, "parameter gradient", false, true},
	}
	for _, p := range list {
		program, err := p.graph.compile(p.name, rows, p.input, p.param)
		if err != nil {
			return nil, fmt.Errorf("build model: %w", err)
		}
		if !p.param {
			m.fold(program)
		}
		m.programs = append(m.programs, program)
	}
	// The largest first: where memory runs out, what a device says would fit is right for all.
	for i, p := range slices.Backward(list) {
		if *p.exec, err = m.load(m.programs[i]); err != nil {
			return nil, fmt.Errorf("build model: %w", err)
		}
	}
	if err := m.loadFolding(); err != nil {
		return nil, fmt.Errorf("build model: %w", err)
	}
	return m, nil
}

// load prepares a program with as many segments as the tuning asks for.
func (m *Model) load(p *device.Program) (device.Executable, error) {
	recompute(p, m.segments)
	return m.Device.Load(p, m.params)
}

// Memory is how many bytes the input gradient and the parameter gradient compute in, weights left out.
// They take turns in the same memory. It is 0 where the device cannot tell.
func (m *Model) Memory() (inputGrad, paramGrad int) {
	size := func(e device.Executable) int {
		if s, ok := e.(device.Sized); ok {
			return s.Memory()
		}
		return 0
	}
	return size(m.inputGrad), size(m.paramGrad)
}

func (m *Model) allocate(init rng.Stream) error {
	const most = 1 << 31
	seen := map[string]bool{}
	total := 0.0
	for i, p := range m.specs {
		n := 1.0
		for _, d := range p.shape {
			n *= float64(d)
		}
		if total += n; total > most {
			return fmt.Errorf("%q of shape %v brings the network to more than %d weights", p.name, p.shape, most)
		}
		if seen[p.name] {
			return fmt.Errorf("two layers give a weight named %q: name them apart", p.name)
		}
		seen[p.name] = true
		values := p.initial(init, uint32(i))
		d := &device.Parameter{Name: p.name, Shape: p.shape, Frozen: p.frozen(), Value: m.Device.New(len(values))}
		d.Value.Upload(values, 0)
		if !p.frozen() {
			d.Grad = m.Device.New(len(values))
		}
		m.params.List = append(m.params.List, d)
	}
	return nil
}

// initial draws a parameter's first values; index keeps the draws of different weights apart.
func (p param) initial(stream rng.Stream, index uint32) []float32 {
	n := p.size()
	v := make([]float32, n)
	if p.init.Weights == "" {
		for i := range v {
			v[i] = p.fill
		}
		return v
	}
	if p.fanIn > 0 { // a bias
		p.shape = []int{p.fanIn, n}
	}
	out := p.shape[len(p.shape)-1]
	fanIn := p.size() / out
	receptive := 1
	for _, d := range p.shape[:len(p.shape)-2] {
		receptive *= d
	}
	switch p.init.Weights {
	case "zeros":
	case "truncated_normal":
		stream.TruncatedNormal(v, 0, float32(p.init.Std), index, 0, 0)
	case "glorot":
		bound := float32(math.Sqrt(6 / float64(fanIn+out*receptive)))
		stream.Uniform(v, -bound, bound, index, 0, 0)
	case "pytorch":
		bound := float32(1 / math.Sqrt(float64(fanIn)))
		stream.Uniform(v, -bound, bound, index, 0, 0)
	default: // kaiming
		stream.Normal(v, 0, float32(math.Sqrt(2/float64(fanIn))), index, 0, 0)
	}
	return v
}

// Rows is the largest batch that the model was built for.
func (m *Model) Rows() int { return m.rows }

// Parameters is the number of weights, running statistics left out.
func (m *Model) Parameters() int { return m.count(func(p param) bool { return !p.statistic }) }

// Trained is the number of weights that training changes.
func (m *Model) Trained() int { return m.count(func(p param) bool { return !p.frozen() }) }

func (m *Model) count(which func(p param) bool) (n int) {
	for _, p := range m.specs {
		if which(p) {
			n += p.size()
		}
	}
	return n
}

// Programs returns what the model runs: logits, input gradient, parameter gradient.
func (m *Model) Programs() []*device.Program { return m.programs }

// New returns zeroed memory of the model's device.
func (m *Model) New(n int) device.Tensor { return m.Device.New(n) }

// Logits computes c.Logits from c.X in evaluation mode.
func (m *Model) Logits(c *device.Call) error { return m.run(m.logits, c, "logits") }

// InputGrad computes c.InputGrad, the gradient of the sum of c.Loss over rows, and c.Logits and
// c.Value where they are not nil, in evaluation mode.
func (m *Model) InputGrad(c *device.Call) error { return m.run(m.inputGrad, c, "input gradient") }

// ParamGrad computes the gradient of c.Scale times the sum of c.Loss over rows in training mode,
// and keeps it for Update. The loss sees the whole batch, and may be device.Tied. Where c.InputGrad
// is not nil it receives the gradient in the input, of the same pass and scale.
func (m *Model) ParamGrad(c *device.Call) error {
	const what = "parameter gradient"
	if tied, ok := c.Loss.(device.Tied); ok && c.Rows%tied.Groups() != 0 {
		return fmt.Errorf("%s: %d rows for a loss on %d groups of rows", what, c.Rows, tied.Groups())
	}
	if err := m.check(c); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if m.folding != nil {
		m.folding.fresh = false // running statistics move
	}
	if c.InputGrad == nil {
		return m.paramGrad.Run(c)
	}
	if m.bothGrads == nil {
		program, err := m.train.compile("both gradients", m.rows, true, true)
		if err == nil {
			m.bothGrads, err = m.load(program)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return m.bothGrads.Run(c)
}

// Iterate runs an attack's inner loop on the device in evaluation mode.
func (m *Model) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return m.iterate(m.inputGrad, c, l)
}

func (m *Model) iterate(e device.Executable, c *device.Call, l *device.Loop) (device.Counts, error) {
	err := m.checkRowwise(c)
	if err == nil {
		err = m.refold()
	}
	if err != nil {
		return device.Counts{}, fmt.Errorf("attack loop: %w", err)
	}
	return e.Iterate(c, l)
}

// Update makes one optimiser step with the gradients of the last ParamGrad. Whether they were finite
// may be left to Settle.
func (m *Model) Update(rule device.Optimizer, lr float64) error {
	if err := m.Device.Update(rule, m.params, float32(lr), m.steps+1); err != nil {
		return err
	}
	m.steps++
	m.params.Version++
	return nil
}

// Settle returns the error of an Update that was not finite, where the device did not wait for it then: the
// weights, the optimiser's state and its count of steps are those before that step.
func (m *Model) Settle() error {
	d, ok := m.Device.(device.Settler)
	if !ok {
		return nil
	}
	err := d.Settle(m.params)
	var bad *device.NotFinite
	if errors.As(err, &bad) {
		m.steps = bad.Step - 1
	}
	return err
}

// Profile runs f, which calls the model, and returns the time of each instruction of program i of
// Programs, or nil where the device cannot tell.
func (m *Model) Profile(i int, f func() error) ([]time.Duration, error) {
	p, ok := []device.Executable{m.logits, m.inputGrad, m.paramGrad}[i].(device.Profiler)
	if !ok {
		return nil, f()
	}
	return p.Profile(f)
}

func (m *Model) run(e device.Executable, c *device.Call, what string) error {
	err := m.checkRowwise(c)
	if err == nil {
		err = m.refold()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return e.Run(c)
}

// checkRowwise also refuses losses that need the whole batch: these programs run tile by tile.
func (m *Model) checkRowwise(c *device.Call) error {
	if _, tied := c.Loss.(device.Tied); tied {
		return fmt.Errorf("loss %T ties rows together: it serves the parameter gradient only", c.Loss)
	}
	return m.check(c)
}

func (m *Model) check(c *device.Call) error {
	switch {
	case c.Rows < 1 || c.Rows > m.rows:
		return fmt.Errorf("%d rows: the model was built for 1 to %d", c.Rows, m.rows)
	case c.X.Len() < c.Rows*m.Spec.Input.Size():
		return fmt.Errorf("%d values for %d examples of %v", c.X.Len(), c.Rows, m.Spec.Input)
	case c.Labels != nil && len(c.Labels) < c.Rows:
		return fmt.Errorf("%d labels for %d rows", len(c.Labels), c.Rows)
	}
	for _, y := range c.Labels {
		if y < 0 || int(y) >= m.Spec.Classes {
			return fmt.Errorf("label %d: the model knows classes 0 to %d", y, m.Spec.Classes-1)
		}
	}
	return nil
}

// Input is the shape of one example.
func (m *Model) Input() Shape { return m.Spec.Input }

// Classes is the number of logits.
func (m *Model) Classes() int { return m.Spec.Classes }
