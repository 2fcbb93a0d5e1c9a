package backendtest

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// victim is a network whose input gradient does not vanish.
func (s suite) victim(t *testing.T, threads, rows int) *net {
	t.Helper()
	return s.build(t, custom("", 6, 6, 1, conv(6, 3, 1, "same"), relu, maxpool(2, 0, ""), dense(24), relu, dense(0)).Spec, threads, rows)
}

func (n *net) attackLoss(l device.Loop) device.Loss {
	switch {
	case n.loss != nil:
		return n.loss
	case l.Targeted:
		return nn.Targeted{Loss: nn.CrossEntropy{}}
	}
	return nn.CrossEntropy{}
}

// attack runs a loop over all of n's rows and returns the result.
func (n *net) attack(t *testing.T, rows int, l device.Loop) ([]float32, device.Counts) {
	t.Helper()
	c := n.call(0, rows, n.attackLoss(l), 1)
	c.Logits, c.Value, c.InputGrad = nil, nil, nil
	l.Adv = n.Device.New(c.X.Len())
	l.Noise = rng.New(31, "start")
	if l.Example == nil {
		for i := range rows {
			l.Example = append(l.Example, uint32(1000+i))
		}
	}
	counts, err := n.Iterate(c, &l)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "clean examples after the attack", read(c.X), n.x[:c.X.Len()])
	return read(l.Adv), counts
}

var norms = []device.Norm{device.Linf, device.L2, device.L1}

func normName(n device.Norm) string { return [...]string{"Linf", "L2", "L1"}[n] }

// step compares one step from the clean example with the formula on the reference's gradient.
func (s suite) step(t *testing.T) {
	const rows = 9
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	want := reference(t, n, nn.ReferenceCall{Rows: rows, X: n.x, Loss: nn.CrossEntropy{}, Labels: n.labels, Scale: 1})
	for _, norm := range norms[:2] { // stepL1 sees to the third
		for _, size64 := range [][2]float32{{0.1, 0.07}, {0.1, 0.3}} { // within the ball, and beyond it
			eps, step := size64[0], size64[1]
			adv, _ := n.attack(t, rows, device.Loop{Steps: 1, Norm: norm, Epsilon: eps, StepSize: step})
			for r := range rows {
				x, g, got := n.x[r*size:][:size], want.InputGrad[r*size:][:size], adv[r*size:][:size]
				expect := plainStep(norm, x, x, g, float64(step), float64(eps))
				top := 0.0
				for _, v := range g {
					top = math.Max(top, math.Abs(float64(v)))
				}
				compared := 0
				for i, v := range got {
					// Where the gradient is no more than rounding its sign may differ.
					if norm == device.Linf && math.Abs(float64(g[i])) <= 1e-5*top {
						continue
					}
					compared++
					if math.Abs(float64(v)-expect[i]) > 2e-6 {
						t.Fatalf("%s, eps %v, step %v: pixel %d of row %d goes from %v to %v, want %v", normName(norm), eps, step, i, r, x[i], v, expect[i])
					}
				}
				if compared < size/2 {
					t.Fatalf("row %d: only %d of %d pixels have a gradient", r, compared, size)
				}
			}
		}
	}
}

// plainStep moves one example along its gradient, projects and clips it.
func plainStep(norm device.Norm, at, clean, grad []float32, step, eps float64) []float64 {
	length := 0.0
	for _, g := range grad {
		length += float64(g) * float64(g)
	}
	length = math.Sqrt(length)
	delta, out := make([]float64, len(at)), make([]float64, len(at))
	distance := 0.0
	for i, g := range grad {
		move := float64(g) / length
		if norm == device.Linf {
			move = math.Copysign(1, float64(g))
		}
		delta[i] = float64(at[i]) + step*move - float64(clean[i])
		distance += delta[i] * delta[i]
	}
	distance = math.Sqrt(distance)
	for i, d := range delta {
		if norm == device.Linf {
			d = min(max(d, -eps), eps)
		} else if distance > eps {
			d *= eps / distance
		}
		out[i] = min(max(float64(clean[i])+d, 0), 1)
	}
	return out
}

// rounding of a pixel: half a unit in the last place of 1.
const rounding = 0x1p-24

// ball: no result leaves the ball or the box, and steps that are large enough reach the ball's edge.
func (s suite) ball(t *testing.T) {
	const rows = 20
	n := s.victim(t, 2, rows)
	for _, norm := range norms {
		for _, start := range []device.Start{device.FromClean, device.FromUniform} {
			for _, eps := range []float32{0.3, 8. / 255, 1.7} {
				for steps := range 4 {
					l := device.Loop{Steps: steps, Norm: norm, Epsilon: eps, StepSize: eps, Sparsity: 0.2, Start: start}
					adv, _ := n.attack(t, rows, l)
					what := fmt.Sprintf("%s, eps %v, start %d, %d steps", normName(norm), eps, start, steps)
					furthest := checkBall(t, what, norm, adv, n.x, n.Spec.Input.Size(), eps)
					if steps == 3 && eps < 1 && furthest < 0.9*float64(eps) {
						t.Errorf("%s: no example is further than %v away", what, furthest)
					}
				}
			}
		}
	}
}

// checkBall returns the distance of the example that is furthest from its clean one.
func checkBall(t *testing.T, what string, norm device.Norm, adv, x []float32, size int, eps float32) (furthest float64) {
	t.Helper()
	for r := 0; r < len(adv); r += size {
		linf, square, sum := 0.0, 0.0, 0.0
		for i := r; i < r+size; i++ {
			if !(adv[i] >= 0 && adv[i] <= 1) {
				t.Fatalf("%s: a pixel is %v", what, adv[i])
			}
			d := math.Abs(float64(adv[i]) - float64(x[i]))
			linf, square, sum = math.Max(linf, d), square+d*d, sum+d
		}
		distance, slack := linf, float64(rounding)
		switch norm {
		case device.L2:
			distance, slack = math.Sqrt(square), rounding*math.Sqrt(float64(size))
		case device.L1:
			distance, slack = sum, rounding*float64(size)
		}
		if distance > float64(eps)*(1+1e-6)+slack {
			t.Fatalf("%s: row %d is %v away", what, r/size, distance)
		}
		furthest = math.Max(furthest, distance)
	}
	return furthest
}

// loopThreads: a row's result depends on neither the other rows nor the threads, early stop included.
func (s suite) loopThreads(t *testing.T) {
	const rows = 150
	for _, l := range []device.Loop{
		{Steps: 3, Norm: device.Linf, Epsilon: 0.1, StepSize: 0.04, Start: device.FromUniform, KeepBest: true},
		{Steps: 4, Norm: device.L2, Epsilon: 0.8, StepSize: 0.3, Start: device.FromUniform, EarlyStop: true},
		{Steps: 4, Norm: device.Linf, Epsilon: 0.2, StepSize: 0.03, EarlyStop: true, KeepBest: true},
		{Steps: 4, Norm: device.L1, Epsilon: 4, StepSize: 1.5, Sparsity: 0.2, Start: device.FromUniform, EarlyStop: true, KeepBest: true},
	} {
		want, counts := s.victim(t, 1, rows).attack(t, rows, l)
		for _, threads := range []int{2, 5} {
			n := s.victim(t, threads, rows)
			for _, part := range []int{1, 7, rows} {
				got, c := n.attack(t, part, l)
				same(t, fmt.Sprintf("%+v: result of %d rows on %d threads", l, part, threads), got, want[:len(got)])
				if part == rows && c != counts {
					t.Errorf("%+v: counts %+v on %d threads, %+v on 1", l, c, threads, counts)
				}
			}
		}
	}
}
