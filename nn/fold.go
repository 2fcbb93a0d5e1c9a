package nn

import (
	"rampart/nn/device"
)

// folding keeps, beside a model's parameters, those of layers that have taken a batch normalisation
// in: with running statistics it is an affine map of each channel, and a convolution or dense layer
// before it does the same with other weights. Evaluation and attacks then run without it; training,
// with the batch's statistics, needs both.
//
// The derived weights lie behind the model's own in its device.Parameters, frozen, and a program of
// the usual kernels renews them: gamma*w/std is the normalisation's gradient at w, and the bias is
// what the normalisation makes of the layer's bias.
type folding struct {
	program *device.Program
	exec    device.Executable
	done    map[foldSource]foldKey
	call    device.Call
	version uint64 // of the parameters, when the weights were derived
	fresh   bool   // and running statistics have not moved since
}

// foldKey holds parameters of a layer; bias is -1 for none.
type foldKey struct{ weight, bias int }

// foldSource holds parameters of a layer and the scale of the normalisation that it takes in: one of a
// layer's, where its network has an auxiliary one.
type foldSource struct {
	foldKey
	gamma int
}

// fold rewrites a program that keeps running statistics as they are. It reports nothing: what has
// another shape than layer, normalisation, and their gradients in return, stays.
func (m *Model) fold(p *device.Program) {
	uses, producers := uses(p), producers(p)
	dead := make([]bool, len(p.Instrs))
	for i, in := range p.Instrs {
		norm, ok := in.Op.(device.BatchNorm)
		if !ok || producers[in.In[0]] < 0 || uses[in.In[0]] != 1 {
			continue
		}
		layer := &p.Instrs[producers[in.In[0]]]
		if !linear(layer.Op) || p.Buffers[layer.In[1]].Kind != device.Param {
			continue
		}
		back, dy := -1, -1 // the instructions that lead the gradient through the two
		for j, other := range p.Instrs {
			if _, ok := other.Op.(device.BatchNormInputGrad); ok && other.In[0] == in.In[1] {
				dy = j
			}
		}
		if dy >= 0 {
			for j, other := range p.Instrs {
				if linearInputGrad(other.Op) && other.In[0] == layer.In[1] && other.In[1] == p.Instrs[dy].Out[0] {
					back = j
				}
			}
			if back < 0 || uses[p.Instrs[dy].Out[0]] != 1 {
				continue
			}
		}
		param := func(b int) int { return p.Buffers[b].Param }
		k := foldKey{param(layer.In[1]), -1}
		if len(layer.In) > 2 {
			k.bias = param(layer.In[2])
		}
		derived := m.derive(k, norm, param(in.In[1]), param(in.In[2]), param(in.In[3]), param(in.In[4]))
		weight, bias := len(p.Buffers), len(p.Buffers)+1
		p.Buffers = append(p.Buffers, m.buffer(derived.weight), m.buffer(derived.bias))
		layer.In, layer.Out = []int{layer.In[0], weight, bias}, in.Out
		dead[i] = true
		if dy >= 0 {
			p.Instrs[back].In = []int{weight, p.Instrs[dy].In[2]}
			dead[dy] = true
		}
	}
	kept := p.Instrs[:0]
	for i, in := range p.Instrs {
		if !dead[i] {
			kept = append(kept, in)
		}
	}
	p.Instrs = kept
	fuseReLU(p)
}

// linear reports a layer without an activation, whose weights have the outputs last.
func linear(o device.Op) bool {
	switch op := o.(type) {
	case device.Conv:
		return !op.ReLU
	case device.Dense:
		return !op.ReLU
	case device.GroupConv:
		return true
	}
	return false
}

func linearInputGrad(o device.Op) bool {
	switch o.(type) {
	case device.ConvInputGrad, device.DenseInputGrad, device.GroupConvInputGrad:
		return true
	}
	return false
}

// derive adds what computes a layer's weights with a normalisation, once for all programs.
func (m *Model) derive(k foldKey, norm device.BatchNorm, gamma, beta, mean, variance int) foldKey {
	if m.folding == nil {
		m.folding = &folding{done: map[foldSource]foldKey{}, program: &device.Program{Name: "folded weights", Rows: 1,
			X: -1, Logits: -1, Seed: -1, Value: -1, InputGrad: -1}}
	}
	f := m.folding
	source := foldSource{k, gamma}
	if d, ok := f.done[source]; ok {
		return d
	}
	buffer := func(param int) int {
		f.program.Buffers = append(f.program.Buffers, m.buffer(param))
		return len(f.program.Buffers) - 1
	}
	add := func(name string, n int) int {
		m.params.List = append(m.params.List, &device.Parameter{Name: name, Shape: []int{n}, Frozen: true, Value: m.Device.New(n), Origin: m.params.List[k.weight]})
		return len(m.params.List) - 1
	}
	name, size, channels := m.params.List[k.weight].Name, m.params.List[k.weight].Value.Len(), norm.Channels
	d := foldKey{add(name+", folded", size), add(name+", folded: bias", channels)}
	bias := k.bias
	if bias < 0 {
		bias = add(name+", folded: none", channels)
	}
	f.program.Instrs = append(f.program.Instrs,
		device.Instr{Op: device.BatchNormInputGrad{Positions: size / channels, Channels: channels, Epsilon: norm.Epsilon},
			In: []int{buffer(gamma), buffer(variance), buffer(k.weight)}, Out: []int{buffer(d.weight)}},
		device.Instr{Op: device.BatchNorm{Positions: 1, Channels: channels, Epsilon: norm.Epsilon},
			In: []int{buffer(bias), buffer(gamma), buffer(beta), buffer(mean), buffer(variance)}, Out: []int{buffer(d.bias)}})
	f.done[source], f.fresh = d, false
	return d
}

func (m *Model) buffer(param int) device.Buffer {
	return device.Buffer{Kind: device.Param, Size: m.params.List[param].Value.Len(), Param: param}
}

// loadFolding prepares the program that derives the folded weights.
func (m *Model) loadFolding() (err error) {
	if m.folding != nil {
		m.folding.exec, err = m.Device.Load(m.folding.program, m.params)
	}
	return err
}

// refold derives the folded weights anew where those they come from have changed.
func (m *Model) refold() error {
	f := m.folding
	if f == nil || f.fresh && f.version == m.params.Version {
		return nil
	}
	f.call.Rows = 1
	if err := f.exec.Run(&f.call); err != nil {
		return err
	}
	m.params.Version++
	f.version, f.fresh = m.params.Version, true
	return nil
}

// own are the model's parameters, without derived ones.
func (m *Model) own() []*device.Parameter { return m.params.List[:len(m.specs)] }
