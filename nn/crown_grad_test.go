package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// crownGradient is what AddGrad adds to a gradient that ParamGrad has left, and the loss.
func crownGradient(t *testing.T, m *nn.Model, c *nn.Crown, images []float32, labels []int32, eps, beta, scale float64) (loss float64, grad []nn.Weight) {
	t.Helper()
	n := len(labels)
	call := device.Call{Rows: n, X: m.New(len(images)), Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1}
	call.X.Upload(images, 0)
	list := m.Weights()
	if err := m.ParamGrad(&call); err != nil {
		t.Fatal(err)
	}
	set(t, m, list) // running statistics have moved
	before := m.Gradients()
	loss, err := c.AddGrad(images, labels, eps, beta, scale)
	if err != nil {
		t.Fatal(err)
	}
	grad = m.Gradients()
	for i := range grad {
		for j := range grad[i].Data {
			grad[i].Data[j] -= before[i].Data[j]
		}
	}
	return loss, grad
}

// crownLoss is the loss from the bounds.
func crownLoss(t *testing.T, c *nn.Crown, images []float32, labels []int32, eps, beta float64) (sum float64) {
	t.Helper()
	interval, crown, err := c.UpperBounds(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	margins := len(interval) / len(labels)
	for i := range labels {
		exp := 1.0
		for r := i * margins; r < (i+1)*margins; r++ {
			exp += math.Exp((1-beta)*interval[r] + beta*crown[r])
		}
		sum += math.Log(exp)
	}
	return sum
}

// TestCrownGradient compares the gradient of the loss with finite differences, in every weight's kind and
// for bounds of both kinds and mixed.
func TestCrownGradient(t *testing.T) {
	for name, spec := range crownNetworks() {
		for _, beta := range []float64{0, 0.6, 1} {
			checkCrownGradient(t, name, spec, beta)
		}
	}
}

func checkCrownGradient(t *testing.T, name string, spec nn.Spec, beta float64) {
	const n, eps, scale = 3, 0.04, 0.5
	m, images, labels := crownBatch(t, spec, n, 6)
	c := newCrown(t, m, n)
	loss, grad := crownGradient(t, m, c, images, labels, eps, beta, scale)
	list := m.Weights()
	if want := crownLoss(t, c, images, labels, eps, beta); math.Abs(loss-want) > 1e-3 {
		t.Errorf("%s, beta %v: loss %v, want %v", name, beta, loss, want)
	}
	at, kinks, compared := 0, 0, 0
	for _, weight := range list {
		if strings.Contains(weight.Name, "running") {
			continue
		}
		g := grad[at].Data
		at++
		for j := 0; j < len(weight.Data); j += 1 + len(weight.Data)/12 {
			const h = 1e-3
			v, middle := weight.Data[j], crownLoss(t, c, images, labels, eps, beta)
			weight.Data[j] = v + h
			set(t, m, list)
			up := crownLoss(t, c, images, labels, eps, beta)
			weight.Data[j] = v - h
			set(t, m, list)
			down := crownLoss(t, c, images, labels, eps, beta)
			weight.Data[j] = v
			set(t, m, list)
			compared++
			if math.Abs(up+down-2*middle) > 1e-2*h { // a ReLU, |w| or a line from below turns between the two
				kinks++
				continue
			}
			want := scale * (up - down) / (2 * h)
			if got := float64(g[j]); math.Abs(got-want) > 6e-3+2e-2*math.Abs(want) {
				t.Errorf("%s, beta %v, %s[%d]: gradient %v, finite difference %v", name, beta, weight.Name, j, got, want)
			}
		}
	}
	if kinks > compared/3 {
		t.Errorf("%s, beta %v: %d of %d weights lie at a kink: nothing is compared", name, beta, kinks, compared)
	}
}

// TestCrownGradientOfIntervals: with beta 0 the gradient is that of Bounds.
func TestCrownGradientOfIntervals(t *testing.T) {
	const n, eps = 3, 0.05
	m, images, labels := crownBatch(t, crownNetworks()["conv"], n, 6)
	_, got := crownGradient(t, m, newCrown(t, m, n), images, labels, eps, 0, 0.5)
	before := m.Gradients()
	b := newBounds(t, m, n)
	box := make([]float32, 2*len(images))
	b.Box(box, images, eps)
	call := device.Call{Rows: n, X: m.New(len(box)), Labels: labels, Loss: nn.WorstCase{}, Scale: 0.5}
	call.X.Upload(box, 0)
	if err := b.AddGrad(&call); err != nil {
		t.Fatal(err)
	}
	for i, w := range m.Gradients() {
		for j, v := range w.Data {
			if want := v - before[i].Data[j]; math.Abs(float64(got[i].Data[j]-want)) > 1e-4 {
				t.Fatalf("%s[%d]: %v, want %v", w.Name, j, got[i].Data[j], want)
			}
		}
	}
}

// TestCrownFollowsWeights: bounds are those of new weights, and the same at any batch size.
func TestCrownFollowsWeights(t *testing.T) {
	m, images, labels := crownBatch(t, crownNetworks()["normalised"], 3, 8)
	c := newCrown(t, m, 3)
	_, first, err := c.UpperBounds(images, labels, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	first = slices.Clone(first)
	randomise(t, m, 21)
	_, got, err := c.UpperBounds(images, labels, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(first, got) {
		t.Error("other weights give the same bounds")
	}
	size := m.Input().Size()
	for i := range labels {
		_, one, err := newCrown(t, m, 1).UpperBounds(images[i*size:][:size], labels[i:i+1], 0.05)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one, got[i*2:][:2]) {
			t.Errorf("row %d: bounds %v alone, %v in a batch", i, one, got[i*2:][:2])
		}
	}
}
