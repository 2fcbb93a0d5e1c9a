package backendtest

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// stepL1 compares one step in L1 from the clean example with the formula on the reference's gradient.
func (s suite) stepL1(t *testing.T) {
	const rows = 9
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	for i := range n.x { // some pixels at the walls of the box
		if i%7 == 0 {
			n.x[i] = float32(i / 7 % 2)
		}
	}
	want := reference(t, n, nn.ReferenceCall{Rows: rows, X: n.x, Loss: nn.CrossEntropy{}, Labels: n.labels, Scale: 1})
	compared := 0
	for _, l := range []device.Loop{
		{Epsilon: 1, StepSize: 0.7, Sparsity: 0.1}, {Epsilon: 1, StepSize: 3, Sparsity: 0.3}, {Epsilon: 6, StepSize: 6, Sparsity: 0.2}, {Epsilon: 1, StepSize: 0.2, Sparsity: 0},
	} {
		l.Steps, l.Norm = 1, device.L1
		adv, _ := n.attack(t, rows, l)
		for r := range rows {
			expect, clear := plainStepL1(n.x[r*size:][:size], want.InputGrad[r*size:][:size], &l)
			if !clear {
				continue
			}
			compared++
			for i, v := range adv[r*size:][:size] {
				if math.Abs(float64(v)-expect[i]) > 2e-6 {
					t.Fatalf("eps %v, step %v, sparsity %v: pixel %d of row %d goes from %v to %v, want %v", l.Epsilon, l.StepSize, l.Sparsity, i, r, n.x[r*size+i], v, expect[i])
				}
			}
		}
	}
	if compared < 3*rows {
		t.Errorf("only %d rows are clear: this test shows little", compared)
	}
}

// plainStepL1 moves one example along the largest entries of its gradient and projects it by
// bisection. The result is not clear where rounding decides which entries are the largest.
func plainStepL1(clean, grad []float32, l *device.Loop) (out []float64, clear bool) {
	var order []int
	for i, g := range grad {
		if !(g > 0 && clean[i] == 1 || g < 0 && clean[i] == 0) {
			order = append(order, i)
		}
	}
	size := func(i int) float64 { return math.Abs(float64(grad[i])) }
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	most := max(int(math.Round(float64(l.Sparsity)*float64(len(grad)))), 1)
	clear = most < len(order) && size(order[most-1])-size(order[most]) > 1e-5*size(order[0])
	delta := make([]float64, len(grad))
	for _, i := range order[:min(most, len(order))] {
		delta[i] = math.Copysign(float64(l.StepSize)/float64(most), float64(grad[i]))
	}
	shrunk := func(by float64) (norm float64) {
		out = out[:0]
		for i, d := range delta {
			v := min(max(float64(clean[i])+math.Copysign(max(math.Abs(d)-by, 0), d), 0), 1)
			norm += math.Abs(v - float64(clean[i]))
			out = append(out, v)
		}
		return norm
	}
	if shrunk(0) <= float64(l.Epsilon) {
		return out, clear
	}
	lo, hi := 0.0, float64(l.StepSize)
	for range 60 {
		if mid := (lo + hi) / 2; shrunk(mid) > float64(l.Epsilon) {
			lo = mid
		} else {
			hi = mid
		}
	}
	shrunk(hi)
	return out, clear
}
