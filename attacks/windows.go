package attacks

import "rampart/nn/kernel"

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

// of is the pattern, or the turned one.
func (p *windows) of(turned bool) []float64 {
	if turned {
		return p.turned
	}
	return p.pattern
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

// startWindows covers the image with a grid of windows at distance eps; draw gives the signs of each
// window's channels, and whether it is turned.
func (s *search) startWindows(i int, draw func(sign []float32) (turned bool)) {
	side, in, delta := s.proposal.side, s.in, s.image(s.delta, i)
	border := max((in.H-side*5)/2, 0)
	sign := make([]float32, in.C)
	clear(delta)
	for h := range in.H / side {
		for w := range in.W / side {
			pattern := s.proposal.of(draw(sign))
			s.proposal.each(in.W, in.C, border+h*side, border+w*side, func(at, c, k int) {
				if border+h*side+k/side < in.H && border+w*side+k%side < in.W {
					delta[at] = sign[c] * float32(pattern[k])
				}
			})
		}
	}
	s.settleDelta(i)
}

// applyWindows moves the norm of the second window, and what is left of eps, to the first one, to
// which the pattern is added.
func (s *search) applyWindows(i int, draw change) {
	in, p, norm, side := s.in, s.proposal, s.Norm, s.side
	delta, clean := s.image(s.delta, i), s.image(s.clean, i)
	pattern, h, w := p.of(draw.turned), draw.h, draw.w
	whole := 0.0
	for j, v := range s.image(s.best, i) {
		delta[j] = v - clean[j]
		whole = norm.add(whole, float64(delta[j]))
	}
	first, both, fresh := make([]float64, in.C), make([]float64, in.C), make([]float64, in.C)
	p.each(in.W, in.C, h, w, func(at, c, _ int) { first[c] = norm.add(first[c], float64(delta[at])) })
	copy(both, first)
	p.each(in.W, in.C, draw.h2, draw.w2, func(at, c, k int) {
		row, column := draw.h2+k/side, draw.w2+k%side
		if row >= h && row < h+side && column >= w && column < w+side {
			return // counted in the first
		}
		both[c] = norm.add(both[c], float64(delta[at]))
	})
	moved := make([]float64, side*side*in.C)
	p.each(in.W, in.C, h, w, func(at, c, k int) {
		v := float64(draw.sign[c])*pattern[k] + float64(delta[at])/(1e-12+norm.root(first[c]))
		moved[k*in.C+c] = v
		fresh[c] = norm.add(fresh[c], v)
	})
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
	p.each(in.W, in.C, draw.h2, draw.w2, func(at, _, _ int) { delta[at] = 0 })
	p.each(in.W, in.C, h, w, func(at, c, k int) { delta[at] = float32(moved[k*in.C+c] * fresh[c]) })
	s.settleDelta(i)
}

// settleDelta makes an image of a perturbation: in L2 scaled to eps and clipped, in L1 projected.
func (s *search) settleDelta(i int) {
	next, clean, delta := s.image(s.next, i), s.image(s.clean, i), s.image(s.delta, i)
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
