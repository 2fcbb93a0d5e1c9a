package nn

import (
	"fmt"
	"slices"
	"strings"

	"rampart/nn/device"
)

// Weight is a named tensor in PyTorch's layout: convolutions [Out,In,KH,KW], dense layers [Out,In]
// with the inputs behind a flatten in C,H,W order.
type Weight struct {
	Name  string
	Shape []int
	Data  []float32
}

// WeightShapes lists the weights that a network would have, without values and without a device.
func WeightShapes(spec Spec) ([]Weight, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	g, err := newGraph(spec, evaluation, graphRows, trainsAll)
	if err != nil {
		return nil, err
	}
	list := make([]Weight, len(g.params))
	for i, p := range g.params {
		list[i] = Weight{Name: p.name, Shape: p.torchShape()}
	}
	return list, nil
}

// Weights returns a copy of all weights, running statistics included.
func (m *Model) Weights() []Weight {
	list := make([]Weight, len(m.specs))
	for i, p := range m.specs {
		list[i] = p.export(download(m.params.List[i].Value))
	}
	return list
}

// SetWeights replaces all weights. Each of the model's must be there with its shape, and no other:
// on an error nothing has changed.
func (m *Model) SetWeights(list []Weight) error {
	byName := map[string]Weight{}
	for _, w := range list {
		if _, twice := byName[w.Name]; twice {
			return fmt.Errorf("weight %q is there twice", w.Name)
		}
		byName[w.Name] = w
	}
	values := make([][]float32, len(m.specs))
	var missing []string
	for i, p := range m.specs {
		w, ok := byName[p.name]
		if !ok {
			missing = append(missing, p.name)
			continue
		}
		delete(byName, p.name)
		v, err := p.load(w)
		if err != nil {
			return err
		}
		values[i] = v
	}
	if len(missing) > 0 {
		return fmt.Errorf("weights of %s are missing: %s", m.Spec.Name(), strings.Join(missing, ", "))
	}
	if len(byName) > 0 {
		var extra []string
		for name := range byName {
			extra = append(extra, name)
		}
		slices.Sort(extra)
		return fmt.Errorf("%s has no weights named %s", m.Spec.Name(), strings.Join(extra, ", "))
	}
	for i, v := range values {
		m.params.List[i].Value.Upload(v, 0)
	}
	m.params.Version++
	return nil
}

// OptimizerState returns a copy of the optimiser's values by weight, and the number of steps made.
func (m *Model) OptimizerState() (state map[string][][]float32, steps int) {
	state = map[string][][]float32{}
	for _, p := range m.params.List {
		for _, s := range p.State {
			state[p.Name] = append(state[p.Name], download(s))
		}
	}
	return state, m.steps
}

// SetOptimizerState continues from what OptimizerState returned.
func (m *Model) SetOptimizerState(state map[string][][]float32, steps int) error {
	for _, p := range m.params.List {
		for _, s := range state[p.Name] {
			if len(s) != p.Value.Len() {
				return fmt.Errorf("optimiser state of %q has %d values for %d weights", p.Name, len(s), p.Value.Len())
			}
		}
	}
	for _, p := range m.params.List {
		p.State = nil
		for _, s := range state[p.Name] {
			t := m.Device.New(len(s))
			t.Upload(s, 0)
			p.State = append(p.State, t)
		}
	}
	m.steps = steps
	return nil
}

// Gradients returns the gradients of the last ParamGrad in PyTorch's layout, for inspection.
func (m *Model) Gradients() []Weight {
	var list []Weight
	for i, p := range m.specs {
		if !p.frozen() {
			list = append(list, p.export(download(m.params.List[i].Grad)))
		}
	}
	return list
}

func download(t device.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.Download(v, 0)
	return v
}

func (p param) size() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

func (p param) torchShape() []int {
	switch len(p.shape) {
	case 4:
		return []int{p.shape[3], p.shape[2], p.shape[0], p.shape[1]}
	case 2:
		return []int{p.shape[1], p.shape[0]}
	}
	return p.shape
}

// each calls f with the positions of one value in our layout and in PyTorch's.
func (p param) each(f func(ours, torch int)) {
	switch len(p.shape) {
	case 4:
		kh, kw, in, out := p.shape[0], p.shape[1], p.shape[2], p.shape[3]
		for y := range kh {
			for x := range kw {
				for i := range in {
					for o := range out {
						f(((y*kw+x)*in+i)*out+o, ((o*in+i)*kh+y)*kw+x)
					}
				}
			}
		}
	case 2:
		in, out := p.shape[0], p.shape[1]
		for i := range in {
			column := i
			if s := p.flattened; s.C > 0 {
				pixel, c := i/s.C, i%s.C
				column = c*s.H*s.W + pixel
			}
			for o := range out {
				f(i*out+o, o*in+column)
			}
		}
	default:
		for i := range p.shape[0] {
			f(i, i)
		}
	}
}

func (p param) export(values []float32) Weight {
	w := Weight{Name: p.name, Shape: p.torchShape(), Data: make([]float32, len(values))}
	p.each(func(ours, torch int) { w.Data[torch] = values[ours] })
	return w
}

func (p param) load(w Weight) ([]float32, error) {
	if !slices.Equal(w.Shape, p.torchShape()) {
		return nil, fmt.Errorf("weight %q has shape %v where the network needs %v", w.Name, w.Shape, p.torchShape())
	}
	if len(w.Data) != p.size() {
		return nil, fmt.Errorf("weight %q of shape %v has %d values, not %d", w.Name, w.Shape, len(w.Data), p.size())
	}
	v := make([]float32, len(w.Data))
	p.each(func(ours, torch int) { v[ours] = w.Data[torch] })
	return v, nil
}
