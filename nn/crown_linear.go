package nn

import (
	"rampart/nn/device"
)

// crownLinear is a convolution, dense layer or average pooling, y = W x + b, as CROWN-IBP needs it: W,
// |W| and the transpose of W applied to rows, and the gradients in W. Each is a device program; biases,
// which are cheap, are the host's.
type crownLinear struct {
	in, out int // values of a row
	// fan is the largest number of terms of a sum in W x or in the transpose.
	fan                                     int
	channels                                int // of y, which share a bias
	weight, bias                            int // the model's parameters, -1 of a pooling
	ops                                     linearOps
	own, abs                                *device.Parameters
	centre, half, y, radius, dCentre, dHalf []float32 // n rows

	forwardProgram, absoluteProgram, transposed device.Executable
	// intervals and intervalsAbs take x and dy to dW and dx, outer dB and A to W dB and dW.
	intervals, intervalsAbs, outer device.Executable
}

// linearOps are the kernels of a linear layer; weightGrad is nil for one without weights.
type linearOps struct{ forward, inputGrad, weightGrad device.Op }

// load makes the programs for up to rows examples of up to margins rows each.
func (l *crownLinear) load(m *Model, rows, margins int) (err error) {
	l.own, l.abs = &device.Parameters{}, &device.Parameters{}
	if l.weight >= 0 {
		shape := m.specs[l.weight].shape
		n := m.specs[l.weight].size()
		zero := func() *device.Parameter {
			return &device.Parameter{Name: "no bias", Shape: []int{l.channels}, Frozen: true, Value: m.New(l.channels)}
		}
		l.own.List = []*device.Parameter{{Name: "own", Shape: shape, Value: m.params.List[l.weight].Value, Grad: m.New(n)}, zero()}
		l.abs.List = []*device.Parameter{{Name: "absolute", Shape: shape, Value: m.New(n), Grad: m.New(n)}, zero()}
	}
	for _, p := range []struct {
		exec    *device.Executable
		program *device.Program
		params  *device.Parameters
	}{
		{&l.forwardProgram, l.apply("W x", rows), l.own},
		{&l.absoluteProgram, l.apply("|W| x", rows), l.abs},
		{&l.transposed, l.transpose("transpose of W", rows*margins), l.own},
		{&l.intervals, l.gradient("gradient of W x", rows, true), l.own},
		{&l.intervalsAbs, l.gradient("gradient of |W| x", rows, true), l.abs},
		{&l.outer, l.gradient("gradient of the transpose of W", rows*margins, false), l.own},
	} {
		if *p.exec, err = m.Device.Load(p.program, p.params); err != nil {
			return err
		}
	}
	return nil
}

// linearProgram is a program of one layer; its buffers 0, 1 and 2 are its rows, W and the bias.
func (l *crownLinear) linearProgram(name string, rows, in, out int) *device.Program {
	p := &device.Program{Name: name, Rows: rows, X: 0, Logits: 1, Seed: -1, Value: -1, InputGrad: -1,
		Buffers: []device.Buffer{{Size: in}, {Size: out}}}
	if l.weight >= 0 {
		p.Buffers = append(p.Buffers, device.Buffer{Kind: device.Param, Size: l.own.List[0].Value.Len()},
			device.Buffer{Kind: device.Param, Size: l.channels, Param: 1})
	}
	return p
}

// apply is W x.
func (l *crownLinear) apply(name string, rows int) *device.Program {
	p := l.linearProgram(name, rows, l.in, l.out)
	in := []int{0}
	if l.weight >= 0 {
		in = []int{0, 2, 3}
	}
	p.Instrs = []device.Instr{{Op: l.ops.forward, In: in, Out: []int{1}}}
	return p
}

func (l *crownLinear) transpose(name string, rows int) *device.Program {
	p := l.linearProgram(name, rows, l.out, l.in)
	in := []int{0}
	if l.weight >= 0 {
		in = []int{2, 0}
	}
	p.Instrs = []device.Instr{{Op: l.ops.inputGrad, In: in, Out: []int{1}}}
	return p
}

// gradient also applies W; the call's Soft is the gradient of what comes out.
func (l *crownLinear) gradient(name string, rows int, input bool) *device.Program {
	p := l.apply(name, rows)
	add := func(b device.Buffer, o device.Op, in ...int) int {
		at := len(p.Buffers)
		p.Buffers = append(p.Buffers, b)
		p.Instrs = append(p.Instrs, device.Instr{Op: o, In: in, Out: []int{at}})
		return at
	}
	p.Seed = add(device.Buffer{Size: l.out}, device.ApplyLoss{Classes: l.out}, p.Logits)
	p.Value = len(p.Buffers)
	p.Buffers = append(p.Buffers, device.Buffer{Size: 1})
	p.Instrs[len(p.Instrs)-1].Out = []int{p.Seed, p.Value}
	if l.weight >= 0 {
		add(device.Buffer{Kind: device.ParamGrad, Size: l.own.List[0].Value.Len()}, l.ops.weightGrad, 0, p.Seed)
	}
	switch {
	case input && l.weight >= 0:
		p.InputGrad = add(device.Buffer{Size: l.in}, l.ops.inputGrad, 2, p.Seed)
	case input:
		p.InputGrad = add(device.Buffer{Size: l.in}, l.ops.inputGrad, p.Seed)
	}
	return p
}

// refresh derives |W| after the weights have changed.
func (l *crownLinear) refresh(host [][]float32) {
	if l.weight < 0 {
		return
	}
	values := make([]float32, len(host[l.weight]))
	absolute(l.weight).fill(values, host)
	l.abs.List[0].Value.Upload(values, 0)
	l.own.Version++
	l.abs.Version++
}

// given is a loss whose gradient is the call's Soft: what a program takes besides its rows.
type given struct{}

// Rows implements device.Loss.
func (given) Rows(b *device.Block) {
	copy(b.Grad, b.Soft)
	clear(b.Value)
}

// crownRunner runs the layers' programs on host memory.
type crownRunner struct{ x, y, dx, soft device.Tensor }

// run takes rows of x through a program to y, and to dx with soft as the gradient of y.
func (c *crownRunner) run(e device.Executable, rows int, x, y, soft, dx []float32) error {
	c.x.Upload(x, 0)
	call := device.Call{Rows: rows, X: c.x}
	if y != nil {
		call.Logits = c.y
	}
	if soft != nil {
		c.soft.Upload(soft, 0)
		call.Soft, call.Loss, call.Scale = c.soft, given{}, 1
	}
	if dx != nil {
		call.InputGrad = c.dx
	}
	if err := e.Run(&call); err != nil {
		return err
	}
	if y != nil {
		c.y.Download(y, 0)
	}
	if dx != nil {
		c.dx.Download(dx, 0)
	}
	return nil
}
