package cuda

import (
	"fmt"

	"rampart/nn/device"
)

// applyLoss turns logits into values and the seed of the backward pass: by the loss's kernel where
// it has one, otherwise on the processor.
func (e *executable) applyLoss(logits, seed, value, classes int) {
	d, c := e.dev, e.call
	if e.share != nil && e.share.table != nil {
		e.tiedLoss(e.share.table, logits, seed, value)
		return
	}
	k := lossKernel(c.Loss)
	kernel := "loss_" + k.Name
	if files()[kernel] == "" {
		e.hostLoss(logits, seed, value, classes)
		return
	}
	switch {
	case k.Labels && c.Labels == nil:
		d.fail(fmt.Errorf("loss %T needs labels", c.Loss))
	case k.Soft && c.Soft == nil:
		d.fail(fmt.Errorf("loss %T needs a target for each row", c.Loss))
	}
	d.launch(kernel, warps(e.rows), ptr(e.addr[logits]), ptr(e.at(e.plan.labels)), ptr(address(c.Soft)),
		ptr(e.addr[value]), ptr(e.addr[seed]), f(k.Temperature), f(k.Smoothing), f(k.Sign), f(c.Scale), i(classes), i(e.rows))
}

// lossKernel is the kernel that a loss names, the zero LossKernel for none.
func lossKernel(l device.Loss) device.LossKernel {
	if named, ok := l.(device.KernelLoss); ok {
		return named.Kernel()
	}
	return device.LossKernel{}
}

// hostLoss fetches the logits, calls the loss, and puts its results on the device.
func (e *executable) hostLoss(logits, seed, value, classes int) {
	d, c, n := e.dev, e.call, e.rows*classes
	b := device.Block{Rows: e.rows, Classes: classes, Logits: make([]float32, n), Labels: c.Labels,
		Value: make([]float32, e.rows), Grad: make([]float32, n)}
	d.download(bytesOf(b.Logits), e.addr[logits])
	if c.Soft != nil {
		b.Soft = make([]float32, n)
		d.download(bytesOf(b.Soft), address(c.Soft))
	}
	if !d.ok() {
		return
	}
	if b.Labels != nil {
		b.Labels = b.Labels[:e.rows]
	}
	c.Loss.Rows(&b)
	if c.Scale != 1 {
		for j := range b.Grad {
			b.Grad[j] *= c.Scale
		}
	}
	d.upload(e.addr[value], bytesOf(b.Value))
	d.upload(e.addr[seed], bytesOf(b.Grad))
}
