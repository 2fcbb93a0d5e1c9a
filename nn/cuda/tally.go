package cuda

import (
	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// Tally implements device.Counter. It does not wait.
func (d *Device) Tally(into device.Tensor, at int, value, logits device.Tensor, labels []int32, first, classes int) error {
	defer d.enter()()
	d.fail(d.need("tally"))
	rows := len(labels)
	if d.ok() && (d.labels == nil || d.labels.Len() < rows) {
		d.labels = d.New(rows).(*Tensor)
	}
	if d.ok() {
		d.upload(address(d.labels), bytesOf(labels))
		d.launch("tally", blocks(1), ptr(address(value)), ptr(address(logits)), ptr(address(d.labels)),
			ptr(address(into)+driver.Pointer(4*at)), i(rows), i(first), i(classes))
	}
	return d.err
}

// owing is where loops add up the counts that they leave for later.
func (d *Device) owing() driver.Pointer {
	if d.owed == nil {
		d.owed = d.New(4 * 2).(*Tensor)
	}
	return address(d.owed)
}

// Owed implements device.Counter.
func (d *Device) Owed() (device.Counts, error) {
	defer d.enter()()
	var counts [4]int64
	if d.owed != nil {
		d.download(bytesOf(counts[:]), d.owing())
		d.upload(d.owing(), bytesOf(make([]int64, 4)))
	}
	return countsOf(counts), d.err
}

func countsOf(c [4]int64) device.Counts {
	return device.Counts{Forwards: int(c[0]), Gradients: int(c[1]), Zero: int(c[2]), NonFinite: int(c[3])}
}

// Tally implements device.Counter: the first device counts, as one alone would.
func (g *Group) Tally(into device.Tensor, at int, value, logits device.Tensor, labels []int32, first, classes int) error {
	if err := g.ready(); err != nil {
		return err
	}
	part := func(t device.Tensor, from, to int) *Tensor {
		t.(*spread).fetch(0, span{from, to})
		return t.(*spread).parts[0]
	}
	rows, to := len(labels), into.(*spread)
	err := g.devices[0].Tally(to.parts[0], at, part(value, 0, rows), part(logits, 0, rows*classes), labels, first, classes)
	for k := range to.held {
		to.held[k] = to.held[k].without(span{at, at + 4})
	}
	to.held[0] = to.held[0].with(span{at, at + 4})
	return err
}

// Owed implements device.Counter.
func (g *Group) Owed() (sum device.Counts, err error) {
	if err := g.ready(); err != nil {
		return sum, err
	}
	for _, d := range g.devices {
		one, err := d.Owed()
		if err != nil {
			return sum, err
		}
		sum.Add(one)
	}
	return sum, nil
}

var (
	_ device.Counter = (*Device)(nil)
	_ device.Counter = (*Group)(nil)
)
