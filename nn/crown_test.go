package nn_test

import (
	"math"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// crownNetworks are chains of every kind of layer that CROWN-IBP knows.
func crownNetworks() map[string]nn.Spec {
	in := nn.Shape{H: 6, W: 6, C: 2}
	normalised := layers(in, 3, nn.Layer{Type: "conv", Out: 3, Kernel: 3, Stride: 2, Padding: "same"}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"},
		nn.Layer{Type: "avgpool", Kernel: 2, Stride: 1}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense", Out: 6}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"},
		nn.Layer{Type: "dropout", Rate: 0.5}, nn.Layer{Type: "dense"})
	normalised.Mean, normalised.Std = []float32{0.2, 0.5}, []float32{0.5, 2}
	return map[string]nn.Spec{
		"linear": layers(in, 3, nn.Layer{Type: "dense"}),
		"dense":  layers(in, 4, nn.Layer{Type: "dense", Out: 9}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense", Out: 7}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
		"conv": layers(in, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3}, nn.Layer{Type: "relu"}, nn.Layer{Type: "conv", Out: 3, Kernel: 3, Stride: 2, Padding: "1"},
			nn.Layer{Type: "relu"}, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: 5}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
		"normalised": normalised,
	}
}

func newCrown(t *testing.T, m *nn.Model, rows int) *nn.Crown {
	t.Helper()
	c, err := nn.NewCrown(m, rows)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// crownBatch is a model with random weights, and images with labels for it.
func crownBatch(t *testing.T, spec nn.Spec, n int, seed uint64) (m *nn.Model, images []float32, labels []int32) {
	t.Helper()
	m = build(t, spec, n)
	randomise(t, m, seed)
	images, labels = make([]float32, n*spec.Input.Size()), make([]int32, n)
	rng.New(seed, "images").Uniform(images, 0, 1, 0, 0, 0)
	for i := range labels {
		labels[i] = int32((int(seed) + i) % spec.Classes)
	}
	return m, images, labels
}

// TestCrownIntervals: the intervals are those of Bounds.
func TestCrownIntervals(t *testing.T) {
	for name, spec := range crownNetworks() {
		m, images, labels := crownBatch(t, spec, 3, 5)
		for _, eps := range []float64{0, 0.02, 0.3} {
			interval, _, err := newCrown(t, m, 3).UpperBounds(images, labels, eps)
			if err != nil {
				t.Fatal(err)
			}
			want, k := upperBounds(t, m, newBounds(t, m, 3), images, eps), spec.Classes
			for r, got := range interval {
				i, j := r/(k-1), r%(k-1)
				if j >= int(labels[i]) {
					j++
				}
				if w := float64(want[(i*k+int(labels[i]))*k+j]); math.Abs(got-w) > 2e-4 {
					t.Errorf("%s, eps %v: bound %d is %v, that of intervals %v", name, eps, r, got, w)
				}
			}
		}
	}
}

// TestCrownHolds: neither samples of a box, nor its corners, nor ascent to its worst leave a bound.
func TestCrownHolds(t *testing.T) {
	for name, spec := range crownNetworks() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				m, images, labels := crownBatch(t, spec, 3, 11+seed)
				c := newCrown(t, m, 3)
				for _, eps := range []float64{0, 1e-4, 0.02, 0.3} {
					checkCrown(t, m, c, images, labels, eps, seed)
				}
			}
		})
	}
}

