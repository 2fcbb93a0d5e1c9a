package cuda

import (
	"runtime"
	"sync"

	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
	"rampart/nn/device"
)

// share is what a device of a Group has to know of a call besides its own rows.
type share struct {
	from  int    // the first of its rows
	all   int    // rows of the call
	table *table // where devices meet for a loss that ties rows together; nil for others
}

// deal spreads rows evenly over devices: in order, and the first has no fewer than another.
func deal(rows, devices int) []span {
	var list []span
	for k := range devices {
		list = append(list, span{ceil(rows*k, devices), ceil(rows*(k+1), devices)})
	}
	return list
}

// first is the number of a device's first row among those of the whole call.
func (e *executable) first() int {
	if e.share == nil {
		return 0
	}
	return e.share.from
}

// total is the number of rows of the whole call.
func (e *executable) total() int {
	if e.share == nil {
		return e.rows
	}
	return e.share.all
}

// meets reports an op for which devices wait for each other, even one without rows.
func meets(op device.Op) bool {
	switch op.(type) {
	case device.BatchNormTrain, device.BatchNormTrainInputGrad, device.BatchNormSplit, device.BatchNormSplitInputGrad:
		return true
	}
	return false
}

// spreads reports whether an instruction does the same on rows that are spread over devices: it takes rows one
// by one, its sums are added across devices, or the loss is.
func spreads(p *device.Program, in device.Instr) bool {
	if in.Op.Rowwise() || meets(in.Op) {
		return true
	}
	switch in.Op.(type) {
	case device.ApplyLoss:
		return true
	case device.ConvWeightGrad, device.GroupConvWeightGrad, device.DenseWeightGrad, device.BiasGrad,
		device.BatchNormGammaGrad, device.BatchNormTrainGammaGrad, device.BatchNormSplitGammaGrad,
		device.BatchNormSplitBetaGrad, device.GroupNormGammaGrad:
		return p.Buffers[in.Out[0]].Kind == device.ParamGrad
	}
	return false
}

// meets reports whether devices wait for each other in the midst of the program.
func (e *executable) meets() bool {
	for _, in := range e.p.Instrs {
		if meets(in.Op) {
			return true
		}
	}
	return false
}

// allReduce adds n values across the devices of the group.
func (d *Device) allReduce(at driver.Pointer, n int, t nccl.Type) {
	select {
	case <-d.link.failed: // its communicator is no more
		d.fail(errAnother)
	default:
	}
	if d.ok() {
		d.fail(d.link.library.AllReduce(at, at, n, t, d.link.comm, d.stream))
	}
}

// addGradients adds the gradients of parameters across the devices of a group, as one collective.
func (e *executable) addGradients() {
	d, asked := e.dev, false
	if e.share == nil {
		return
	}
	for b, buf := range e.p.Buffers {
		if buf.Kind != device.ParamGrad || !d.ok() {
			continue
		}
		if e.rows == 0 {
			d.fail(d.drv.Clear(e.addr[b], 4*buf.Size, d.stream))
		}
		if !asked {
			d.fail(d.link.library.GroupStart())
			asked = true
		}
		d.allReduce(e.addr[b], buf.Size, nccl.Float32)
	}
	if asked {
		if err := d.link.library.GroupEnd(); d.ok() {
			d.fail(err)
		}
	}
}

// statsOfAll makes the statistics of a batch normalisation from the sums of all devices, over n positions
// here and all positions together.
func (e *executable) statsOfAll(op device.BatchNormTrain, s normSpace, n, all int, x, stats, mean, variance value, chunks int) {
	d := e.dev
	if n > 0 {
		d.launch("norm_raw_sums", each(op.Channels), x, ptr(s.parts), i(chunks), i(n), i(op.Channels), ptr(s.sums))
	} else if d.ok() {
		d.fail(d.drv.Clear(s.sums, 16*op.Channels, d.stream))
	}
	d.allReduce(s.sums, 2*op.Channels, nccl.Float64)
	d.launch("norm_stats_of", each(op.Channels), ptr(s.sums), i(all), i(op.Channels), f(op.Epsilon), f(op.Momentum), stats, mean, variance)
}

// attend is Iterate on a device that has no rows: it is there wherever others wait for it.
func (e *executable) attend(l *device.Loop) error {
	for range l.Steps {
		e.run(len(e.steps))
	}
	if l.KeepBest {
		e.run(e.forward())
	}
	e.call = nil
	runtime.KeepAlive(l)
	return e.dev.err
}

// table is where devices bring their logits for a loss that ties rows together: it is computed once.
type table struct {
	loss   device.Loss
	block  device.Block // of all rows
	failed <-chan struct{}

	lock    sync.Mutex
	missing int // devices
	ready   chan struct{}
}

// meet computes the loss when all have come. It reports false where one of them will not.
func (t *table) meet() bool {
	t.lock.Lock()
	t.missing--
	last := t.missing == 0
	t.lock.Unlock()
	if last {
		t.loss.Rows(&t.block)
		close(t.ready)
	}
	select {
	case <-t.ready:
		return true
	case <-t.failed:
		return false
	}
}

// tiedLoss is hostLoss on the rows of all devices.
func (e *executable) tiedLoss(t *table, logits, seed, value int) {
	d, c, classes := e.dev, e.call, t.block.Classes
	from, to := e.share.from, e.share.from+e.rows
	d.download(bytesOf(t.block.Logits[from*classes:to*classes]), e.addr[logits])
	if t.block.Soft != nil {
		d.download(bytesOf(t.block.Soft[from*classes:to*classes]), address(c.Soft))
	}
	if !d.ok() {
		return
	}
	if !t.meet() {
		d.fail(errAnother)
		return
	}
	grad := t.block.Grad[from*classes : to*classes]
	if c.Scale != 1 {
		for j := range grad {
			grad[j] *= c.Scale
		}
	}
	d.upload(e.addr[value], bytesOf(t.block.Value[from:to]))
	d.upload(e.addr[seed], bytesOf(grad))
}
