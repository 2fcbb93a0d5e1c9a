package cuda

import (
	"fmt"
	"math"

	"rampart/nn/device"
)

// region is where in the arena something lies, in bytes.
type region struct{ from, bytes int }

// plan lays a program out in the arena: buffers by their lives, then the workspace of instructions,
// then what an attack keeps besides.
type plan struct {
	offsets []int // in values: of one row for Row, of all for Whole
	rowSum  int   // values of a row
	rows    int

	wholes, workspace, labels, noise, example, adv, best, state, counts, limits region
	total                                                                       int
}

// stateBytes is the size of struct State of kernels/attack.cuh.
const stateBytes = 32

func newPlan(p *device.Program, workspace int) (*plan, error) {
	l := &plan{offsets: make([]int, len(p.Buffers)), rows: p.Rows}
	first, last := make([]int, len(p.Buffers)), make([]int, len(p.Buffers))
	for b := range first {
		first[b], last[b] = -1, -1
	}
	for i, in := range p.Instrs {
		for _, list := range [][]int{in.In, in.Out} {
			for _, b := range list {
				if first[b] < 0 {
					first[b] = i
				}
				last[b] = i
			}
		}
	}
	for _, b := range []int{p.Logits, p.Seed, p.Value, p.InputGrad} {
		if b >= 0 { // read after the last instruction
			last[b] = len(p.Instrs)
		}
	}
	var rows, wholes []device.Lifetime
	for b, buf := range p.Buffers {
		life := device.Lifetime{Buffer: b, Size: buf.Size, From: first[b], To: last[b]}
		switch {
		case float64(buf.Size)*float64(p.Rows) > math.MaxInt32:
			return nil, fmt.Errorf("%d rows of %d values are more than a kernel can count: use smaller batches", p.Rows, buf.Size)
		case first[b] < 0 || b == p.X:
		case buf.Kind == device.Row:
			rows = append(rows, life)
		case buf.Kind == device.Whole:
			wholes = append(wholes, life)
		}
	}
	l.rowSum = device.Arrange(rows, l.offsets)
	l.total = 4 * l.rowSum * p.Rows
	take := func(bytes int) region {
		r := region{(l.total + 255) &^ 255, bytes}
		l.total = r.from + bytes
		return r
	}
	l.wholes = take(4 * device.Arrange(wholes, l.offsets))
	l.workspace = take(workspace)
	l.labels, l.noise = take(4*p.Rows), take(2*4)
	if p.InputGrad >= 0 {
		x := 4 * p.Rows * p.Buffers[p.X].Size
		l.example, l.adv, l.best = take(4*p.Rows), take(x), take(x)
		l.state, l.counts, l.limits = take(stateBytes*p.Rows), take(4*8), take(2*4)
	}
	return l, nil
}

// Memory implements device.Sized.
func (e *executable) Memory() int { return e.plan.total }

// fits says how many rows fit into bytes of memory. What does not grow with the rows stays; the workspace, which
// grows slowly, counts as such, so that the answer is never too large.
func (l *plan) fits(bytes float64) int {
	same := float64(l.wholes.bytes + l.workspace.bytes + l.noise.bytes + l.counts.bytes + l.limits.bytes)
	const gaps = 10 * 256 // regions begin at multiples of 256
	return max(0, int((bytes-same-gaps)/(float64(l.total)-same)*float64(l.rows)))
}
