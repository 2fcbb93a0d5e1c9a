package cuda

import (
	"fmt"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// bindSplitNorm prepares the kernels of batch normalisation with a branch for adversarial and one for clean
// rows: those of one branch, on each one's rows.
func (e *executable) bindSplitNorm(instr device.Instr) (step, int, error) {
	in, out := instr.In, instr.Out
	at := func(b int) value { return ptr(e.addr[b]) }
	switch op := instr.Op.(type) {
	case device.BatchNormSplit:
		return func() {
			for branch := range 2 {
				if first, n, all := e.positionsOf(branch, op.Positions); all > 0 {
					own := in[1+4*branch:]
					e.normTrain(device.BatchNormTrain(op), n, all, e.from(in[0], first*op.Channels), at(own[0]), at(own[1]), at(own[2]), at(own[3]),
						e.from(out[0], first*op.Channels), e.from(out[1], 2*branch*op.Channels))
				}
			}
		}, e.normBytes(op.Positions, op.Channels), e.dev.need("norm_moments", "norm_raw_sums")
	case device.BatchNormSplitInputGrad:
		return func() {
			for branch := range 2 {
				if first, n, all := e.positionsOf(branch, op.Positions); all > 0 {
					e.normInputGrad(op.Channels, n, all, e.from(in[0], first*op.Channels), at(in[1+branch]),
						e.from(in[3], first*op.Channels), e.from(in[4], 2*branch*op.Channels), e.from(out[0], first*op.Channels))
				}
			}
		}, e.normBytes(op.Positions, op.Channels), e.dev.need("norm_moments", "norm_raw_sums")
	case device.BatchNormSplitGammaGrad:
		branch := device.Branch(op.Clean)
		return func() { // sums over nothing are 0
			first, n, _ := e.positionsOf(branch, op.Positions)
			e.normGammaGrad(op.Channels, n, e.from(in[0], first*op.Channels), e.from(in[1], first*op.Channels),
				e.from(in[2], 2*branch*op.Channels), at(out[0]))
		}, e.normBytes(op.Positions, op.Channels), e.dev.need("norm_moments", "norm_raw_sums")
	case device.BatchNormSplitBetaGrad:
		return func() {
			first, n, _ := e.positionsOf(device.Branch(op.Clean), op.Positions)
			e.biasGrad(op.Channels, n, e.from(in[0], first*op.Channels), at(out[0]))
		}, biasGradBytes(e.p.Rows*op.Positions, op.Channels), e.dev.need("column_sums", "add_parts")
	}
	return nil, 0, fmt.Errorf("no normalisation %T", instr.Op)
}

// from is the address of a buffer's values from some on.
func (e *executable) from(b, values int) value { return ptr(e.addr[b] + 4*driver.Pointer(values)) }

// positionsOf are the positions of a branch's rows: the first, how many there are, and how many with those of
// other devices.
func (e *executable) positionsOf(branch, positions int) (first, n, all int) {
	adversarial := min(max(e.call.Adversarial, 0), e.total())
	own := min(max(adversarial-e.first(), 0), e.rows)
	if branch == 0 {
		return 0, own * positions, adversarial * positions
	}
	return own * positions, (e.rows - own) * positions, (e.total() - adversarial) * positions
}
