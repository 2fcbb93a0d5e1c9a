package cuda

import (
	"fmt"

	"rampart/nn/device"
)

// warpPart is the most values of a part of group normalisation that are a warp's work, not a block's.
const warpPart = 512

// bindGroupNorm prepares normalisation by the statistics of parts of an example.
func (e *executable) bindGroupNorm(instr device.Instr) (step, int, error) {
	d, in, out := e.dev, instr.In, instr.Out
	at := func(b int) value { return ptr(e.addr[b]) }
	switch op := instr.Op.(type) {
	case device.GroupNorm:
		return func() {
			e.eachPart("group_norm", op, at(in[0]), at(in[1]), at(in[2]), at(out[0]))
		}, 0, d.need("group_norm")
	case device.GroupNormInputGrad:
		return func() {
			e.eachPart("group_norm_input_grad", device.GroupNorm(op), at(in[0]), at(in[1]), at(in[2]), at(out[0]))
		}, 0, d.need("group_norm_input_grad")
	case device.GroupNormGammaGrad:
		positions := op.Samples * op.Positions
		_, _, most := columns(e.p.Rows*positions, op.Channels)
		stats := 16 * e.p.Rows * op.Samples * op.Groups
		return func() {
			n := e.rows * positions
			g, chunk, chunks := columns(n, op.Channels)
			workspace := e.at(e.plan.workspace)
			parts := ptr(workspace + ptrInt(stats))
			e.eachPart("group_norm_stats", device.GroupNorm(op), at(in[0]), ptr(workspace))
			d.launch("group_norm_gamma_sums", g, append([]value{at(in[0]), at(in[1]), ptr(workspace), parts},
				i(op.Positions), i(op.Channels), i(op.Groups), f(op.Epsilon), i(n), i(chunk))...)
			d.launch("add_parts", each(op.Channels), parts, at(out[0]), i(chunks), i(op.Channels))
		}, stats + 4*most*op.Channels, d.need("group_norm_stats", "add_parts")
	}
	return nil, 0, fmt.Errorf("no normalisation %T", instr.Op)
}

// eachPart launches a kernel that works on each part of all rows.
func (e *executable) eachPart(kernel string, op device.GroupNorm, buffers ...value) {
	parts := e.rows * op.Samples * op.Groups
	g := blocks(parts)
	if op.Positions*op.Channels/op.Groups <= warpPart {
		kernel, g = kernel+"_warp", warps(parts)
	}
	e.dev.launch(kernel, g, append(buffers, i(op.Positions), i(op.Channels), i(op.Groups), f(op.Epsilon), i(parts))...)
}
