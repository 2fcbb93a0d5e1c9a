package attacks

import (
	"rampart/nn/kernel"
	"rampart/nn/rng"
)

// windows is the pattern eta of the Square attack in L2 and L1 (Andriushchenko et al. 2020,
// algorithm 3 and figure 4): two bumps, one up and one down, in the halves of a square, of norm 1.
// turned is the same with its axes exchanged.
type windows struct {
	side            int
	pattern, turned []float64
}

// newWindows makes the pattern of a side; in Linf there is none.
func newWindows(norm Norm, side int) *windows {
	if norm == Linf {
		return nil
	}
	w := &windows{side: side, pattern: make([]float64, side*side), turned: make([]float64, side*side)}
	half := side / 2
	norm.bump(w.pattern[:half*side], half, side)
	norm.bump(w.pattern[half*side:], side-half, side)
	sum := 0.0
	for i, v := range w.pattern {
		if i >= half*side {
			w.pattern[i] = -v
		}
		sum = norm.add(sum, v)
	}
	for i := range w.pattern {
		w.pattern[i] /= norm.root(sum)
		w.turned[i%side*side+i/side] = w.pattern[i]
	}
	return w
}

// bump fills a rectangle with a sum of centred squares, each of 1/k^2 (in L1 1/k^4), of norm 1.
func (n Norm) bump(to []float64, rows, columns int) {
	middleRow, middleColumn := rows/2, columns/2
	for k := range max(middleRow, middleColumn) + 1 {
		v := 1 / float64((k+1)*(k+1))
		if n == L1 {
			v *= v
		}
		for r := max(middleRow-k, 0); r < min(middleRow+k+1, rows); r++ {
			for c := max(middleColumn-k, 0); c < min(middleColumn+k+1, columns); c++ {
				to[r*columns+c] += v
			}
		}
	}
	sum := 0.0
	for _, v := range to {
		sum = n.add(sum, v)
	}
	for i := range to {
		to[i] /= n.root(sum)
	}
}

// either is the pattern or, half of the time, the turned one.
func (w *windows) either(q *rng.Sequence) []float64 {
	if q.Uint32()>>31 == 1 {
		return w.turned
	}
	return w.pattern
}

// startWindows covers the image with a grid of windows, of one sign for each channel, at distance eps.
func (s *search) startWindows(q *rng.Sequence, next, clean, delta []float32) {
	side, in := s.proposal.side, s.in
	border := (in.H - side*5) / 2
	if border < 0 {
		border = 0
	}
	sign := make([]float32, in.C)
	clear(delta)
	for h := range in.H / side {
		for w := range in.W / side {
			pattern := s.proposal.either(q)
			signs(q, sign)
			s.proposal.each(in.W, in.C, border+h*side, border+w*side, func(at, c int, k int) {
				if border+h*side+k/side < in.H && border+w*side+k%side < in.W {
					delta[at] = sign[c] * float32(pattern[k])
				}
			})
		}
	}
	s.settleDelta(next, clean, delta)
}

// each calls f with the position of each entry of a window at (h, w), its channel, and its place in
// the pattern.
func (p *windows) each(width, channels, h, w int, f func(at, c, k int)) {
	for k := range p.side * p.side {
		at := ((h+k/p.side)*width + w + k%p.side) * channels
		for c := range channels {
			f(at+c, c, k)
		}
	}
}

// proposeWindows moves the norm of a second window, and what is left of eps, to a first one at
// (h, w), to which the pattern is added.
func (s *search) proposeWindows(q *rng.Sequence, h, w int, next, clean, best, delta []float32) {
	in, p, norm, side := s.in, s.proposal, s.Norm, s.side
	h2, w2 := int(q.Uint32n(uint32(in.H-side+1))), int(q.Uint32n(uint32(in.W-side+1)))
	pattern := p.either(q)
	sign := make([]float32, in.C)
	signs(q, sign)
	for j, v := range best {
		delta[j] = v - clean[j]
	}
	whole := 0.0
	for _, v := range delta {
		whole = norm.add(whole, float64(v))
	}
	first, both, fresh := make([]float64, in.C), make([]float64, in.C), make([]float64, in.C)
	p.each(in.W, in.C, h, w, func(at, c, _ int) { first[c] = norm.add(first[c], float64(delta[at])) })
	copy(both, first)
	p.each(in.W, in.C, h2, w2, func(at, c, k int) {
		row, column := h2+k/side, w2+k%side
		if row >= h && row < h+side && column >= w && column < w+side {
			return // counted in the first
		}
		both[c] = norm.add(both[c], float64(delta[at]))
	})
	value := func(at, c, k int) float64 {
		return float64(sign[c])*pattern[k] + float64(delta[at])/(1e-12+norm.root(first[c]))
	}
	p.each(in.W, in.C, h, w, func(at, c, k int) { fresh[c] = norm.add(fresh[c], value(at, c, k)) })
	eps := float64(s.Epsilon)
	for c := range fresh {
		var room float64
		if norm == L2 {
			room = norm.root(max(eps*eps-whole, 0)/float64(in.C) + both[c])
		} else {
			room = max(eps-whole, 0) + both[c]*float64(in.C)
		}
		fresh[c] = room / (1e-12 + norm.root(fresh[c]))
	}
	moved := make([]float32, side*side*in.C)
	p.each(in.W, in.C, h, w, func(at, c, k int) { moved[k*in.C+c] = float32(value(at, c, k) * fresh[c]) })
	p.each(in.W, in.C, h2, w2, func(at, _, _ int) { delta[at] = 0 })
	p.each(in.W, in.C, h, w, func(at, c, k int) { delta[at] = moved[k*in.C+c] })
	s.settleDelta(next, clean, delta)
}

// settleDelta makes an image of a perturbation: in L2 scaled to eps and clipped, in L1 projected.
func (s *search) settleDelta(next, clean, delta []float32) {
	scale := 1.0
	if s.Norm == L2 {
		scale = float64(s.Epsilon) / (norm2(delta) + 1e-12)
	}
	for j, c := range clean {
		next[j] = c + float32(scale*float64(delta[j]))
	}
	if s.Norm == L1 {
		kernel.ProjectL1(next, clean, float32(float64(s.Epsilon)*(1-1e-6)))
		return
	}
	toBox(next, clean)
}
