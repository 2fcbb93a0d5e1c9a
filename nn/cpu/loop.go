package cpu

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// loopState is a tile's attack in progress. Rows that are done leave it, so that the rows at work
// stay together at the front; origin says where each came from.
type loopState struct {
	clean, adv, best []float32
	bestValue        []float32
	found            []bool
	labels           []int32
	soft             []float32
	origin           []int
	ascent           kernel.Ascent
	tau              []int // of Loop, what is left of it
}

func (s *loopState) reserve(rows, size, classes int) {
	if len(s.origin) >= rows {
		return
	}
	s.clean, s.adv, s.best = make([]float32, rows*size), make([]float32, rows*size), make([]float32, rows*size)
	s.ascent.Reserve(size)
	s.bestValue, s.found = make([]float32, rows), make([]bool, rows)
	s.labels, s.soft, s.origin, s.tau = make([]int32, rows), make([]float32, rows*classes), make([]int, rows), make([]int, rows)
}

// Iterate implements device.Executable: every tile goes through all steps by itself.
func (e *executable) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	e.call, e.loop = c, l
	e.segment = e.plan.segments[0]
	e.prepare()
	for _, f := range e.frames {
		f.state.reserve(e.rows, e.p.Buffers[e.p.X].Size, e.p.Buffers[e.p.Logits].Size)
	}
	e.dev.pool.run(e.tiles(c.Rows), e.attackWork)
	var sum device.Counts
	for _, f := range e.frames {
		sum.Add(f.counts)
	}
	e.call, e.loop = nil, nil
	return sum, nil
}

func (e *executable) attackTile(worker, unit int) {
	f, l := e.frames[worker], e.loop
	n := e.begin(f, unit*e.rows)
	for step := 0; n > 0; step++ {
		last := step == l.Steps
		if last && !l.KeepBest {
			break
		}
		groups := e.segment
		if last {
			groups = groups[:e.forward()]
		}
		e.runGroups(f, groups, n)
		n = e.judge(f, n, last)
		if last {
			break
		}
		e.advance(f, n)
	}
	for r := range n {
		e.retire(f, r)
	}
}

// forward is the number of groups up to the loss.
func (e *executable) forward() int {
	for i, g := range e.segment {
		if _, ok := e.p.Instrs[g.from].Op.(device.ApplyLoss); ok {
			return i + 1
		}
	}
	return len(e.segment)
}

// begin copies a tile's rows into the loop's state and starts them; it returns their number.
func (e *executable) begin(f *frame, row0 int) int {
	c, l, s := e.call, e.loop, &f.state
	n := min(e.rows, c.Rows-row0)
	e.enter(f, row0)
	size, classes := e.p.Buffers[e.p.X].Size, e.p.Buffers[e.p.Logits].Size
	copy(s.clean, host(c.X)[row0*size:(row0+n)*size])
	copy(s.adv, s.clean[:n*size])
	if c.Labels != nil {
		copy(s.labels, c.Labels[row0:row0+n])
	}
	f.labels, f.soft = s.labels, nil
	if c.Soft != nil {
		copy(s.soft, host(c.Soft)[row0*classes:(row0+n)*classes])
		f.soft = s.soft
	}
	for r := range n {
		s.origin[r], s.found[r], s.bestValue[r], s.tau[r] = row0+r, false, float32(math.Inf(-1)), l.Tau
		adv := s.adv[r*size:][:size]
		copy(s.best[r*size:], adv)
		if l.Start != device.FromClean {
			s.ascent.Start(adv, s.clean[r*size:][:size], l, l.Example[row0+r])
		}
	}
	f.bases[e.p.X] = s.adv
	return n
}

// judge looks at the iterates whose logits are there: it keeps the best and, with early stop, lets
// go of those that succeed. It returns how many rows go on.
func (e *executable) judge(f *frame, n int, last bool) int {
	l, s := e.loop, &f.state
	if last {
		f.counts.Forwards += n
	} else {
		f.counts.Gradients += n
	}
	size, classes := e.p.Buffers[e.p.X].Size, e.p.Buffers[e.p.Logits].Size
	for r := 0; r < n; {
		hit := (device.Argmax(f.at(e.p.Logits, r, 1)[:classes]) == int(s.labels[r])) == l.Targeted
		if l.KeepBest {
			value := f.at(e.p.Value, r, 1)[0]
			if hit && !s.found[r] || hit == s.found[r] && value > s.bestValue[r] {
				s.found[r], s.bestValue[r] = hit, value
				copy(s.best[r*size:][:size], s.adv[r*size:][:size])
			}
		}
		if hit && l.EarlyStop && s.tau[r] > 0 {
			s.tau[r]--
			hit = false // not yet
		}
		if hit && l.EarlyStop {
			e.retire(f, r)
			n--
			e.move(f, n, r)
			continue
		}
		r++
	}
	return n
}

// move puts row from in the place of row to, the gradient with it.
func (e *executable) move(f *frame, from, to int) {
	if from == to {
		return
	}
	s, size, classes := &f.state, e.p.Buffers[e.p.X].Size, e.p.Buffers[e.p.Logits].Size
	for _, rows := range [...][]float32{s.clean, s.adv, s.best} {
		copy(rows[to*size:][:size], rows[from*size:][:size])
	}
	copy(s.soft[to*classes:][:classes], s.soft[from*classes:][:classes])
	s.bestValue[to], s.found[to], s.labels[to], s.origin[to], s.tau[to] = s.bestValue[from], s.found[from], s.labels[from], s.origin[from], s.tau[from]
	for _, b := range [...]int{e.p.InputGrad, e.p.Logits, e.p.Value} {
		copy(f.at(b, to, 1), f.at(b, from, 1))
	}
}

// advance steps and projects the first n rows.
func (e *executable) advance(f *frame, n int) {
	l, s, size := e.loop, &f.state, e.p.Buffers[e.p.X].Size
	for r := range n {
		adv, clean, grad := s.adv[r*size:][:size], s.clean[r*size:][:size], f.at(e.p.InputGrad, r, 1)
		switch squares := kernel.SumSquares(grad); {
		case squares == 0:
			f.counts.Zero++
		case math.IsNaN(squares) || math.IsInf(squares, 0):
			f.counts.NonFinite++
		}
		s.ascent.Step(adv, clean, grad, l)
	}
}

// retire writes a row's result to where it came from.
func (e *executable) retire(f *frame, r int) {
	s, size := &f.state, e.p.Buffers[e.p.X].Size
	row := s.adv
	if e.loop.KeepBest {
		row = s.best
	}
	copy(host(e.loop.Adv)[s.origin[r]*size:][:size], row[r*size:][:size])
}
