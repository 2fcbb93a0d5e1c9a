package attacks

import (
	"rampart/nn/device"
)

// Patching is a Victim that can answer for images that differ from known ones in a region with less
// work, and the same logits. Patches may be nil: this victim cannot.
type Patching interface {
	Victim
	Patches(rows int) device.Patches
}

// patchMemory is what a victim remembers of the best images of a search. In L2 and L1 there is none, since
// a query moves every pixel: the perturbation is brought back to its ball.
type patchMemory struct {
	device.Patches
	known   bool // the best images are remembered
	queried bool // so is the last query
	regions []device.Region
}

// newPatchMemory returns nil where the victim can remember nothing.
func newPatchMemory(a *Square, v Victim, rows int) *patchMemory {
	p, ok := v.(Patching)
	if !ok || a.Norm != Linf {
		return nil
	}
	patches := p.Patches(rows)
	if patches == nil {
		return nil
	}
	return &patchMemory{Patches: patches, regions: make([]device.Region, rows)}
}

// places is how many of n examples are searched together.
func (m *patchMemory) places(n int) int {
	if m == nil {
		return n
	}
	return m.Places()
}

// logits returns the logits of a search's queries.
func (m *patchMemory) logits(s *search, first bool) ([]float32, error) {
	if m == nil {
		return s.o.logits(s.next, s.rows)
	}
	if m.queried = !first && m.Pays(s.side, s.side); !m.queried {
		m.known = false
		return s.o.logits(s.next, s.rows)
	}
	if !m.known {
		if err := m.learn(s); err != nil {
			return nil, err
		}
	}
	for i := range s.rows {
		h, w := s.at[i][0], s.at[i][1]
		m.regions[i] = device.Region{Top: h, Left: w, Bottom: h + s.side, Right: w + s.side}
	}
	return s.o.logitsBy(func(c *device.Call) error { return m.Run(c, m.regions) }, s.next, s.rows)
}

// learn remembers the best images. That is no query, and is not counted.
func (m *patchMemory) learn(s *search) error {
	n := len(s.rows)
	s.o.x.Upload(s.best[:n*s.o.size], 0)
	if err := m.Run(&device.Call{Rows: n, X: s.o.x, Logits: s.o.z, Scale: 1}, nil); err != nil {
		return err
	}
	for i := range n {
		m.Keep(i)
	}
	m.known = true
	return nil
}

// keep remembers a query as the example's best image.
func (m *patchMemory) keep(i int) {
	if m != nil && m.queried {
		m.Keep(i)
	}
}

// move puts what is remembered of one example in the place of another.
func (m *patchMemory) move(to, from int) {
	if m != nil && m.known {
		m.Move(to, from)
	}
}
