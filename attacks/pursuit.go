package attacks

import (
	"math"
	"slices"

	"rampart/configs"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/kernel"
	"rampart/nn/registry"
)

// Search gives an attack that weighs distance against loss by a constant c, found by binary
// search, its options (Carlini and Wagner 2017, section VI).
type Search struct {
	// Searches is the number of values of c that are tried, Steps that of the steps with each.
	Searches int            `toml:"binary_search_steps"`
	Steps    int            `toml:"steps"`
	StepSize configs.Number `toml:"step_size"`
	// Const is the first c: ten times as much follows until it is enough, then bisection.
	Const configs.Number `toml:"initial_const"`
	// Confidence is by how much the other class has to win (kappa).
	Confidence configs.Number `toml:"confidence"`
	// AbortEarly leaves a value of c with an example whose objective has not fallen by a
	// ten-thousandth in a tenth of the steps.
	AbortEarly bool   `toml:"abort_early"`
	Target     Target `toml:"target"`
}

func (s *Search) validate() error {
	switch {
	case s.Searches < 1:
		return registry.Errorf("binary_search_steps", "%d must be at least 1", s.Searches)
	case s.Steps < 1:
		return registry.Errorf("steps", "%d must be at least 1", s.Steps)
	case !(s.StepSize > 0):
		return registry.Errorf("step_size", "%v must be above 0", float64(s.StepSize))
	case !(s.Const > 0):
		return registry.Errorf("initial_const", "%v must be above 0", float64(s.Const))
	case !(s.Confidence >= 0):
		return registry.Errorf("confidence", "%v must not be negative", float64(s.Confidence))
	}
	return s.Target.Validate()
}

// Restarts implements Attack.
func (*Search) Restarts() int { return 1 }

// Gradients implements Attack.
func (s *Search) Gradients() int { return s.Searches * s.Steps }

// Minimal implements Minimal.
func (*Search) Minimal() bool { return true }

// pursuit is such a search in progress. Slices are by row of the batch.
type pursuit struct {
	*Search
	o      *oracle
	clean  []float32
	labels []int32 // or targets
	loss   device.Loss

	best         []float32 // the nearest adversarial image, the clean one where there is none
	distance     []float64 // of best
	c, low, high []float64
	found        []bool
	objective    []float64 // at the step's image, and at the last look
	before       []float64

	x     []float32 // images and labels of the rows at work
	goals []int32
}

// pursuer is what is particular to a method.
type pursuer interface {
	// begin prepares a search.
	begin(p *pursuit)
	// step makes step number k of some rows. It tells the pursuit the objective of each row, and of
	// images that may be the best.
	step(p *pursuit, rows []int, k int) error
}

// pursue runs the searches and writes the nearest adversarial image of each example to adv, the
// clean one where it finds none.
func (s *Search) pursue(v Victim, b *Batch, adv device.Tensor, d Draw, method func(*pursuit) pursuer) (device.Counts, error) {
	labels, err := s.Target.classes(v, b, d)
	if err != nil {
		return device.Counts{}, err
	}
	if labels == nil {
		labels = b.Labels
	}
	n := len(labels)
	floats := func() []float64 { return make([]float64, n) }
	p := &pursuit{Search: s, o: newOracle(v, b, d), labels: labels, loss: nn.Margin{}, distance: floats(), c: floats(), low: floats(), high: floats(),
		found: make([]bool, n), objective: floats(), before: floats(), goals: make([]int32, n)}
	if s.Target != "" {
		p.loss = nn.Targeted{Loss: nn.Margin{}}
	}
	p.clean, p.best, p.x = p.o.clean(), p.o.clean(), p.o.clean()
	z, err := p.o.logits(p.clean, count(n))
	if err != nil {
		return p.o.counts, err
	}
	var work []int // what is adversarial as it is needs none
	for r := range n {
		p.distance[r], p.c[r], p.high[r] = math.Inf(1), float64(s.Const), math.Inf(1)
		if p.lead(z, r, r) <= float64(s.Confidence) {
			work = append(work, r)
		}
	}
	m := method(p)
	for search := range s.Searches {
		m.begin(p)
		for r := range n {
			p.found[r], p.before[r] = false, math.Inf(1)
		}
		rows := slices.Clone(work)
		for k := 0; k < s.Steps && len(rows) > 0; k++ {
			// A step has two questions at the most: their numbers do not depend on the other rows' end.
			p.o.questions = 1 + 2*uint64(search*s.Steps+k)
			if err := m.step(p, rows, k); err != nil {
				return p.o.counts, err
			}
			rows = p.persist(rows, k)
		}
		p.bisect()
	}
	adv.Upload(p.best, 0)
	return p.o.counts, nil
}

// persist returns the rows for which c is worth another step.
func (p *pursuit) persist(rows []int, k int) []int {
	if !p.AbortEarly || k%((p.Steps+9)/10) != 0 {
		return rows
	}
	return slices.DeleteFunc(rows, func(r int) bool {
		stuck := p.objective[r] > 0.9999*p.before[r]
		p.before[r] = p.objective[r]
		return stuck
	})
}

// row is the image of row r.
func (p *pursuit) row(images []float32, r int) []float32 {
	return images[r*p.o.size:][:p.o.size]
}

// gather lays images of some rows side by side.
func (p *pursuit) gather(images []float32, rows []int) {
	for i, r := range rows {
		copy(p.row(p.x, i), p.row(images, r))
		p.goals[i] = p.labels[r]
	}
}

// descend returns the logits of images and the gradient of c max(0, confidence - lead), row by row.
func (p *pursuit) descend(images []float32, rows []int) (z, dx []float32, err error) {
	p.gather(images, rows)
	z, _, dx, err = p.o.gradient(p.x, rows, p.goals, nil, p.loss)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range rows {
		factor := float32(-p.c[r])
		if p.lead(z, i, r) >= float64(p.Confidence) {
			factor = 0
		}
		kernel.Scale(p.row(dx, i), p.row(dx, i), factor)
	}
	return z, dx, nil
}

// judge enters image number i of the answer, of row r, if it is adversarial and nearer than others
// were. It returns the part of the objective that its logits make.
func (p *pursuit) judge(z []float32, i, r int, image []float32, distance float64) float64 {
	lead := p.lead(z, i, r)
	if lead > float64(p.Confidence) {
		p.found[r] = true
		if distance < p.distance[r] {
			p.distance[r] = distance
			copy(p.row(p.best, r), image)
		}
	}
	return p.c[r] * max(0, float64(p.Confidence)-lead)
}

// lead is by how much the class of an adversarial example wins, of row r, whose logits are number i.
func (p *pursuit) lead(z []float32, i, r int) float64 {
	row, y := z[i*p.o.classes:][:p.o.classes], int(p.labels[r])
	other := math.Inf(-1)
	for j, v := range row {
		if j != y {
			other = max(other, float64(v))
		}
	}
	if p.Target != "" {
		return float64(row[y]) - other
	}
	return other - float64(row[y])
}

// bisect sets the constants of the next search.
func (p *pursuit) bisect() {
	for r := range p.c {
		if p.found[r] {
			p.high[r] = p.c[r]
		} else {
			p.low[r] = p.c[r]
		}
		if math.IsInf(p.high[r], 1) {
			p.c[r] *= 10
		} else {
			p.c[r] = (p.low[r] + p.high[r]) / 2
		}
	}
}
