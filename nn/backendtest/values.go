package backendtest

import (
	"fmt"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// values compares every network with the reference, with as many rows as it was built for and with fewer.
func (s suite) values(t *testing.T) {
	for _, network := range Networks() {
		t.Run(network.Name, func(t *testing.T) {
			const built = 7
			n := s.build(t, network.Spec, 2, built)
			for _, rows := range []int{3, built} {
				s.compare(t, n, rows, nn.CrossEntropy{})
			}
		})
	}
}

// losses runs every loss through one network.
func (s suite) losses(t *testing.T) {
	spec := find(Networks(), "relu before max pooling")
	for _, loss := range []device.Loss{nn.CrossEntropy{Temperature: 4}, nn.Distill{Temperature: 3}, nn.Distill{}, nn.Margin{},
		nn.Targeted{Loss: nn.CrossEntropy{}}, nn.Targeted{Loss: nn.Margin{}}} {
		t.Run(fmt.Sprintf("%T%+v", loss, loss), func(t *testing.T) {
			s.compare(t, s.build(t, spec, 2, 5), 5, loss)
		})
	}
}

// compare checks both passes over the first rows of the data against the reference.
func (s suite) compare(t *testing.T, n *net, rows int, loss device.Loss) {
	t.Helper()
	if err := n.SetWeights(n.weights); err != nil {
		t.Fatal(err)
	}
	call := nn.ReferenceCall{Rows: rows, Adversarial: adversarial(rows), X: n.x[:rows*n.Spec.Input.Size()], Loss: loss, Labels: n.labels[:rows],
		Soft: n.soft[:rows*n.Spec.Classes], Scale: 1, Noise: 77}
	want := reference(t, n, call)
	c := n.call(0, rows, loss, 1)
	got := n.inputGrad(t, c)
	near(t, "logits", got.logits, want.Logits)
	near(t, "value", got.value, want.Value)
	near(t, "input gradient", got.inputGrad, want.InputGrad)
	sameWeights(t, "weights after evaluation", n.Weights(), n.weights)

	alone := n.call(0, rows, nil, 0)
	alone.Value, alone.InputGrad = nil, nil
	if err := n.Logits(alone); err != nil {
		t.Fatal(err)
	}
	same(t, "logits without gradient", read(alone.Logits), got.logits)

	call.Training, call.Scale = true, 1/float32(rows)
	want = reference(t, n, call)
	got = n.paramGrad(t, n.call(0, rows, loss, 1/float32(rows)))
	near(t, "logits in training", got.logits, want.Logits)
	near(t, "value in training", got.value, want.Value)
	nearWeights(t, "gradient", n.Gradients(), want.ParamGrads)
	nearWeights(t, "weights after training", n.Weights(), want.Weights)
}

func reference(t *testing.T, n *net, c nn.ReferenceCall) *nn.ReferenceResult {
	t.Helper()
	r, err := nn.Reference(n.Spec, n.weights, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rowsAndThreads: in evaluation a row's results depend on that row alone, and no result on the threads.
func (s suite) rowsAndThreads(t *testing.T) {
	for _, network := range Networks() {
		t.Run(network.Name, func(t *testing.T) {
			const rows = 11
			one := s.build(t, network.Spec, 1, rows)
			want := one.inputGrad(t, one.call(0, rows, nn.CrossEntropy{}, 1))
			trained := one.paramGrad(t, one.call(0, rows, nn.CrossEntropy{}, 1))
			for _, threads := range []int{2, 5} {
				n := s.build(t, network.Spec, threads, rows)
				for _, part := range [][2]int{{0, rows}, {0, 1}, {4, 6}, {3, 10}, {rows - 1, rows}} {
					got := n.inputGrad(t, n.call(part[0], part[1], nn.CrossEntropy{}, 1))
					what := fmt.Sprintf("rows %v on %d threads: ", part, threads)
					want.rows(part[0], part[1], rows).same(t, what, got)
				}
				got := n.paramGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
				what := fmt.Sprintf("%d threads, training: ", threads)
				trained.same(t, what, got)
				sameWeights(t, what+"gradient", n.Gradients(), one.Gradients())
				sameWeights(t, what+"weights", n.Weights(), one.Weights())
			}
		})
	}
}

// rows is the part of a pass over all examples that belongs to [from,to).
func (p pass) rows(from, to, all int) pass {
	cut := func(v []float32) []float32 { return v[from*len(v)/all : to*len(v)/all] }
	return pass{cut(p.logits), cut(p.value), cut(p.inputGrad)}
}

func (p pass) same(t *testing.T, what string, got pass) {
	t.Helper()
	same(t, what+"logits", got.logits, p.logits)
	same(t, what+"value", got.value, p.value)
	same(t, what+"input gradient", got.inputGrad, p.inputGrad)
}

// manyRows: more rows than all workers take at a time, in a number that nothing divides.
func (s suite) manyRows(t *testing.T) {
	const rows = 331
	spec := custom("", 6, 6, 1, conv(3, 3, 1, ""), bnorm, relu, maxpool(2, 0, ""), dense(9), relu, dropout(0.3), dense(0)).Spec
	small := s.build(t, spec, 1, 10)
	var first *net
	for _, threads := range []int{1, 2, 5} {
		n := s.build(t, spec, threads, rows)
		want := n.inputGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
		for from := 0; from < rows; from += 10 {
			to := min(from+10, rows)
			c := n.call(from, to, nn.CrossEntropy{}, 1)
			c.X, c.Logits, c.Value, c.InputGrad = small.upload(read(c.X)), small.Device.New(c.Logits.Len()), small.Device.New(c.Rows), small.Device.New(c.X.Len())
			c.Soft = nil
			want.rows(from, to, rows).same(t, fmt.Sprintf("%d threads, rows %d to %d: ", threads, from, to), small.inputGrad(t, c))
		}
		if first == nil {
			first = n
			s.compare(t, n, rows, nn.CrossEntropy{})
			continue
		}
		n.paramGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1./rows))
		what := fmt.Sprintf("%d threads: ", threads)
		sameWeights(t, what+"gradient", n.Gradients(), first.Gradients())
		sameWeights(t, what+"weights", n.Weights(), first.Weights())
	}
}
