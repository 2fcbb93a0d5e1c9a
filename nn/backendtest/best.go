package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// chain is what a loop without early stop goes through: each iterate, with its loss and whether
// it succeeds.
type chain struct {
	x      [][]float32
	loss   [][]float32
	hit    [][]bool
	labels []int32
}

const chainSteps = 4

// chain runs loops of 0, 1, 2.. steps.
func (n *net) chain(t *testing.T, rows int, l device.Loop) chain {
	t.Helper()
	c := chain{labels: n.labels[:rows]}
	for steps := range chainSteps + 1 {
		l.Steps = steps
		x, _ := n.attack(t, rows, l)
		at := n.at(t, x, rows, n.attackLoss(l))
		hit := make([]bool, rows)
		for r := range rows {
			row := at.logits[r*n.Spec.Classes:][:n.Spec.Classes]
			hit[r] = (device.Argmax(row) == int(n.labels[r])) == l.Targeted
		}
		c.x, c.loss, c.hit = append(c.x, x), append(c.loss, at.value), append(c.hit, hit)
	}
	return c
}

// best is the index of the iterate that KeepBest returns for a row: the loss decides among those
// that succeed, or among all where none does.
func (c chain) best(r int) int {
	best := 0
	for i := range c.x {
		if c.hit[i][r] != c.hit[best][r] {
			if c.hit[i][r] {
				best = i
			}
		} else if c.loss[i][r] > c.loss[best][r] {
			best = i
		}
	}
	return best
}

// first is the first iterate of a row that succeeds, -1 where none does.
func (c chain) first(r int) int {
	return slices.IndexFunc(c.hit, func(hit []bool) bool { return hit[r] })
}

// settle makes n classify most of its examples right, so that attacks have something to do: each
// label is the network's own, but for every fourth row.
func (n *net) settle(t *testing.T, rows int) {
	t.Helper()
	at := n.at(t, n.x[:rows*n.Spec.Input.Size()], rows, nn.CrossEntropy{})
	for r := range rows {
		if r%4 != 0 {
			n.labels[r] = int32(device.Argmax(at.logits[r*n.Spec.Classes:][:n.Spec.Classes]))
		}
	}
}

// loops that hit some of the examples at each of their steps, overshooting now and then.
var testedLoops = []device.Loop{
	{Norm: device.Linf, Epsilon: 0.15, StepSize: 0.05},
	{Norm: device.Linf, Epsilon: 0.1, StepSize: 0.2},
	{Norm: device.L2, Epsilon: 0.6, StepSize: 0.2},
	{Norm: device.L2, Epsilon: 0.4, StepSize: 0.8, Start: device.FromUniform},
	{Norm: device.L1, Epsilon: 2, StepSize: 0.8, Sparsity: 0.1},
	{Norm: device.L1, Epsilon: 1.5, StepSize: 3, Sparsity: 0.3, Start: device.FromUniform},
}

// keepBest compares KeepBest's result with the best of the chain. The turned loss leads back to
// where examples are classified right: the iterate that succeeds is better though its loss is lower.
func (s suite) keepBest(t *testing.T) {
	const rows = 40
	n := s.victim(t, 2, rows)
	n.settle(t, rows)
	size, notLast, lower := n.Spec.Input.Size(), 0, 0
	for _, n.loss = range []device.Loss{nn.CrossEntropy{}, nn.Targeted{Loss: nn.CrossEntropy{}}} {
		for _, l := range testedLoops {
			c := n.chain(t, rows, l)
			l.Steps, l.KeepBest = chainSteps, true
			got, _ := n.attack(t, rows, l)
			for r := range rows {
				best := c.best(r)
				if best != chainSteps {
					notLast++
				}
				if c.loss[best][r] < c.loss[chainSteps][r] {
					lower++
				}
				same(t, "best iterate", got[r*size:][:size], c.x[best][r*size:][:size])
			}
		}
	}
	if notLast == 0 || lower == 0 {
		t.Errorf("%d best iterates are not the last, %d have a lower loss: this test shows nothing", notLast, lower)
	}
}

// earlyStop: a row that succeeds ends there, and the others do not notice.
func (s suite) earlyStop(t *testing.T) {
	const rows = 40
	n := s.victim(t, 2, rows)
	n.settle(t, rows)
	size := n.Spec.Input.Size()
	ends := map[int]int{}
	for _, l := range testedLoops {
		c := n.chain(t, rows, l)
		for _, keepBest := range []bool{false, true} {
			l.Steps, l.EarlyStop, l.KeepBest = chainSteps, true, keepBest
			got, counts := n.attack(t, rows, l)
			atLeast, atMost := 0, 0
			for r := range rows {
				end := c.first(r)
				ends[end]++
				if end < 0 || end == chainSteps {
					atLeast, atMost = atLeast+chainSteps, atMost+chainSteps
				} else { // the gradient of the iterate that succeeds may be computed or not
					atLeast, atMost = atLeast+end, atMost+end+1
				}
				if end < 0 {
					end = chainSteps
					if keepBest {
						end = c.best(r)
					}
				}
				same(t, "early stop's result", got[r*size:][:size], c.x[end][r*size:][:size])
			}
			if counts.Gradients < atLeast || counts.Gradients > atMost {
				t.Errorf("%d gradients, want %d to %d", counts.Gradients, atLeast, atMost)
			}
		}
	}
	if len(ends) < 4 {
		t.Errorf("examples end at %v: too few different steps to show anything", ends)
	}
}

