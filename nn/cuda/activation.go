package cuda

import "rampart/nn/device"

// bindActivation prepares a function by element, or its gradient, named after the function.
func (e *executable) bindActivation(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	var kernel string
	var slope float32
	switch op := instr.Op.(type) {
	case device.Activation:
		kernel, slope = "activation_"+op.Func.String(), op.Slope
	case device.ActivationGrad:
		kernel, slope = "activation_"+op.Func.String()+"_grad", op.Slope
	}
	return func() {
		n := e.rows * e.p.Buffers[in[0]].Size
		var list []value
		for _, b := range in {
			list = append(list, ptr(e.addr[b]))
		}
		d.launch(kernel, each(n), append(list, ptr(e.addr[out[0]]), f(slope), i(n))...)
	}, 0, d.need(kernel)
}
