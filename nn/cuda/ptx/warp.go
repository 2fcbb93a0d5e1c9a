package ptx

import (
	"fmt"
	"math/bits"
)

// lanes is the number of threads in a warp; a mask has a bit for each.
const lanes = 32

const full = ^uint32(0)

// warp is the state of one warp. Values of 32 bits and less are in r, those of 64 in d, predicates
// are masks; constants and special registers are registers that nothing writes.
type warp struct {
	r  [][lanes]uint32
	d  [][lanes]uint64
	p  []uint32
	b  *block
	id uint32

	live    uint32
	groups  []group
	waiting bool
	reduce  int // predicate that gets the result of a reducing barrier, -1 for none

	landings  []landing // of asynchronous copies under way
	groupEnds []int     // where in landings each group ends that was committed
}

// group is threads of a warp that are at the same place.
type group struct {
	at   int // basic block
	mask uint32
}

// operation executes an instruction for the threads of a mask.
type operation func(w *warp, mask uint32)

// basic is a run of instructions without a branch but at its end.
type basic struct {
	code []operation
	end  func(w *warp, g *group) // moves the group on
}

// fault is an error of a kernel in execution.
type fault struct{ err error }

func (w *warp) fail(line int, format string, args ...any) {
	panic(fault{fmt.Errorf("kernel %s, block (%d,%d,%d), warp %d, PTX line %d: %s", w.b.k.name,
		w.b.index[0], w.b.index[1], w.b.index[2], w.id, line, fmt.Sprintf(format, args...))})
}

// run takes a warp to its next barrier or to its end. Of threads that went different ways those
// furthest back go first, so that they meet again.
func (w *warp) run() {
	for len(w.groups) > 0 && !w.waiting {
		first := 0
		for i := range w.groups[1:] {
			if w.groups[i+1].at < w.groups[first].at {
				first = i + 1
			}
		}
		g := &w.groups[first]
		if len(w.groups) > 1 {
			for i := len(w.groups) - 1; i > first; i-- { // first is the first of its place
				if w.groups[i].at == g.at {
					g.mask |= w.groups[i].mask
					w.groups = append(w.groups[:i], w.groups[i+1:]...)
				}
			}
		}
		at, mask := &w.b.k.blocks[g.at], g.mask
		for _, op := range at.code {
			op(w, mask)
		}
		at.end(w, g)
		if g.mask == 0 {
			i := 0
			for &w.groups[i] != g {
				i++
			}
			w.groups = append(w.groups[:i], w.groups[i+1:]...)
		}
	}
}

// split sends the threads of taken elsewhere.
func (w *warp) split(g *group, taken uint32, to, next int) {
	switch taken {
	case g.mask:
		g.at = to
	case 0:
		g.at = next
	default:
		g.mask &^= taken
		g.at = next
		w.groups = append(w.groups, group{to, taken})
	}
}

// wait parks a warp at a barrier.
func (w *warp) wait(line int, g *group, next int) {
	if g.mask != w.live {
		w.fail(line, "a barrier that only %d of %d threads reach", bits.OnesCount32(g.mask), bits.OnesCount32(w.live))
	}
	g.at, w.waiting = next, true
}

// each calls f for the threads of a mask.
func each(mask uint32, f func(i int)) {
	for ; mask != 0; mask &= mask - 1 {
		f(bits.TrailingZeros32(mask))
	}
}
