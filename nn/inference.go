package nn

import (
	"fmt"

	"rampart/nn/device"
)

// Inference is a network's forward pass in evaluation mode, for exporters: one program and the
// parameters that its buffers name, in the executor's layouts ([KH,KW,In/Groups,Out], [In,Out], [C]).
type Inference struct {
	Program *device.Program
	Params  []Weight
}

// NewInference describes a network with its weights, as SetWeights takes them.
func NewInference(spec Spec, weights []Weight) (*Inference, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	g, err := newGraph(spec, evaluation, graphRows, trainsAll)
	if err != nil {
		return nil, err
	}
	i := &Inference{}
	if i.Program, err = g.compile("inference", 1, false, false); err != nil {
		return nil, err
	}
	byName := map[string]Weight{}
	for _, w := range weights {
		byName[w.Name] = w
	}
	for _, p := range g.params {
		w, ok := byName[p.name]
		if !ok {
			return nil, fmt.Errorf("weight %q is missing", p.name)
		}
		data, err := p.load(w)
		if err != nil {
			return nil, err
		}
		i.Params = append(i.Params, Weight{Name: p.name, Shape: p.shape, Data: data})
	}
	return i, nil
}
