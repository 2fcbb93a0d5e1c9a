package attacks

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// oracle answers an attack that steps on the host: it puts images on the device, asks the victim,
// and counts what that costs. Its answers are in memory of its own, which the next question
// overwrites.
type oracle struct {
	v              Victim
	b              *Batch
	size, classes  int
	restart        uint32
	questions      uint64
	counts         device.Counts
	x, dx, z, loss device.Tensor
	soft           device.Tensor
	hostDX, hostZ  []float32
	hostLoss       []float32
	index          []uint32
}

// newOracle makes an oracle for questions about at most the batch's number of images.
func newOracle(v Victim, b *Batch, d Draw) *oracle {
	n, size, k := len(b.Labels), v.Input().Size(), v.Classes()
	return &oracle{v: v, b: b, size: size, classes: k, restart: d.Restart, x: v.New(n * size), dx: v.New(n * size), z: v.New(n * k), loss: v.New(n),
		soft: v.New(n * k), hostDX: make([]float32, n*size), hostZ: make([]float32, n*k), hostLoss: make([]float32, n), index: make([]uint32, n)}
}

// clean returns a copy of the batch's images on the host.
func (o *oracle) clean() []float32 {
	x := make([]float32, len(o.b.Labels)*o.size)
	o.b.X.Download(x, 0)
	return x
}

// call prepares a question about images x [n, size], of which number i belongs to example rows[i]
// of the batch. Each question has its own noise.
func (o *oracle) call(x []float32, rows []int) *device.Call {
	n := len(rows)
	o.x.Upload(x[:n*o.size], 0)
	for i, r := range rows {
		o.index[i] = o.b.Index[r]
	}
	o.questions++
	return &device.Call{Rows: n, X: o.x, Logits: o.z, Scale: 1, Example: o.index[:n], Noise: uint64(o.restart)<<32 | o.questions}
}

// logits returns the logits [n, classes] of images x [n, size], image i being of example rows[i].
func (o *oracle) logits(x []float32, rows []int) ([]float32, error) {
	return o.logitsBy(o.v.Logits, x, rows)
}

// logitsBy is logits with the victim's answer given by f.
func (o *oracle) logitsBy(f func(*device.Call) error, x []float32, rows []int) ([]float32, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if err := f(o.call(x, rows)); err != nil {
		return nil, err
	}
	o.counts.Forwards += len(rows)
	return o.answer(len(rows))
}

// gradient returns the logits [n, classes] of images x [n, size], the loss of each and its gradient
// [n, size]. labels are by image; so is soft [n, classes], where the loss needs it.
func (o *oracle) gradient(x []float32, rows []int, labels []int32, soft []float32, loss device.Loss) (z, value, dx []float32, err error) {
	n := len(rows)
	if n == 0 {
		return nil, nil, nil, nil
	}
	c := o.call(x, rows)
	c.Labels, c.Loss, c.Value, c.InputGrad = labels[:n], loss, o.loss, o.dx
	if soft != nil {
		o.soft.Upload(soft[:n*o.classes], 0)
		c.Soft = o.soft
	}
	if err := o.v.InputGrad(c); err != nil {
		return nil, nil, nil, err
	}
	if z, err = o.answer(n); err != nil {
		return nil, nil, nil, err
	}
	value, dx = o.hostLoss[:n], o.hostDX[:n*o.size]
	o.loss.Download(value, 0)
	o.dx.Download(dx, 0)
	o.counts.Gradients += n
	for i := range n {
		switch squares := kernel.SumSquares(dx[i*o.size:][:o.size]); {
		case squares == 0:
			o.counts.Zero++
		case math.IsNaN(squares) || math.IsInf(squares, 0):
			o.counts.NonFinite++
		}
	}
	return z, value, dx, nil
}

func (o *oracle) answer(n int) ([]float32, error) {
	z := o.hostZ[:n*o.classes]
	o.z.Download(z, 0)
	return z, finite(z, o.classes)
}

// count returns 0, 1, …, n-1: all of a batch's examples.
func count(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}
