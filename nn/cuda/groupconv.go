package cuda

import (
	"errors"
	"fmt"

	"rampart/nn/device"
)

// Constants of kernels/group_conv.cu: outputs along a line that a thread computes, and weights of an
// output channel that a thread sums.
const (
	groupStrip = 4
	groupTaps  = 9
)

// groupConv is a convolution in groups; in and out are the channels of one group.
type groupConv struct {
	device.GroupConv
	in, out int
}

func newGroupConv(op device.GroupConv) groupConv {
	return groupConv{op, op.C / op.Groups, op.Out / op.Groups}
}

// wide reports whether the channels of a group suffice for a matrix product of its own.
func (g groupConv) wide() bool { return min(g.in, g.out) >= small.cols }

// product chooses kernel and tile of the groups' M x N products; see Device.product. They are in float32
// at any precision.
func (g groupConv) product(d *Device, kernel string, m, n, parts int) (string, grid) {
	t := d.tile(large, small, m, n, parts*g.Groups)
	return kernel + t.suffix, t.grid(m, n, parts*g.Groups)
}

// strips has a thread for each channel of each strip of lines of width values.
func strips(lines, width, channels int) (g grid, n int) {
	n = lines * ceil(width, groupStrip) * channels
	return each(n), n
}

// split cuts the sum of a weight gradient over n positions into chunks; see the function of that name.
func (g groupConv) split(n int) (chunk, parts int) {
	if g.wide() {
		return split(g.KH*g.KW*g.in, g.out*g.Groups, n)
	}
	blocks := ceil(g.Out, 32) * ceil(g.KH*g.KW*g.in, groupTaps)
	parts = max(1, min(4*fill/blocks, n/256))
	chunk = ceil(n, parts)
	return chunk, ceil(n, chunk)
}

// params are the parameters that all kernels of a convolution in groups have in common.
func (g groupConv) params(buffers ...value) []value {
	p := window(g.Window)
	return append(append(buffers, p[:]...), i(g.Out), i(g.Groups))
}

// bindGroupConv prepares convolutions in groups: matrix products for groups of many channels, sums of a
// thread each for the others.
func (e *executable) bindGroupConv(instr device.Instr) (step, int, error) {
	switch op := instr.Op.(type) {
	case device.GroupConv:
		return e.groupForward(instr, newGroupConv(op))
	case device.GroupConvInputGrad:
		return e.groupInputGrad(instr, newGroupConv(device.GroupConv(op)))
	case device.GroupConvWeightGrad:
		return e.groupWeightGrad(instr, newGroupConv(device.GroupConv(op)))
	}
	return nil, 0, fmt.Errorf("no convolution in groups %T", instr.Op)
}

func (e *executable) groupForward(instr device.Instr, op groupConv) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	bias := e.bias(in, op.Out)
	buffers := func() []value { return op.params(ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), bias(), ptr(e.addr[out[0]])) }
	if !op.wide() {
		return func() {
			g, n := strips(e.rows*op.OutH(), op.OutW(), op.Out)
			d.launch("group_conv", g, append(buffers(), i(n))...)
		}, 0, d.need("group_conv")
	}
	return func() {
		kernel, g := op.product(d, "group_gemm", e.rows*op.OutH()*op.OutW(), op.out, 1)
		d.launch(kernel, g, append(buffers(), i(e.rows))...)
	}, 0, d.need("group_gemm")
}

func (e *executable) groupInputGrad(instr device.Instr, op groupConv) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	buffers := func() []value { return op.params(ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[out[0]])) }
	if !op.wide() {
		return func() {
			g, n := strips(e.rows*op.H, op.W, op.C)
			d.launch("group_conv_input_grad", g, append(buffers(), i(n))...)
		}, 0, d.need("group_conv_input_grad")
	}
	return func() {
		kernel, g := op.product(d, "group_gemm_input_grad", e.rows*op.H*op.W, op.in, 1)
		d.launch(kernel, g, append(buffers(), i(e.rows))...)
	}, 0, d.need("group_gemm_input_grad")
}

// groupWeightGrad leaves sums over chunks in the workspace, if there are several, and adds them.
func (e *executable) groupWeightGrad(instr device.Instr, op groupConv) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	weights, positions := op.KH*op.KW*op.in*op.Out, op.OutH()*op.OutW()
	_, most := op.split(e.p.Rows * positions)
	return func() {
		chunk, parts := op.split(e.rows * positions)
		to := e.addr[out[0]]
		if parts > 1 {
			to = e.at(e.plan.workspace)
		}
		kernel, g := "group_conv_weight_grad", grid{[3]int{ceil(op.Out, 32), parts, ceil(op.KH*op.KW*op.in, groupTaps)}, blockThreads}
		if op.wide() {
			kernel, g = op.product(d, "group_gemm_weight_grad", op.KH*op.KW*op.in, op.out, parts)
		}
		d.launch(kernel, g, append(op.params(ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(to)), i(e.rows), i(chunk))...)
		if parts > 1 {
			d.launch("add_parts", each(weights), ptr(to), ptr(e.addr[out[0]]), i(parts), i(weights))
		}
	}, 4 * weights * (most + 1), errors.Join(d.need("group_conv_weight_grad", "group_gemm_weight_grad"), d.need("add_parts"))
}
