package nn

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"rampart/nn/device"
	"rampart/nn/op"
)

// RowKind is one of two kinds of rows that a network is trained on together.
type RowKind string

// The kinds of rows.
const (
	CleanRows       RowKind = "clean"
	AdversarialRows RowKind = "adversarial"
)

// Validate reports a kind that there is not.
func (k RowKind) Validate() error {
	if k != CleanRows && k != AdversarialRows {
		return fmt.Errorf("%q: use %q or %q", string(k), AdversarialRows, CleanRows)
	}
	return nil
}

// Other is the other kind.
func (k RowKind) Other() RowKind {
	if k == CleanRows {
		return AdversarialRows
	}
	return CleanRows
}

// auxiliaryInfix is in the names of auxiliary branches: timm's SplitBatchNorm2d has them so.
const auxiliaryInfix = ".aux_bn.0."

// branch holds a batch normalisation's parameters.
type branch [4]*gorgonia.Node // weight, bias, mean, variance

// branches declares a batch normalisation's parameters, and those of its auxiliary branch where the network has
// such; what this graph does not use of the two is idle.
func (b *builder) branches(name string, channels int, held bool) (main, aux branch) {
	declare := func(layer string, idle bool) (n branch) {
		for i, p := range []param{{name: "weight", fill: 1}, {name: "bias"}, {name: "running_mean", statistic: true}, {name: "running_var", statistic: true, fill: 1}} {
			p.name, p.shape, p.held, p.idle = layer+p.name, []int{channels}, held, idle
			n[i] = b.param(p)
		}
		return n
	}
	inTraining := b.mode == training && !b.held(name+".weight")
	main = declare(name+".", b.auxiliary != "" && b.mode == byAuxiliary)
	if b.auxiliary != "" {
		aux = declare(name+auxiliaryInfix, b.mode != byAuxiliary && !inTraining)
	}
	return main, aux
}

// normalise applies a batch normalisation with the statistics that the mode asks for; one that is held
// takes its running ones.
func (b *builder) normalise(x *gorgonia.Node, name string, main, aux branch, epsilon float32) (*gorgonia.Node, error) {
	one := func(p branch) (*gorgonia.Node, error) { return op.BatchNorm(x, p[0], p[1], p[2], p[3], epsilon) }
	switch {
	case b.mode == byAuxiliary && b.auxiliary != "":
		return one(aux)
	case b.mode == evaluation || b.mode == byAuxiliary || b.held(name+".weight"):
		return one(main)
	case b.mode == batchStatistics:
		return op.BatchNormTrain(x, main[0], main[1], main[2], main[3], epsilon, 0)
	}
	switch b.auxiliary {
	case CleanRows:
		return op.BatchNormSplit(x, main, aux, epsilon, batchNormMomentum)
	case AdversarialRows:
		return op.BatchNormSplit(x, aux, main, epsilon, batchNormMomentum)
	}
	return op.BatchNormTrain(x, main[0], main[1], main[2], main[3], epsilon, batchNormMomentum)
}

// mainOf is the name of the main branch's parameter beside an auxiliary one.
func mainOf(name string) (main string, auxiliary bool) {
	layer, last, ok := strings.Cut(name, auxiliaryInfix)
	return layer + "." + last, ok
}

// WithAuxiliary completes weights of the same network without auxiliary branches: those begin as copies of
// the main ones. Weights that are complete stay as they are.
func (m *Model) WithAuxiliary(list []Weight) []Weight {
	byName := map[string]Weight{}
	for _, w := range list {
		byName[w.Name] = w
	}
	list = list[:len(list):len(list)]
	for _, p := range m.specs {
		main, ok := mainOf(p.name)
		w, there := byName[main]
		if _, own := byName[p.name]; ok && there && !own {
			w.Name = p.name
			list = append(list, w)
		}
	}
	return list
}

// Deployed is a network as it is deployed, without auxiliary branches, and its weights.
func Deployed(spec Spec, list []Weight) (Spec, []Weight) {
	kept := slices.DeleteFunc(slices.Clone(list), func(w Weight) bool {
		_, auxiliary := mainOf(w.Name)
		return auxiliary
	})
	return spec.deployed(), kept
}

func (s Spec) deployed() Spec {
	s.Auxiliary, s.Members = "", slices.Clone(s.Members)
	for i, m := range s.Members {
		s.Members[i] = m.deployed()
	}
	return s
}

// Auxiliary is a model in evaluation mode by the auxiliary branches of its batch normalisations. It compiles
// what is asked of it.
type Auxiliary struct {
	model             *Model
	logits, inputGrad device.Executable
}

// Auxiliary is that view of a model with such branches. It shares the model's weights and its limits.
func (m *Model) Auxiliary() *Auxiliary { return &Auxiliary{model: m} }

func (v *Auxiliary) load(e *device.Executable, name string, input bool) error {
	m := v.model
	if *e != nil {
		return nil
	}
	g, err := newGraph(m.Spec, byAuxiliary, graphRows, m.holds)
	if err != nil {
		return err
	}
	program, err := g.compile(name, m.rows, input, false)
	if err != nil {
		return err
	}
	m.fold(program)
	if err := m.loadFolding(); err != nil {
		return err
	}
	*e, err = m.load(program)
	return err
}

// Input is the shape of one example.
func (v *Auxiliary) Input() Shape { return v.model.Input() }

// Classes is the number of logits.
func (v *Auxiliary) Classes() int { return v.model.Classes() }

// Rows is the largest batch.
func (v *Auxiliary) Rows() int { return v.model.Rows() }

// New returns zeroed memory of the model's device.
func (v *Auxiliary) New(n int) device.Tensor { return v.model.New(n) }

// Logits is Model.Logits.
func (v *Auxiliary) Logits(c *device.Call) error {
	const name = "auxiliary logits"
	if err := v.load(&v.logits, name, false); err != nil {
		return err
	}
	return v.model.run(v.logits, c, name)
}

// InputGrad is Model.InputGrad.
func (v *Auxiliary) InputGrad(c *device.Call) error {
	const name = "auxiliary input gradient"
	if err := v.load(&v.inputGrad, name, true); err != nil {
		return err
	}
	return v.model.run(v.inputGrad, c, name)
}

// Iterate is Model.Iterate.
func (v *Auxiliary) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	if err := v.load(&v.inputGrad, "auxiliary input gradient", true); err != nil {
		return device.Counts{}, err
	}
	return v.model.iterate(v.inputGrad, c, l)
}
