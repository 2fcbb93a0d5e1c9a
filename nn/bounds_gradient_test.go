package nn_test

import (
	"math"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestBoundsGradient compares the gradient of the worst-case loss with finite differences, on top of
// what ParamGrad has left.
func TestBoundsGradient(t *testing.T) {
	in := nn.Shape{H: 6, W: 6, C: 1}
	for name, spec := range map[string]nn.Spec{
		"conv": layers(in, 3, nn.Layer{Type: "conv", Out: 3, Kernel: 3}, nn.Layer{Type: "relu"}, nn.Layer{Type: "maxpool", Kernel: 2},
			nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: 5}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
		"normalised": layers(in, 3, nn.Layer{Type: "conv", Out: 3, Kernel: 3, Stride: 2}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"},
			nn.Layer{Type: "residual", Body: []nn.Layer{{Type: "conv", Out: 3, Kernel: 3, Padding: "same"}, {Type: "relu"}}},
			nn.Layer{Type: "avgpool", Kernel: 2}, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense"}),
	} {
		t.Run(name, func(t *testing.T) { checkBoundsGradient(t, spec) })
	}
}

func checkBoundsGradient(t *testing.T, spec nn.Spec) {
	const n, eps, scale = 2, 0.05, 0.5
	m := build(t, spec, n)
	randomise(t, m, 6)
	b := newBounds(t, m, n)
	size, k := m.Input().Size(), m.Classes()
	images := make([]float32, n*size)
	rng.New(7, "images").Uniform(images, 0, 1, 0, 0, 0)
	labels := []int32{2, 0}
	c := &device.Call{Rows: n, X: m.New(n * size), Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1}
	c.X.Upload(images, 0)
	if err := m.ParamGrad(c); err != nil {
		t.Fatal(err)
	}
	before := m.Gradients()
	box := make([]float32, 2*n*size)
	b.Box(box, images, eps)
	w := &device.Call{Rows: n, X: m.New(len(box)), Labels: labels, Loss: nn.WorstCase{}, Scale: scale, Value: m.New(n)}
	w.X.Upload(box, 0)
	list := m.Weights() // after ParamGrad, which moves running statistics
	if err := b.AddGrad(w); err != nil {
		t.Fatal(err)
	}
	after := m.Gradients()
	loss := func() (sum float64) {
		upper := upperBounds(t, m, b, images, eps)
		for r, y := range labels {
			exp := 1.0
			for j := range k {
				if j != int(y) {
					exp += math.Exp(float64(upper[(r*k+int(y))*k+j]))
				}
			}
			sum += math.Log(exp)
		}
		return sum
	}
	total := 0.0
	for _, v := range values(w.Value) {
		total += float64(v)
	}
	if math.Abs(total-loss()) > 1e-5 {
		t.Errorf("loss %v, want %v", total, loss())
	}
	at, kinks, compared := 0, 0, 0
	for i, weight := range list {
		if strings.Contains(weight.Name, "running") {
			continue
		}
		grad := after[at].Data
		base := before[at].Data
		at++
		for j := 0; j < len(weight.Data); j += 1 + len(weight.Data)/15 {
			compared++
			slope, smooth := slope(t, m, list, &weight.Data[j], loss)
			if !smooth {
				kinks++
				continue
			}
			want := scale * slope
			if got := float64(grad[j] - base[j]); math.Abs(got-want) > 5e-3+2e-2*math.Abs(want) {
				t.Errorf("%s[%d] (weight %d): gradient %v, finite difference %v", weight.Name, j, i, got, want)
			}
		}
	}
	if kinks > compared/4 {
		t.Errorf("%d of %d weights lie at a kink: nothing is compared", kinks, compared)
	}
}

func set(t *testing.T, m *nn.Model, list []nn.Weight) {
	t.Helper()
	if err := m.SetWeights(list); err != nil {
		t.Fatal(err)
	}
}

// slope is the finite difference of a loss by one value of a model's weights, and false where a ReLU, a
// pooling or |w| turns on the way.
func slope(t *testing.T, m *nn.Model, list []nn.Weight, at *float32, loss func() float64) (float64, bool) {
	t.Helper()
	const h = 1e-3
	v, middle := *at, loss()
	*at = v + h
	set(t, m, list)
	up := loss()
	*at = v - h
	set(t, m, list)
	down := loss()
	*at = v
	set(t, m, list)
	return (up - down) / (2 * h), math.Abs(up+down-2*middle) <= 5e-3*h
}