func checkCrown(t *testing.T, m *nn.Model, c *nn.Crown, images []float32, labels []int32, eps float64, seed uint64) {
	t.Helper()
	interval, crown, err := c.UpperBounds(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	k, size := m.Classes(), m.Input().Size()
	check := func(x []float32, how string) {
		z := logitsOf(t, m, x)
		for i, y := range labels {
			for j, r := 0, i*(k-1); j < k; j++ {
				if j == int(y) {
					continue
				}
				d := float64(z[i*k+j]) - float64(z[i*k+int(y)])
				if d > crown[r] || d > interval[r] {
					t.Fatalf("eps %v, %s, row %d: logit %d - %d is %v, above a bound: %v by CROWN-IBP, %v by intervals", eps, how, i, j, y, d, crown[r], interval[r])
				}
				r++
			}
		}
	}
	x, u := make([]float32, len(images)), make([]float32, len(images))
	project := func(at int, v float64) {
		lo, hi := max(float64(images[at])-eps, 0), min(float64(images[at])+eps, 1)
		x[at] = float32(min(max(v, lo), hi))
	}
	for trial := range 8 {
		rng.New(seed, "moves").Uniform(u, -1, 1, uint32(trial), 0, 0)
		for at, v := range images {
			move := float64(u[at])
			if trial%2 == 0 { // a corner
				move = math.Copysign(1, move)
			}
			project(at, float64(v)+eps*move)
		}
		check(x, "sample")
	}
	copy(x, images)
	call := device.Call{Rows: len(labels), X: m.New(len(x)), InputGrad: m.New(len(x)), Labels: labels, Loss: nn.Margin{}, Scale: 1}
	for range 10 { // projected gradient ascent
		call.X.Upload(x, 0)
		if err := m.InputGrad(&call); err != nil {
			t.Fatal(err)
		}
		for at, g := range values(call.InputGrad)[:len(labels)*size] {
			if g != 0 {
				project(at, float64(x[at])+eps/4*math.Copysign(1, float64(g)))
			}
		}
		check(x, "ascent")
	}
}

// TestCrownExact: of a linear network the bound is exact but for the margin.
func TestCrownExact(t *testing.T) {
	m, images, labels := crownBatch(t, crownNetworks()["linear"], 3, 3)
	interval, crown, err := newCrown(t, m, 3).UpperBounds(images, labels, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	for r := range crown {
		if math.Abs(crown[r]-interval[r]) > 1e-4 {
			t.Errorf("bound %d is %v, by intervals, which are exact here, %v", r, crown[r], interval[r])
		}
	}
}

// TestCrownErrors: what has no bounds is named.
func TestCrownErrors(t *testing.T) {
	in := nn.Shape{H: 4, W: 4, C: 1}
	dense := layers(in, 3, nn.Layer{Type: "dense"})
	for want, spec := range map[string]nn.Spec{
		"layer 2 (maxpool)":   layers(in, 3, nn.Layer{Type: "conv", Out: 2, Kernel: 3}, nn.Layer{Type: "maxpool", Kernel: 2}, nn.Layer{Type: "dense"}),
		"layer 1 (residual)":  layers(in, 3, nn.Layer{Type: "residual", Body: []nn.Layer{{Type: "relu"}}}, nn.Layer{Type: "dense"}),
		"must be a dense one": layers(in, 3, nn.Layer{Type: "dense"}, nn.Layer{Type: "relu"}),
		"of an ensemble":      {Input: in, Classes: 3, Members: []nn.Spec{dense, dense}, Combine: nn.MeanLogits},
	} {
		if _, err := nn.NewCrown(build(t, spec, 2), 2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c := newCrown(t, build(t, dense, 2), 2)
	for want, batch := range map[string]struct {
		images []float32
		labels []int32
	}{
		"3 labels": {make([]float32, 48), make([]int32, 3)},
		"label 3":  {make([]float32, 16), []int32{3}},
		"0 labels": {nil, nil},
	} {
		if _, _, err := c.UpperBounds(batch.images, batch.labels, 0.1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := c.AddGrad(batch.images, batch.labels, 0.1, 1, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestCrownVerified: an image is verified where every bound has one below 0: all that intervals verify, and
// more, at any batch size.
func TestCrownVerified(t *testing.T) {
	const n, eps = 40, 0.02
	m, images, labels := crownBatch(t, crownNetworks()["dense"], n, 7)
	size, k := m.Input().Size(), m.Classes()
	for i := range labels {
		labels[i] = int32(device.Argmax(logitsOf(t, m, images[i*size:][:size])))
	}
	labels[5] = (labels[5] + 1) % int32(k)
	got, err := newCrown(t, m, 16).Verified(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newCrown(t, m, n).Verified(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	intervals, err := newBounds(t, m, n).Verified(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	interval, crown, err := newCrown(t, m, n).UpperBounds(images, labels, eps)
	if err != nil {
		t.Fatal(err)
	}
	more, none := 0, 0
	for i := range labels {
		want := true
		for r := i * (k - 1); r < (i+1)*(k-1); r++ {
			want = want && min(interval[r], crown[r]) < 0
		}
		if got[i] != want || other[i] != want || intervals[i] && !want {
			t.Errorf("image %d is verified: %v, in another batch %v, by intervals %v; want %v", i, got[i], other[i], intervals[i], want)
		}
		if want && !intervals[i] {
			more++
		}
		if !want {
			none++
		}
	}
	if more == 0 || none < 2 || got[5] {
		t.Errorf("%d images more than by intervals, %d not at all, the wrong one: %v", more, none, got[5])
	}
}
