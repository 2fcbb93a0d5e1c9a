package attacks

import (
	"math"
	"slices"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// search is Square at work on some examples of a batch. The first len(rows) images of each list belong
// to the examples rows[i] of the batch that are still at work.
type search struct {
	*Square
	o     *oracle
	in    nn.Shape
	goal  objective
	d     Draw
	rows  []int
	clean []float32
	best  []float32
	next  []float32 // the query: best, with a square changed
	at    [][2]int  // Linf: where that square is, row and column
	side  int       // of the current query's square
	out   []float32 // by row of the batch
	loss  []float32
	sign  []float32 // of each channel, in the current query
	delta []float32 // L1, L2: scratch

	proposal  *windows
	labels    []int32
	value     []float32
	gradients []float32
	memory    *patchMemory // nil where nothing is remembered
}

// newSearch prepares for some rows of the batch, whose images clean holds.
func newSearch(a *Square, o *oracle, goal objective, d Draw, clean []float32, rows []int) *search {
	n, size := len(rows), len(rows)*o.size
	s := &search{Square: a, o: o, in: o.v.Input(), goal: goal, d: d, rows: slices.Clone(rows), clean: make([]float32, size), best: make([]float32, size),
		next: make([]float32, size), at: make([][2]int, n), loss: make([]float32, n), sign: make([]float32, n*o.v.Input().C),
		labels: make([]int32, n), value: make([]float32, n), gradients: make([]float32, n*o.classes)}
	for i, r := range rows {
		copy(s.image(s.clean, i), clean[r*o.size:])
		s.labels[i] = goal.labels[r]
	}
	if a.Norm != Linf {
		s.delta = make([]float32, size)
		s.proposal = newWindows(a.Norm, max(s.in.H/5, 1))
	}
	return s
}

// run makes all queries and writes the best images to out, by row of the batch.
func (s *search) run(out []float32) error {
	s.out = out
	eachRow(len(s.rows), func(i int) { s.start(i) })
	if err := s.judge(true); err != nil {
		return err
	}
	for q := range s.Queries {
		if len(s.rows) == 0 {
			break
		}
		if side := s.Square.side(q, s.in); side != s.side {
			s.side, s.proposal = side, newWindows(s.Norm, side)
		}
		eachRow(len(s.rows), func(i int) { s.propose(i, q) })
		if err := s.judge(false); err != nil {
			return err
		}
	}
	for i := range s.rows {
		s.write(i)
	}
	return nil
}

// write hands an example's best image over.
func (s *search) write(i int) { copy(s.out[s.rows[i]*s.o.size:][:s.o.size], s.image(s.best, i)) }

func (s *search) image(images []float32, i int) []float32 { return images[i*s.o.size:][:s.o.size] }

// draws are the random numbers of an example's query; the start is query -1.
func (s *search) draws(i, query int) rng.Sequence {
	return s.d.Stream.Sequence(s.o.b.Index[s.rows[i]], s.d.Restart, uint32(drawSquare+1+query))
}

// signs draws +1 or -1 for each channel.
func signs(q *rng.Sequence, to []float32) {
	for c := range to {
		to[c] = 1
		if q.Uint32()>>31 == 1 {
			to[c] = -1
		}
	}
}

// start makes the first query.
func (s *search) start(i int) {
	q := s.draws(i, -1)
	if s.Norm != Linf {
		s.startWindows(i, func(sign []float32) (turned bool) {
			turned = q.Uint32()>>31 == 1
			signs(&q, sign)
			return turned
		})
		return
	}
	stripes := make([]float32, s.in.W*s.in.C)
	signs(&q, stripes)
	s.startStripes(i, stripes)
}

// startStripes moves each column and channel by eps times its sign.
func (s *search) startStripes(i int, stripes []float32) {
	next, eps := s.image(s.next, i), float32(s.Epsilon)
	for j, c := range s.image(s.clean, i) {
		next[j] = min(max(c+eps*stripes[j%len(stripes)], 0), 1)
	}
}

// change is what is drawn for a query: the square's corner, and its sign in each channel; in L2 and
// L1 also the corner of a second window, and whether the pattern is turned.
type change struct {
	h, w, h2, w2 int
	turned       bool
	sign         []float32
}

// propose draws a query of an example, and makes it.
func (s *search) propose(i, query int) {
	q := s.draws(i, query)
	corner := func(length int) int { return int(q.Uint32n(uint32(length - s.side + 1))) }
	c := change{h: corner(s.in.H), w: corner(s.in.W), sign: s.sign[i*s.in.C:][:s.in.C]}
	if s.Norm != Linf {
		c.h2, c.w2, c.turned = corner(s.in.H), corner(s.in.W), q.Uint32()>>31 == 1
	}
	signs(&q, c.sign)
	s.apply(i, c)
}

// apply makes a query of the example's best image: in Linf a square of one sign for each channel.
func (s *search) apply(i int, c change) {
	if s.Norm != Linf {
		s.applyWindows(i, c)
		return
	}
	next, clean, eps := s.image(s.next, i), s.image(s.clean, i), float32(s.Epsilon)
	s.at[i] = [2]int{c.h, c.w}
	s.window(i, func(from, to int) {
		for j := from; j < to; j += len(c.sign) {
			for k, v := range c.sign {
				// A step of 2 eps from anywhere in the ball ends at its wall.
				next[j+k] = min(max(clean[j+k]+v*eps, 0), 1)
			}
		}
	})
}

// window calls f with the range of each row of the example's square.
func (s *search) window(i int, f func(from, to int)) {
	for h := s.at[i][0]; h < s.at[i][0]+s.side; h++ {
		from := (h*s.in.W + s.at[i][1]) * s.in.C
		f(from, from+s.side*s.in.C)
	}
}

// judge asks for the logits of the queries, keeps those that bring the loss down or succeed, and
// lets go of the examples on which one does.
func (s *search) judge(first bool) error {
	n, k := len(s.rows), s.o.classes
	z, err := s.memory.logits(s, first)
	if err != nil || n == 0 {
		return err
	}
	block := device.Block{Rows: n, Classes: k, Logits: z, Labels: s.labels[:n], Value: s.value, Grad: s.gradients}
	s.goal.loss.Rows(&block)
	for i := n - 1; i >= 0; i-- {
		// The attack ascends its objective: the loss that the paper minimises is its negative.
		hit := (device.Argmax(z[i*k:][:k]) == int(s.labels[i])) == s.goal.inverted
		better := first || s.value[i] > s.loss[i] || hit
		if better {
			s.loss[i] = s.value[i]
		}
		s.settle(i, better, first)
		if hit {
			s.write(i)
			s.leave(i)
		}
	}
	return nil
}

// settle makes the query the best image, or takes it back.
func (s *search) settle(i int, better, first bool) {
	to, from := s.image(s.next, i), s.image(s.best, i)
	if better {
		to, from = from, to
		s.memory.keep(i)
	}
	if first || s.Norm != Linf {
		copy(to, from)
		return
	}
	s.window(i, func(a, b int) { copy(to[a:b], from[a:b]) })
}

// leave puts the last example in the place of one that is done.
func (s *search) leave(i int) {
	last := len(s.rows) - 1
	if i < last {
		for _, images := range [...][]float32{s.clean, s.best, s.next} {
			copy(s.image(images, i), s.image(images, last))
		}
		s.rows[i], s.labels[i], s.loss[i] = s.rows[last], s.labels[last], s.loss[last]
		s.memory.move(i, last)
	}
	s.rows = s.rows[:last]
}

// add adds an entry to a sum of which root makes the norm, L2 or L1.
func (n Norm) add(sum, v float64) float64 {
	if n == L2 {
		return sum + float64(v*v)
	}
	return sum + math.Abs(v)
}

// root makes a norm of what add has added.
func (n Norm) root(sum float64) float64 {
	if n == L2 {
		return math.Sqrt(sum)
	}
	return sum
}
