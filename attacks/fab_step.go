package attacks

import (
	"math"
	"slices"

	"rampart/nn"
	"rampart/nn/device"
)

// fabState is FAB at work on a batch. Slices are by row of the batch; live are the rows at work.
type fabState struct {
	*FAB
	o              *oracle
	targets        [][]int32
	live           []int
	clean, x, best []float32 // [n, size]
	d1, d2         []float32 // ways of x and of clean to the boundary
	room           []float32 // [n, 2*size], scratch
	distance       []float64 // of best
	w              []float32 // gradient of the nearest boundary
	value, nearest []float64 // logit difference there, and the boundary's distance from x
	ask            []float32 // by position in live
	labels         []int32
	soft           []float32
}

func newFABState(a *FAB, o *oracle, clean []float32, targets [][]int32) *fabState {
	n := len(o.b.Labels)
	s := &fabState{FAB: a, o: o, targets: targets, clean: clean, x: slices.Clone(clean), best: slices.Clone(clean),
		distance: make([]float64, n), w: make([]float32, len(clean)), d1: make([]float32, len(clean)), d2: make([]float32, len(clean)), room: make([]float32, 2*len(clean)), value: make([]float64, n), nearest: make([]float64, n),
		ask: make([]float32, len(clean)), labels: make([]int32, n), soft: make([]float32, n*o.classes)}
	for r := range s.distance {
		s.distance[r] = math.Inf(1)
	}
	return s
}

func (s *fabState) of(images []float32, r int) []float32 { return images[r*s.o.size:][:s.o.size] }

// gather lays the live rows' iterates out for a question.
func (s *fabState) gather() {
	for i, r := range s.live {
		copy(s.ask[i*s.o.size:], s.of(s.x, r))
		s.labels[i] = s.o.b.Labels[r]
	}
}

// advance makes one step of all live rows.
func (s *fabState) advance() error {
	s.gather()
	k := s.o.classes
	for t, targets := range s.targets {
		clear(s.soft)
		for i, r := range s.live {
			s.soft[i*k+int(targets[r])] = 1
		}
		_, value, dx, err := s.o.gradient(s.ask, s.live, s.labels, s.soft, nn.LogitDifference{})
		if err != nil {
			return err
		}
		eachRow(len(s.live), func(i int) {
			r, g := s.live[i], dx[i*s.o.size:][:s.o.size]
			away := math.Inf(1)
			if len(s.targets) > 1 {
				away = math.Abs(float64(value[i])) / (1e-12 + s.Norm.dual(g))
			}
			if t == 0 || away < s.nearest[r] {
				s.nearest[r], s.value[r] = away, float64(value[i])
				copy(s.of(s.w, r), g)
			}
		})
	}
	eachRow(len(s.live), func(i int) { s.step(s.live[i]) })
	s.gather()
	z, err := s.o.logits(s.ask, s.live)
	if err != nil {
		return err
	}
	live := s.live[:0]
	for i, r := range s.live {
		if device.Argmax(z[i*k:][:k]) == int(s.o.b.Labels[r]) {
			live = append(live, r)
			continue
		}
		x, clean := s.of(s.x, r), s.of(s.clean, r)
		if d := s.Norm.Distance(x, clean); d < s.distance[r] {
			s.distance[r] = d
			copy(s.of(s.best, r), x)
		}
		if !s.Nearest && s.distance[r] <= float64(s.Epsilon) {
			continue
		}
		live = append(live, r)
		for j, c := range clean {
			x[j] = c + float32(float32(s.Beta)*(x[j]-c))
		}
	}
	s.live = live
	return nil
}

// step moves a row's iterate to (1-alpha)(x + eta d1) + alpha (clean + eta d2), d1 and d2 being the
// ways of x and of clean to the boundary (Croce and Hein 2020b, equation 7).
func (s *fabState) step(r int) {
	x, clean, w := s.of(s.x, r), s.of(s.clean, r), s.of(s.w, r)
	if !(norm2(w) <= math.MaxFloat64) {
		return // not finite: no boundary
	}
	// The boundary lies where value + w (p-x) is 0.
	atClean := s.value[r]
	for j, v := range w {
		atClean += float64(v) * (float64(clean[j]) - float64(x[j]))
	}
	d1, d2 := s.of(s.d1, r), s.of(s.d2, r)
	room := s.room[2*r*s.o.size:][:2*s.o.size]
	a1 := max(s.Norm.toPlane(d1, x, w, s.value[r], room), 1e-8)
	a2 := max(s.Norm.toPlane(d2, clean, w, atClean, room), 1e-8)
	alpha := float32(min(a1/(a1+a2), s.AlphaMax))
	eta := float32(s.Eta)
	for j, v := range x {
		v = float32((v+float32(eta*d1[j]))*(1-alpha)) + float32((clean[j]+float32(eta*d2[j]))*alpha)
		x[j] = min(max(v, 0), 1)
	}
}
