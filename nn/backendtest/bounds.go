package backendtest

import (
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// bounds: interval bounds hold for what the device itself makes of images in their boxes; for boxes of
// a point they are the differences of logits, with the gradients of cross-entropy; and they do not
// depend on the number of threads.
func (s suite) bounds(t *testing.T) {
	for _, network := range Networks() {
		if !slices.Contains([]string{"relu before max pooling", "average pooling, overlapping", "residual around max pooling", "normalised", "ensemble of dense layers",
			"conv without bias, global pooling", "depthwise conv", "conv in groups", "leaky relu", "sigmoid and tanh"}, network.Name) {
			continue
		}
		t.Run(network.Name, func(t *testing.T) {
			const rows = 5
			n := s.build(t, network.Spec, 1, rows)
			point, _ := n.bounds(t, rows, 0)
			size, k := n.Spec.Input.Size(), n.Spec.Classes
			exact := make([]float32, len(point))
			diff := func(z []float32) []float32 {
				for i := range exact {
					r, y, j := i/(k*k), i/k%k, i%k
					exact[i] = z[r*k+j] - z[r*k+y]
				}
				return exact
			}
			c := n.call(0, rows, nn.CrossEntropy{}, 0.5)
			if err := n.Logits(c); err != nil {
				t.Fatal(err)
			}
			// The margin for rounding is below a thousandth.
			want := diff(read(c.Logits))
			nearTo(t, "bound of a point", point, want, 10*largest(want))
			const eps = 0.05
			upper, grads := n.bounds(t, rows, eps)
			moves, x := make([]float32, rows*size), make([]float32, rows*size)
			for trial := range 5 {
				rng.New(14, "moves").Uniform(moves, -eps, eps, uint32(trial), 0, 0)
				for i, v := range n.x {
					x[i] = min(max(v+moves[i], 0), 1)
				}
				c.X = n.upload(x)
				if err := n.Logits(c); err != nil {
					t.Fatal(err)
				}
				for i, d := range diff(read(c.Logits)) {
					if d > upper[i] {
						t.Fatalf("difference %d is %v, above its bound %v", i, d, upper[i])
					}
				}
			}
			other, otherGrads := s.build(t, network.Spec, 3, rows).bounds(t, rows, eps)
			same(t, "bound on other threads", other, upper)
			sameWeights(t, "gradient on other threads", otherGrads, grads)
			_, grads = n.bounds(t, rows, 0)
			n.paramGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
			for i, w := range n.Gradients() {
				nearTo(t, "gradient of a point in "+w.Name, grads[i].Data, w.Data, 10*largest(w.Data))
			}
		})
	}
}

// bounds are those of boxes around the data, and the gradient of the worst case beside that of half the
// clean loss.
func (n *net) bounds(t *testing.T, rows int, eps float64) ([]float32, []nn.Weight) {
	t.Helper()
	b, err := nn.NewBounds(n.Model, rows)
	if err != nil {
		t.Fatal(err)
	}
	box := make([]float32, 2*len(n.x))
	b.Box(box, n.x, eps)
	k := n.Spec.Classes
	c := &device.Call{Rows: rows, X: n.upload(box), Labels: n.labels, Loss: nn.WorstCase{}, Scale: 0.5, Logits: n.Device.New(rows * k * k)}
	if err := b.Differences(c); err != nil {
		t.Fatal(err)
	}
	upper := read(c.Logits)
	n.paramGrad(t, n.call(0, rows, nn.CrossEntropy{}, 0.5))
	if err := b.AddGrad(c); err != nil {
		t.Fatal(err)
	}
	return upper, n.Gradients()
}
