package nn

import "rampart/nn/device"

// FLOPs is the number of floating-point operations of one row of a program's convolutions and
// dense layers, a multiply-add counted as two, with zeros and padding counted like other values.
func FLOPs(p *device.Program) float64 {
	sum := 0.0
	conv := func(w device.Window, out int) float64 {
		return 2 * float64(w.OutH()*w.OutW()*out) * float64(w.KH*w.KW*w.C)
	}
	for _, in := range p.Instrs {
		switch op := in.Op.(type) {
		case device.Conv:
			sum += conv(op.Window, op.Out)
		case device.ConvInputGrad:
			sum += conv(op.Window, op.Out)
		case device.ConvWeightGrad:
			sum += conv(op.Window, op.Out)
		case device.Dense:
			sum += 2 * float64(op.In) * float64(op.Out)
		case device.DenseInputGrad:
			sum += 2 * float64(op.In) * float64(op.Out)
		case device.DenseWeightGrad:
			sum += 2 * float64(op.In) * float64(op.Out)
		}
	}
	return sum
}
