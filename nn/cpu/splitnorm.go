package cpu

import (
	"rampart/nn/device"
	"rampart/nn/kernel"
)

// bindSplitNorm prepares the kernels of batch normalisation with a branch for adversarial and one for clean
// rows: those of one branch, on each one's rows.
func (e *executable) bindSplitNorm(i int, instr device.Instr) {
	in, out := instr.In, instr.Out
	switch op := instr.Op.(type) {
	case device.BatchNormSplit:
		row := op.Positions * op.Channels
		e.byChannels(i, op.Channels, func(f *frame, from, to int) {
			for branch := range 2 {
				if first, rows := e.rowsOf(branch); rows > 0 {
					f.normTrain(f.all(out[0])[first*row:], f.all(out[1])[2*branch*op.Channels:], f.all(in[0])[first*row:],
						f.branch(in[1+4*branch:]), from, to, rows*op.Positions, device.BatchNormTrain(op))
				}
			}
		})
	case device.BatchNormSplitInputGrad:
		row := op.Positions * op.Channels
		e.byChannels(i, op.Channels, func(f *frame, from, to int) {
			for branch := range 2 {
				if first, rows := e.rowsOf(branch); rows > 0 {
					f.normTrainInputGrad(f.all(out[0])[first*row:], f.all(in[0])[first*row:], f.all(in[1+branch]), f.all(in[3])[first*row:],
						f.all(in[4])[2*branch*op.Channels:], from, to, rows*op.Positions, op.Channels)
				}
			}
		})
	case device.BatchNormSplitGammaGrad:
		row, branch := op.Positions*op.Channels, device.Branch(op.Clean)
		e.byChannels(i, op.Channels, func(f *frame, from, to int) {
			first, rows := e.rowsOf(branch)
			if rows == 0 {
				clear(f.all(out[0])[from:to])
				return
			}
			f.normTrainGammaGrad(f.all(out[0]), f.all(in[0])[first*row:], f.all(in[1])[first*row:], f.all(in[2])[2*branch*op.Channels:],
				from, to, rows*op.Positions, op.Channels)
		})
	case device.BatchNormSplitBetaGrad:
		row, branch := op.Positions*op.Channels, device.Branch(op.Clean)
		e.whole[i] = batchKernel{units: 1, run: func(f *frame, _ int) {
			first, rows := e.rowsOf(branch)
			kernel.BiasGrad(f.all(out[0]), f.all(in[0])[first*row:(first+rows)*row], rows*op.Positions, op.Channels)
		}}
	}
}

// rowsOf are the rows of a branch: where they begin, and how many there are.
func (e *executable) rowsOf(branch int) (first, rows int) {
	adversarial := min(max(e.call.Adversarial, 0), e.call.Rows)
	if branch == 0 {
		return 0, adversarial
	}
	return adversarial, e.call.Rows - adversarial
}
