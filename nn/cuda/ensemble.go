package cuda

import "rampart/nn/device"

// bindVote: the mean of the members' softmaxes, then the votes on top.
func (e *executable) bindVote(instr device.Instr, op device.Vote) (step, int, error) {
	mean, workspace, err := e.bindLogMean(device.Instr{Op: device.LogMeanSoftmax(op), In: instr.In, Out: instr.Out})
	if err != nil {
		return nil, 0, err
	}
	d, y := e.dev, instr.Out[0]
	return func() {
		mean()
		n := e.rows * op.Classes
		d.launch("vote_begin", each(n), ptr(e.addr[y]), i(n))
		for _, b := range instr.In {
			d.launch("vote_add", each(n), ptr(e.addr[b]), ptr(e.addr[y]), i(op.Classes), i(n))
		}
		d.launch("vote_end", each(n), ptr(e.addr[y]), i(op.Members), f(device.VoteFloor), i(n))
	}, workspace, d.need("vote_begin", "vote_add", "vote_end")
}

// takePart copies width values of each row, where rows of the source have from values, those of the result to.
func (e *executable) takePart(x, y value, from, to, width int) {
	e.takeParts(x, y, from, to, width, 1)
}

// takeParts is takePart for each of the positions of a row.
func (e *executable) takeParts(x, y value, from, to, width, positions int) {
	n := e.rows * positions * width
	e.dev.launch("take_part", each(n), x, y, i(from), i(to), i(width), i(n))
}
