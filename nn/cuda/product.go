package cuda

import (
	"errors"
	"fmt"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

func ptrInt(n int) driver.Pointer { return driver.Pointer(n) }

// tile is the part of a matrix product that a block computes; see kernels/gemm.cuh and tensor.cuh.
type tile struct {
	suffix           string
	rows, cols, size int
}

var (
	large  = tile{"", 64, 64, 128}
	small  = tile{"_small", 32, 16, 64}
	narrow = tile{"_narrow", 64, 4, 64} // of input gradients alone

	// of tensor cores
	tensorLarge = tile{"", 64, 64, 128}
	tensorSmall = tile{"_small", 32, 32, 128}
)

// fill is how many blocks a device wants at least before it pays to give each a larger tile.
const fill = 128

// tensorColumns is how many columns a product has at least for tensor cores: one instruction computes 8.
const tensorColumns = 8

// product chooses kernel and tile of an M x N product; parts is the number of pieces of its sum over k. The
// choice of the tile changes no bit of the result.
func (d *Device) product(kernel string, m, n, parts int) (string, grid) {
	big, little := large, small
	if d.rounds() && n >= tensorColumns {
		kernel, big, little = kernel+"_"+string(d.precision), tensorLarge, tensorSmall
	}
	t := d.tile(big, little, m, n, parts)
	return kernel + t.suffix, t.grid(m, n, parts)
}

// tile is the larger one where that fills the device, and the result is no narrower than the other.
func (d *Device) tile(big, little tile, m, n, parts int) tile {
	if n <= little.cols || m <= little.rows || ceil(m, big.rows)*ceil(n, big.cols)*parts < d.fill {
		return little
	}
	return big
}

// needProduct loads the kernels of a product in all tiles.
func (d *Device) needProduct(kernel string) error {
	if err := d.need(kernel); err != nil || !d.rounds() {
		return err
	}
	return d.need(kernel + "_" + string(d.precision))
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
	kernel, g := e.dev.product(kernel, m, n, parts)
	list := append([]value{ptr(e.addr[x]), ptr(e.addr[dy]), ptr(to)}, params...)
	e.dev.launch(kernel, g, append(list, i(e.rows), i(chunk))...)
	if parts > 1 {
		e.dev.launch("add_parts", each(m*n), ptr(to), ptr(e.addr[dw]), i(parts), i(m*n))
	}
}

// mostParts is the workspace of weightGrad for up to k terms.
func mostParts(m, n, k int) int {
	_, parts := split(m, n, k)
	return 4 * m * n * (parts + 1)
}

// bias is where the bias of a convolution lies: zeros where it has none.
func (e *executable) bias(in []int, channels int) func() value {
	if len(in) > 2 {
		return func() value { return ptr(e.addr[in[2]]) }
	}
	none := e.dev.New(channels)
	e.fixed = append(e.fixed, none)
	return func() value { return ptr(address(none)) }
}

func (e *executable) bindConv(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Conv:
		p := window(op.Window)
		bias := e.bias(in, op.Out)
		return func() {
			kernel, g := d.product("conv", e.rows*op.OutH()*op.OutW(), op.Out, 1)
			list := append([]value{ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), bias(), ptr(e.addr[out[0]])}, p[:]...)
			d.launch(kernel, g, append(list, i(op.Out), i(e.rows), boolean(op.ReLU))...)
		}, 0, d.needProduct("conv")
	case convPool:
		p := window(op.Window)
		bias := e.bias(in, op.Out)
		windows, stride := op.OutH()/2*(op.OutW()/2), 4*e.p.Buffers[out[1]].Size
		return func() {
			kernel, g := d.product("conv_pool", 4*e.rows*windows, op.Out, 1)
			list := append([]value{ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), bias(), ptr(e.addr[out[0]]), ptr(e.addr[out[1]])}, p[:]...)
			d.launch(kernel, g, append(list, i(op.Out), i(e.rows), boolean(op.ReLU), i(stride))...)
		}, 0, d.needProduct("conv_pool")
	case device.ConvInputGrad:
		p := window(op.Window)
		return func() {
			kernel, g := d.product("conv_input_grad", e.rows*op.H*op.W, op.C, 1)
			if op.C <= narrow.cols {
				kernel, g = "conv_input_grad"+narrow.suffix, narrow.grid(e.rows*op.H*op.W, op.C, 1)
			}
			list := append([]value{ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[out[0]])}, p[:]...)
			d.launch(kernel, g, append(list, i(op.Out), i(e.rows))...)
		}, 0, d.needProduct("conv_input_grad")
	case device.ConvWeightGrad:
		p := window(op.Window)
		m, positions := op.KH*op.KW*op.C, op.OutH()*op.OutW()
		return func() {
			e.weightGrad("conv_weight_grad", in[0], in[1], out[0], m, op.Out, e.rows*positions, append(p[:], i(op.Out))...)
		}, mostParts(m, op.Out, e.p.Rows*positions), errors.Join(d.needProduct("conv_weight_grad"), d.need("add_parts"))
	}
	return nil, 0, fmt.Errorf("no convolution %T", instr.Op)
}

func (e *executable) bindDense(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.Dense:
		return func() {
			kernel, g := d.product("dense", e.rows, op.Out, 1)
			d.launch(kernel, g, ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[in[2]]), ptr(e.addr[out[0]]),
				i(op.In), i(op.Out), i(e.rows), boolean(op.ReLU))
		}, 0, d.needProduct("dense")
	case device.DenseInputGrad:
		return func() {
			kernel, g := d.product("dense_input_grad", e.rows, op.In, 1)
			d.launch(kernel, g, ptr(e.addr[in[0]]), ptr(e.addr[in[1]]), ptr(e.addr[out[0]]), i(op.In), i(op.Out), i(e.rows))
		}, 0, d.needProduct("dense_input_grad")
	case device.DenseWeightGrad:
		return func() {
			e.weightGrad("dense_weight_grad", in[0], in[1], out[0], op.In, op.Out, e.rows, i(op.In), i(op.Out))
		}, mostParts(op.In, op.Out, e.p.Rows), errors.Join(d.needProduct("dense_weight_grad"), d.need("add_parts"))
	}
	return nil, 0, fmt.Errorf("no dense layer %T", instr.Op)
}
