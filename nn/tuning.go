package nn

import (
	"fmt"
	"slices"
	"strings"

	"rampart/nn/registry"
)

// Tuning says how a network is trained, and its weights where not all are trained alike. Names are those of weights
// ("conv1.weight"), or what they begin with up to a dot ("layer1" for "layer1.0.conv1.weight"); in an
// ensemble, those within each member. Head stands for the last dense layer.
type Tuning struct {
	// Freeze lists what training leaves as it is, or AllButHead. A batch normalisation whose weight is
	// frozen works as in evaluation, and its running statistics stay.
	Freeze []string
	Groups []Group
	// Segments, where it is above 1, saves memory: the backward passes of training and of its attacks keep
	// of the forward pass only what crosses from one of so many segments to the next, and compute the rest
	// anew (activation recomputation, Chen et al. 2016), to the same bits.
	Segments int
}

// Names with a meaning of their own, where no layer is called so.
const (
	Head       = "head"
	AllButHead = "all_but_head"
)

// Group are weights with a learning rate of their own. A weight belongs to the last group that names it.
type Group struct {
	Names []string `toml:"names"`
	// LRFactor scales the optimiser's learning rate, and with it a decoupled weight decay.
	LRFactor float64 `toml:"lr_factor"`
}

// Defaults implements configs.Defaulter.
func (g *Group) Defaults() { g.LRFactor = 1 }

// Validate reports a group without names, and a factor that is none.
func (g Group) Validate() error {
	if len(g.Names) == 0 {
		return registry.Errorf("names", "a group needs names of layers or weights, such as [\"layer1\", \"head\"]")
	}
	if !(g.LRFactor > 0 && g.LRFactor <= 1e6) {
		return registry.Errorf("lr_factor", "%v must be above 0 and at most 1e6 (to leave weights as they are, name them in freeze)", g.LRFactor)
	}
	return nil
}

// TuningError is a name that belongs to no weight, or a tuning that leaves nothing to train.
type TuningError struct {
	Key string // "freeze" or "group"
	Err error
}

func (e *TuningError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *TuningError) Unwrap() error { return e.Err }

func trainsAll(string) bool { return false }

// resolve finds the weights that are meant: which are frozen, and the factor of each one's learning rate.
func (t Tuning) resolve(params []param) (held func(name string) bool, factors []float32, err error) {
	factors, heads := make([]float32, len(params)), headNames(params)
	frozen := map[string]bool{}
	for _, name := range t.Freeze {
		list, err := match(params, heads, name)
		if err != nil {
			return nil, nil, &TuningError{"freeze", err}
		}
		for _, i := range list {
			frozen[params[i].name] = true
		}
	}
	for _, p := range params {
		if main, ok := mainOf(p.name); ok && frozen[layerOf(main)+".weight"] {
			frozen[p.name] = true // the layer works as in evaluation, by its main branch
		}
	}
	if !slices.ContainsFunc(params, func(p param) bool { return !p.statistic && !frozen[p.name] }) {
		return nil, nil, &TuningError{"freeze", fmt.Errorf("all weights are frozen, and nothing is left to train")}
	}
	for _, g := range t.Groups {
		for _, name := range g.Names {
			list, err := match(params, heads, name)
			if err != nil {
				return nil, nil, &TuningError{"group", err}
			}
			for _, i := range list {
				factors[i] = float32(g.LRFactor)
			}
		}
	}
	return func(name string) bool { return frozen[name] }, factors, nil
}

// match lists the parameters that a name stands for.
func match(params []param, heads []string, name string) (list []int, err error) {
	for i, p := range params {
		own := strings.TrimPrefix(p.name, memberPrefix(p.name))
		if own == name || strings.HasPrefix(own, name+".") {
			list = append(list, i)
		}
	}
	if len(list) == 0 && (name == Head || name == AllButHead) {
		for i, p := range params {
			if slices.Contains(heads, layerOf(p.name)) == (name == Head) {
				list = append(list, i)
			}
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	var known []string // the first parts of names: deep networks have many
	for _, p := range params {
		if part, _, _ := strings.Cut(strings.TrimPrefix(p.name, memberPrefix(p.name)), "."); !slices.Contains(known, part) {
			known = append(known, part)
		}
	}
	return nil, registry.Unknown("layer or weight", name, append(known, Head))
}

// hold takes the gradients of weights that are held out of a graph that has them.
func (g *graph) hold(held func(name string) bool) {
	for i := range g.params {
		if p := &g.params[i]; held(p.name) {
			p.held, g.grads[i] = true, nil
		}
	}
}

// holds reports whether the model's training leaves a weight as it is.
func (m *Model) holds(name string) bool {
	return slices.ContainsFunc(m.specs, func(p param) bool { return p.held && p.name == name })
}
