package cuda

import (
	"fmt"
	"runtime"
	"time"

	"rampart/nn/device"
)

// together is a program on a Group: one executable for each device, which takes its share of the rows. A program
// that reads no rows runs alike on all.
type together struct {
	group   *Group
	p       *device.Program
	params  *device.Parameters
	parts   []*executable
	meets   bool  // devices wait for each other
	written []int // parameters that the program writes, statistics included
}

// Load implements device.Device.
func (g *Group) Load(p *device.Program, params *device.Parameters) (device.Executable, error) {
	t := &together{group: g, p: p, params: params, parts: make([]*executable, len(g.devices))}
	share := *p
	if p.X >= 0 {
		share.Rows = ceil(p.Rows, len(g.devices))
	}
	own := g.replicas(params)
	err := g.ready()
	if err == nil {
		err = g.each(func(k int) error {
			e, err := g.devices[k].Load(&share, own[k])
			if err == nil {
				t.parts[k] = e.(*executable)
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("%d of %d rows for each of %d devices: %w", share.Rows, p.Rows, len(g.devices), err)
	}
	for _, in := range p.Instrs {
		if !spreads(p, in) {
			return nil, fmt.Errorf("load %s: %T needs the whole batch, of which each of several GPUs has a part: use one GPU", p.Name, in.Op)
		}
		t.meets = t.meets || meets(in.Op)
		for _, b := range in.Out {
			if kind := p.Buffers[b].Kind; kind == device.Param || kind == device.ParamGrad {
				t.written = append(t.written, b)
			}
			t.meets = t.meets || p.Buffers[b].Kind == device.ParamGrad
		}
	}
	return t, nil
}

// size is the number of values of a row of a buffer, 0 where the program has none.
func (t *together) size(b int) int {
	if b < 0 {
		return 0
	}
	return t.p.Buffers[b].Size
}

// check finds what would fail on some device while others go on.
func (t *together) check(c *device.Call) error {
	if err := t.group.ready(); err != nil {
		return err
	}
	if c.Rows < 1 || c.Rows > t.p.Rows {
		return fmt.Errorf("%s: %d rows: the program takes 1 to %d", t.p.Name, c.Rows, t.p.Rows)
	}
	for _, v := range []struct {
		t      device.Tensor
		buffer int
		what   string
	}{{c.X, t.p.X, "the examples"}, {c.Soft, t.p.Logits, "the targets"}, {c.Logits, t.p.Logits, "the logits"},
		{c.Value, t.p.Value, "the loss"}, {c.InputGrad, t.p.InputGrad, "the input gradient"}} {
		if need := c.Rows * t.size(v.buffer); v.t != nil && v.t.Len() < need {
			return fmt.Errorf("%s: %d values for %s, which has %d", t.p.Name, v.t.Len(), v.what, need)
		}
	}
	return nil
}

// shares prepares a call: what each device is asked, with its inputs on the way there.
func (t *together) shares(c *device.Call) (rows []span, calls []device.Call) {
	g := t.group
	rows = deal(c.Rows, len(g.devices))
	g.replicas(t.params)
	for _, in := range []struct {
		t    device.Tensor
		size int
	}{{c.X, t.size(t.p.X)}, {c.Soft, t.size(t.p.Logits)}} {
		if in.t != nil {
			in.t.(*spread).readBy(rows, in.size)
		}
	}
	table := t.table(c, rows)
	for k, r := range rows {
		part := func(v device.Tensor, b int) device.Tensor {
			if v == nil {
				return nil
			}
			return v.(*spread).parts[k].view(r.times(t.size(b)))
		}
		one := *c
		one.Rows = r.to - r.from
		one.X, one.Soft = part(c.X, t.p.X), part(c.Soft, t.p.Logits)
		one.Logits, one.Value, one.InputGrad = part(c.Logits, t.p.Logits), part(c.Value, t.p.Value), part(c.InputGrad, t.p.InputGrad)
		if c.Labels != nil {
			one.Labels = c.Labels[r.from:r.to]
		}
		if c.Example != nil {
			one.Example = c.Example[r.from:r.to]
		}
		calls = append(calls, one)
		t.parts[k].share = &share{from: r.from, all: c.Rows, table: table}
	}
	return rows, calls
}

// table is where devices meet for a loss that ties rows together, nil for others.
func (t *together) table(c *device.Call, rows []span) *table {
	if _, tied := c.Loss.(device.Tied); !tied {
		return nil
	}
	classes := t.size(t.p.Logits)
	n := c.Rows * classes
	to := &table{loss: c.Loss, failed: t.group.failed, ready: make(chan struct{}), block: device.Block{Rows: c.Rows, Classes: classes,
		Logits: make([]float32, n), Labels: c.Labels, Value: make([]float32, c.Rows), Grad: make([]float32, n)}}
	if c.Labels != nil {
		to.block.Labels = c.Labels[:c.Rows]
	}
	if c.Soft != nil {
		to.block.Soft = make([]float32, n)
	}
	for _, r := range rows {
		if r.to > r.from {
			to.missing++
		}
	}
	return to
}

// each does a device's share everywhere, but not where there is nothing to do.
func (t *together) each(calls []device.Call, do func(k int) error) error {
	g := t.group
	err := g.each(func(k int) error {
		if calls[k].Rows == 0 && !t.meets {
			return nil
		}
		err := do(k)
		if err == nil {
			return nil
		}
		if err = fmt.Errorf("%s: %w", g.devices[k].Name(), err); t.meets || t.parts[k].share.table != nil {
			g.abort(err)
		}
		return err
	})
	if first := g.ready(); first != nil { // what came first in time
		return first
	}
	return err
}

// Run implements device.Executable.
func (t *together) Run(c *device.Call) error {
	g := t.group
	if t.p.X < 0 {
		return t.alike(c)
	}
	if err := t.check(c); err != nil {
		return err
	}
	rows, calls := t.shares(c)
	err := t.each(calls, func(k int) error { return t.parts[k].Run(&calls[k]) })
	for _, out := range []struct {
		t    device.Tensor
		size int
	}{{c.Logits, t.size(t.p.Logits)}, {c.Value, t.size(t.p.Value)}, {c.InputGrad, t.size(t.p.InputGrad)}} {
		if out.t != nil && out.size > 0 {
			out.t.(*spread).wrote(rows, out.size)
		}
	}
	t.wrote()
	runtime.KeepAlive(c)
	runtime.KeepAlive(g)
	return err
}

// alike runs a program without rows on every device.
func (t *together) alike(c *device.Call) error {
	if err := t.group.ready(); err != nil {
		return err
	}
	t.group.replicas(t.params)
	err := t.group.each(func(k int) error {
		one := *c
		return t.parts[k].Run(&one)
	})
	t.wrote()
	return err
}

// wrote enters the parameters that all devices have written alike.
func (t *together) wrote() {
	for _, b := range t.written {
		buf := t.p.Buffers[b]
		if p := t.params.List[buf.Param]; buf.Kind == device.Param {
			p.Value.(*spread).same()
		} else {
			p.Grad.(*spread).same()
		}
	}
}

// Iterate implements device.Executable.
func (t *together) Iterate(c *device.Call, l *device.Loop) (sum device.Counts, err error) {
	if err := t.check(c); err != nil {
		return sum, err
	}
	size := t.size(t.p.X)
	if _, err := normKernel(l.Norm); err != nil {
		return sum, err
	}
	if l.Adv.Len() < c.Rows*size {
		return sum, fmt.Errorf("%s: the result of the attack has room for %d values, not for %d", t.p.Name, l.Adv.Len(), c.Rows*size)
	}
	rows, calls := t.shares(c)
	counts := make([]device.Counts, len(calls))
	err = t.each(calls, func(k int) (err error) {
		one := *l
		one.Adv = l.Adv.(*spread).parts[k].view(rows[k].times(size))
		if l.Example != nil {
			one.Example = l.Example[rows[k].from:rows[k].to]
		}
		counts[k], err = t.parts[k].Iterate(&calls[k], &one)
		return err
	})
	l.Adv.(*spread).wrote(rows, size)
	for _, one := range counts {
		sum.Add(one)
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(l)
	return sum, err
}

// Profile implements device.Profiler: times are added up over the devices.
func (t *together) Profile(run func() error) ([]time.Duration, error) {
	times := make([]time.Duration, len(t.p.Instrs))
	for _, e := range t.parts {
		inner := run
		run = func() error {
			list, err := e.Profile(inner)
			for i, v := range list {
				times[i] += v
			}
			return err
		}
	}
	return times, run()
}

var _ device.Profiler = (*together)(nil)