// tau: a row goes on for Tau iterates that succeed after the first, and returns the next of them.
func (s suite) tau(t *testing.T) {
	const rows = 40
	n := s.victim(t, 2, rows)
	n.settle(t, rows)
	size, later := n.Spec.Input.Size(), 0
	for _, l := range testedLoops {
		c := n.chain(t, rows, l)
		for tau := range 4 {
			l.Steps, l.EarlyStop, l.Tau = chainSteps, true, tau
			got, _ := n.attack(t, rows, l)
			for r := range rows {
				end, left := chainSteps, tau
				for i := range chainSteps {
					if c.hit[i][r] {
						if left == 0 {
							end = i
							break
						}
						left--
					}
				}
				if first := c.first(r); first >= 0 && first < end {
					later++
				}
				same(t, fmt.Sprintf("tau %d: result", tau), got[r*size:][:size], c.x[end][r*size:][:size])
			}
		}
	}
	if later == 0 {
		t.Error("no row goes on after its first success: this test shows nothing")
	}
}

// targeted: ascending the turned loss descends that of the target, and a hit is a row that is
// classified as the target.
func (s suite) targeted(t *testing.T) {
	const rows = 30
	n := s.victim(t, 2, rows)
	size := n.Spec.Input.Size()
	before := n.at(t, n.x, rows, nn.CrossEntropy{})
	for _, norm := range norms {
		l := device.Loop{Steps: 1, Norm: norm, Epsilon: 0.01, StepSize: 0.01, Sparsity: 0.1, Targeted: true}
		adv, _ := n.attack(t, rows, l)
		after := n.at(t, adv, rows, nn.CrossEntropy{})
		for r := range rows {
			if !(after.value[r] < before.value[r]) {
				t.Errorf("%s: the target's loss of row %d goes from %v to %v", normName(norm), r, before.value[r], after.value[r])
			}
		}
	}
	hits := 0
	for _, l := range []device.Loop{
		{Norm: device.Linf, Epsilon: 0.3, StepSize: 0.1, Targeted: true},
		{Norm: device.L2, Epsilon: 1.5, StepSize: 0.5, Targeted: true},
		{Norm: device.L1, Epsilon: 5, StepSize: 1.5, Sparsity: 0.2, Targeted: true},
	} {
		c := n.chain(t, rows, l)
		l.Steps, l.EarlyStop, l.KeepBest = chainSteps, true, true
		stopped, _ := n.attack(t, rows, l)
		l.EarlyStop = false
		best, _ := n.attack(t, rows, l)
		at := n.at(t, stopped, rows, nn.CrossEntropy{})
		for r := range rows {
			same(t, "best iterate", best[r*size:][:size], c.x[c.best(r)][r*size:][:size])
			end := c.first(r)
			if end < 0 {
				end = c.best(r)
			} else {
				hits++
				if got := device.Argmax(at.logits[r*n.Spec.Classes:][:n.Spec.Classes]); got != int(n.labels[r]) {
					t.Errorf("row %d ends as class %d, not as its target %d", r, got, n.labels[r])
				}
			}
			same(t, "early stop's result", stopped[r*size:][:size], c.x[end][r*size:][:size])
		}
	}
	if hits == 0 || hits == 3*rows {
		t.Errorf("%d of %d rows reach their targets: this test shows nothing", hits, 3*rows)
	}
}

// counts: a network without gradients, and one whose gradients are no numbers.
func (s suite) counts(t *testing.T) {
	const rows, steps = 9, 3
	for _, norm := range norms {
		for _, test := range []struct {
			bias  float32 // of the last layer
			scale float32 // of the first layer's weights
			want  device.Counts
		}{
			{0, 1, device.Counts{Gradients: rows * steps}},
			{0, 0, device.Counts{Gradients: rows * steps, Zero: rows * steps}},
			{float32(math.NaN()), 1, device.Counts{Gradients: rows * steps, NonFinite: rows * steps}},
		} {
			n := s.build(t, custom("", 4, 4, 1, dense(12), dense(0)).Spec, 2, rows)
			for _, w := range n.weights {
				switch w.Name {
				case "fc1.weight":
					for i := range w.Data {
						w.Data[i] *= test.scale
					}
				case "fc2.bias":
					w.Data[0] += test.bias
				}
			}
			if err := n.SetWeights(n.weights); err != nil {
				t.Fatal(err)
			}
			adv, got := n.attack(t, rows, device.Loop{Steps: steps, Norm: norm, Epsilon: 0.1, StepSize: 0.05, Sparsity: 0.2})
			if got != test.want {
				t.Errorf("%s, bias %v, scale %v: counts %+v, want %+v", normName(norm), test.bias, test.scale, got, test.want)
			}
			if test.want.Zero+test.want.NonFinite > 0 {
				same(t, "example without a gradient", adv, n.x)
			}
		}
	}
}
