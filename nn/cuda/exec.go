package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// executable is a program with its launches.
type executable struct {
	dev    *Device
	p      *device.Program
	params *device.Parameters
	plan   *plan
	steps  []step
	fixed  []device.Tensor // constants of instructions
	number int             // among the device's
	lossy  bool            // it applies a loss
	noisy  bool            // it has dropout

	// the current run
	call    *device.Call
	rows    int
	addr    []driver.Pointer // by buffer
	profile *profile
	share   *share // of a Group's call; nil on a device of its own
}

// step launches the kernels of one instruction.
type step func()

// Load implements device.Device.
func (d *Device) Load(p *device.Program, params *device.Parameters) (device.Executable, error) {
	defer d.enter()()
	d.loaded++
	p = fuse(p)
	e := &executable{dev: d, p: p, params: params, addr: make([]driver.Pointer, len(p.Buffers)), number: d.loaded}
	err, workspace := d.err, 0
	for _, in := range p.Instrs {
		var s step
		need := 0
		switch in.Op.(type) {
		case device.ApplyLoss:
			e.lossy = true
		case device.Dropout:
			e.noisy = true
		}
		if err == nil {
			s, need, err = e.bind(in)
		}
		e.steps, workspace = append(e.steps, s), max(workspace, need)
	}
	if err == nil && p.InputGrad >= 0 {
		err = d.need("attack_begin", "attack_start_linf")
	}
	if err == nil {
		e.plan, err = newPlan(p, workspace)
	}
	if err == nil {
		err = d.reserve(e.plan)
	}
	if err != nil {
		return nil, fmt.Errorf("load %s on %s: %w", p.Name, d.Name(), err)
	}
	return e, nil
}

// reserve makes the arena large enough for a program. Nothing in it outlives a run, so that all
// programs of the device use the same.
func (d *Device) reserve(l *plan) error {
	if l.total <= d.size {
		return nil
	}
	d.wait()
	if d.arena != 0 {
		d.fail(d.drv.Free(d.arena))
		d.arena, d.size = 0, 0
	}
	if d.err != nil {
		return d.err
	}
	p, err := d.alloc(l.total)
	if errors.Is(err, driver.ErrMemory) {
		free, _, failed := d.drv.Memory()
		if failed != nil {
			return err
		}
		return fmt.Errorf("%d rows need %s and %s are free: %d rows would fit: %w", l.rows, sizeText(float64(l.total)), sizeText(float64(free)), l.fits(float64(free)), err)
	}
	d.arena, d.size = p, l.total
	return err
}

// at is the address of a region of the arena.
func (e *executable) at(r region) driver.Pointer { return e.dev.arena + driver.Pointer(r.from) }

// begin resolves the addresses of a call.
func (e *executable) begin(c *device.Call) error {
	if e.dev.err != nil {
		return e.dev.err
	}
	if c.Rows < 1 && e.share == nil || c.Rows > e.p.Rows {
		return fmt.Errorf("%s: %d rows: the program takes 1 to %d", e.p.Name, c.Rows, e.p.Rows)
	}
	e.call, e.rows = c, c.Rows
	for b, buf := range e.p.Buffers {
		switch {
		case b == e.p.X:
			e.addr[b] = address(c.X)
		case buf.Kind == device.Row:
			e.addr[b] = e.dev.arena + driver.Pointer(4*e.plan.offsets[b]*e.p.Rows)
		case buf.Kind == device.Whole:
			e.addr[b] = e.at(e.plan.wholes) + driver.Pointer(4*e.plan.offsets[b])
		case buf.Kind == device.Param:
			e.addr[b] = address(e.params.List[buf.Param].Value)
		case buf.Kind == device.ParamGrad:
			e.addr[b] = address(e.params.List[buf.Param].Grad)
		}
	}
	if c.Labels != nil {
		e.dev.upload(e.at(e.plan.labels), bytesOf(c.Labels[:c.Rows]))
	}
	if e.noisy {
		key := rng.New(c.Noise, "dropout").Key
		e.dev.upload(e.at(e.plan.noise), bytesOf(key[:]))
	}
	return e.dev.err
}

func address(t device.Tensor) driver.Pointer {
	if t == nil {
		return 0
	}
	own := t.(*Tensor)
	return own.use(own.dev)
}

// direct makes the program write a result where the caller wants it.
func (e *executable) direct(b int, t device.Tensor, what string) error {
	if b < 0 || t == nil {
		return nil
	}
	if need := e.rows * e.p.Buffers[b].Size; t.Len() < need {
		return fmt.Errorf("%s: %d values for %s, which has %d", e.p.Name, t.Len(), what, need)
	}
	e.addr[b] = address(t)
	return nil
}

// Run implements device.Executable. It does not wait for the device.
func (e *executable) Run(c *device.Call) error {
	defer e.dev.enter()()
	err := e.begin(c)
	if err == nil {
		err = errors.Join(e.direct(e.p.Logits, c.Logits, "the logits"), e.direct(e.p.Value, c.Value, "the loss"),
			e.direct(e.p.InputGrad, c.InputGrad, "the input gradient"))
	}
	if err != nil {
		return err
	}
	var key any
	if e.captured() {
		key = e.key()
	}
	e.dev.repeat(1, key, func() { e.run(len(e.steps)) })
	e.addGradients()
	e.call = nil
	runtime.KeepAlive(c)
	return e.dev.err
}

// run launches the first n instructions.
func (e *executable) run(n int) {
	for i, s := range e.steps[:n] {
		if e.rows == 0 && !meets(e.p.Instrs[i].Op) {
			continue
		}
		if e.profile == nil {
			s()
			continue
		}
		e.profile.around(e.dev, i, s)
	}
}

// profile adds up the time between events around each instruction.
type profile struct {
	from, to driver.Event
	times    []time.Duration
}

func (p *profile) around(d *Device, i int, s step) {
	if !d.ok() {
		return
	}
	d.fail(d.drv.Record(p.from, d.stream))
	s()
	if d.ok() {
		d.fail(d.drv.Record(p.to, d.stream))
	}
	if d.ok() {
		d.fail(d.drv.Await(p.to))
	}
	if d.ok() {
		ms, err := d.drv.Elapsed(p.from, p.to)
		d.fail(err)
		p.times[i] += time.Duration(float64(ms) * float64(time.Millisecond))
	}
}

// Profile implements device.Profiler. Each instruction is waited for.
func (e *executable) Profile(run func() error) ([]time.Duration, error) {
	d := e.dev
	p := &profile{times: make([]time.Duration, len(e.steps))}
	leave := d.enter()
	for _, event := range []*driver.Event{&p.from, &p.to} {
		if d.ok() {
			var err error
			*event, err = d.drv.NewEvent()
			d.fail(err)
		}
	}
	leave()
	if d.err != nil {
		return nil, d.err
	}
	e.profile = p
	err := run()
	e.profile = nil
	defer d.enter()()
	return p.times, errors.Join(err, d.drv.CloseEvent(p.from), d.drv.CloseEvent(p.to))
}
