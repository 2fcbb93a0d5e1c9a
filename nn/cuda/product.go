package cuda

import (
	"fmt"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

func ptrInt(n int) driver.Pointer { return driver.Pointer(n) }

// tile is the part of a matrix product that a block computes; see kernels/gemm.cuh.
type tile struct {
	suffix           string
	rows, cols, size int
}

var (
	large  = tile{"", 64, 64, 128}
	small  = tile{"_small", 32, 16, 64}
	narrow = tile{"_narrow", 64, 4, 64} // of input gradients alone
)

// fill is how many blocks a device wants at least before it pays to give each a larger tile.
const fill = 128

// product chooses the tile of an M x N product; parts is the number of pieces of its sum over k. The
// choice changes no bit of the result.
func (d *Device) product(m, n, parts int) (tile, grid) {
	t := large
	if n <= small.cols || m <= small.rows || ceil(m, large.rows)*ceil(n, large.cols)*parts < d.fill {
		t = small
	}
	return t, t.grid(m, n, parts)
}

func (t tile) grid(m, n, parts int) grid {
	return grid{[3]int{ceil(m, t.rows), ceil(n, t.cols), parts}, t.size}
}

// split cuts the sum over k of a weight gradient into chunks, where the result alone is too small to
// fill a device: the pieces are then added in order.
func split(m, n, k int) (chunk, parts int) {
	blocks := ceil(m, large.rows) * ceil(n, large.cols)
	parts = max(1, min(4*fill/blocks, k/256))
	chunk = ceil(k, parts)
	return chunk, ceil(k, chunk)
}

// weightGrad launches a product whose sum is split, and adds the pieces.
func (e *executable) weightGrad(kernel string, x, dy, dw, m, n, k int, params ...value) {
	chunk, parts := split(m, n, k)
	to := e.addr[dw]
	if parts > 1 {
		to = e.at(e.plan.workspace)
	}
	t, g := e.dev.product(m, n, parts)
	list := append([]value{ptr(e.addr[x]), ptr(e.addr[dy]), ptr(to)}, params...)
	e.dev.launch(kernel+t.suffix, g, append(list, i(e.rows), i(chunk))...)
	if parts > 1 {
		e.dev.launch("add_parts", each(m*n), ptr(to), ptr(e.addr[dw]), i(parts), i(m*n))
	}
}

// mostParts is the workspace of weightGrad for up to k terms.
func mostParts(m, n, k int) int {
	_, parts := split(m, n, k)
	return 4 * m * n * (parts + 1)
}

func (e *executable) bindConv(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Conv:
		p := window(op.Window)
		bias := func() value { return ptr(e.addr[in[2]]) }
		if len(in) == 2 {
			none := d.New(op.Out)
			e.fixed = append(e.fixed, none)
			bias = func() value { return ptr(address(none)) }
		}
		return func() {
			t, g := d.product(e.rows*op.OutH()*op.OutW(), op.Out, 1)
			list := append([]value{ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), bias(), ptr(e.addr[out[0]])}, p[:]...)
			d.launch("conv"+t.suffix, g, append(list, i(op.Out), i(e.rows), boolean(op.ReLU))...)
		}, 0, d.need("conv")
	case device.ConvInputGrad:
		p := window(op.Window)
		return func() {
			t, g := d.product(e.rows*op.H*op.W, op.C, 1)
			if op.C <= narrow.cols {
				t, g = narrow, narrow.grid(e.rows*op.H*op.W, op.C, 1)
			}
			list := append([]value{ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[out[0]])}, p[:]...)
			d.launch("conv_input_grad"+t.suffix, g, append(list, i(op.Out), i(e.rows))...)
		}, 0, d.need("conv_input_grad")
	case device.ConvWeightGrad:
		p := window(op.Window)
		m, positions := op.KH*op.KW*op.C, op.OutH()*op.OutW()
		return func() {
			e.weightGrad("conv_weight_grad", in[0], in[1], out[0], m, op.Out, e.rows*positions, append(p[:], i(op.Out))...)
		}, mostParts(m, op.Out, e.p.Rows*positions), d.need("conv_weight_grad", "add_parts")
	}
	return nil, 0, fmt.Errorf("no convolution %T", instr.Op)
}

func (e *executable) bindDense(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Dense:
		return func() {
			t, g := d.product(e.rows, op.Out, 1)
			d.launch("dense"+t.suffix, g, ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[in[2]]), ptr(e.addr[out[0]]),
				i(op.In), i(op.Out), i(e.rows), boolean(op.ReLU))
		}, 0, d.need("dense")
	case device.DenseInputGrad:
		return func() {
			t, g := d.product(e.rows, op.In, 1)
			d.launch("dense_input_grad"+t.suffix, g, ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[out[0]]), i(op.In), i(op.Out), i(e.rows))
		}, 0, d.need("dense_input_grad")
	case device.DenseWeightGrad:
		return func() {
			e.weightGrad("dense_weight_grad", in[0], in[1], out[0], op.In, op.Out, e.rows, i(op.In), i(op.Out))
		}, mostParts(op.In, op.Out, e.p.Rows), d.need("dense_weight_grad", "add_parts")
	}
	return nil, 0, fmt.Errorf("no dense layer %T", instr.Op)
}
