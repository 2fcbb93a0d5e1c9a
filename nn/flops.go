package nn

import "rampart/nn/device"

// FLOPs is the number of floating-point operations of one row of a program's convolutions and
// dense layers, a multiply-add counted as two, with zeros and padding counted like other values.
func FLOPs(p *device.Program) (sum float64) {
	for _, in := range p.Instrs {
		sum += OpFLOPs(in.Op)
	}
	return sum
}

// OpFLOPs is the part of FLOPs of one kernel.
func OpFLOPs(o device.Op) float64 {
	conv := func(w device.Window, out int) float64 {
		return 2 * float64(w.OutH()*w.OutW()*out) * float64(w.KH*w.KW*w.C)
	}
	switch op := o.(type) {
	case device.Conv:
		return conv(op.Window, op.Out)
	case device.ConvInputGrad:
		return conv(op.Window, op.Out)
	case device.ConvWeightGrad:
		return conv(op.Window, op.Out)
	case device.GroupConv:
		return conv(op.Window, op.Out) / float64(op.Groups)
	case device.GroupConvInputGrad:
		return conv(op.Window, op.Out) / float64(op.Groups)
	case device.GroupConvWeightGrad:
		return conv(op.Window, op.Out) / float64(op.Groups)
	case device.Dense:
		return 2 * float64(op.In) * float64(op.Out)
	case device.DenseInputGrad:
		return 2 * float64(op.In) * float64(op.Out)
	case device.DenseWeightGrad:
		return 2 * float64(op.In) * float64(op.Out)
	}
	return 0
}
