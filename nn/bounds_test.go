package nn_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// randomise gives all weights and running statistics values of their own.
func randomise(t *testing.T, m *nn.Model, seed uint64) {
	t.Helper()
	list := m.Weights()
	for i, w := range list {
		fan := float64(len(w.Data)) / float64(w.Shape[0])
		rng.New(seed, "values").Normal(w.Data, 0, float32(1/math.Sqrt(fan)), uint32(i), 0, 0)
		if strings.HasSuffix(w.Name, "running_var") {
			for j, v := range w.Data {
				w.Data[j] = 0.5 + v*v
			}
		}
	}
	if err := m.SetWeights(list); err != nil {
		t.Fatal(err)
	}
}

func newBounds(t *testing.T, m *nn.Model, rows int) *nn.Bounds {
	t.Helper()
	b, err := nn.NewBounds(m, rows)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// upperBounds are the bounds of all differences of logits around images.
func upperBounds(t *testing.T, m *nn.Model, b *nn.Bounds, images []float32, eps float64) []float32 {
	t.Helper()
	k, n := m.Classes(), len(images)/m.Input().Size()
	box := make([]float32, 2*len(images))
	b.Box(box, images, eps)
	c := &device.Call{Rows: n, X: m.New(len(box)), Logits: m.New(n * k * k)}
	c.X.Upload(box, 0)
	if err := b.Differences(c); err != nil {
		t.Fatal(err)
	}
	return values(c.Logits)
}

func logitsOf(t *testing.T, m *nn.Model, images []float32) []float32 {
	t.Helper()
	n := len(images) / m.Input().Size()
	c := &device.Call{Rows: n, X: m.New(len(images)), Logits: m.New(n * m.Classes())}
	c.X.Upload(images, 0)
	if err := m.Logits(c); err != nil {
		t.Fatal(err)
	}
	return values(c.Logits)
}

// TestBoundsHold samples boxes, their corners and what a gradient points to: no difference of logits
// leaves its bound, and bounds grow with the box.
func TestBoundsHold(t *testing.T) {
	if len(boundedNetworks()) < 5 {
		t.Fatalf("only %d networks have bounds", len(boundedNetworks()))
	}
	for _, network := range boundedNetworks() {
		t.Run(network.Name, func(t *testing.T) {
			const n = 3
			m := build(t, network.Spec, n)
			randomise(t, m, 9)
			checkBounds(t, m, newBounds(t, m, n), n, 1, 12)
		})
	}
}

func checkBounds(t *testing.T, m *nn.Model, b *nn.Bounds, n int, seed uint64, trials int) {
	t.Helper()
	size, k := m.Input().Size(), m.Classes()
	images := make([]float32, n*size)
	rng.New(seed, "images").Uniform(images, 0, 1, 0, 0, 0)
	var before []float32
	for step, eps := range []float64{0, 1e-4, 0.02, 0.3} {
		upper := upperBounds(t, m, b, images, eps)
		for i := range before {
			if upper[i] < before[i] {
				t.Fatalf("eps %v: bound %d is %v, at a smaller eps it was %v", eps, i, upper[i], before[i])
			}
		}
		before = upper
		x := make([]float32, len(images))
		for trial := range trials {
			u := make([]float32, len(images))
			rng.New(seed, "moves").Uniform(u, -1, 1, uint32(trial), uint32(step), 0)
			for i, v := range images {
				move := float64(u[i])
				if trial%2 == 0 { // a corner
					move = math.Copysign(1, move)
				}
				x[i] = float32(min(max(float64(v)+eps*move, 0), 1))
			}
			z := logitsOf(t, m, x)
			for r := range n {
				for y := range k {
					for j := range k {
						// In float64, so that the test adds no rounding of its own.
						if d := float64(z[r*k+j]) - float64(z[r*k+y]); j != y && d > float64(upper[(r*k+y)*k+j]) {
							t.Fatalf("eps %v, row %d: logit %d - %d is %v, above its bound %v", eps, r, j, y, d, upper[(r*k+y)*k+j])
						}
					}
				}
			}
		}
	}
}

// TestBoundsBefore: bounds hold for a network behind what keeps order, by intervals and by linear bounds.
func TestBoundsBefore(t *testing.T) {
	round := func(image []float32) {
		for i, v := range image {
			image[i] = float32(math.RoundToEven(float64(v)*3)) / 3
		}
	}
	for name, spec := range crownNetworks() {
		const n, eps = 3, 0.1
		m, images, labels := crownBatch(t, spec, n, 7)
		b, c, k, size := newBounds(t, m, n), newCrown(t, m, n), spec.Classes, spec.Input.Size()
		without := upperBounds(t, m, b, images, eps)
		b.Before, c.Before = round, round
		upper := upperBounds(t, m, b, images, eps)
		if slices.Equal(upper, without) {
			t.Errorf("%s: bounds do not see what is before the network", name)
		}
		_, crown, err := c.UpperBounds(images, labels, eps)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, len(images))
		for trial := range uint32(50) {
			rng.New(1, "moves").Uniform(x, -eps, eps, trial, 0, 0)
			for i, v := range images {
				if trial%2 == 0 { // a corner
					x[i] = float32(math.Copysign(eps, float64(x[i])))
				}
				x[i] = min(max(v+x[i], 0), 1)
			}
			for r := range n {
				round(x[r*size:][:size])
			}
			z := logitsOf(t, m, x)
			for r, y := range labels {
				margins := crown[r*(k-1):][:k-1]
				for j := range k {
					if j == int(y) {
						continue
					}
					d := float64(z[r*k+j]) - float64(z[r*k+int(y)])
					if linear := margins[0]; d > float64(upper[(r*k+int(y))*k+j]) || d > linear {
						t.Fatalf("%s, row %d: logit %d - %d is %v, above a bound: %v, %v", name, r, j, y, d, upper[(r*k+int(y))*k+j], linear)
					}
					margins = margins[1:]
				}
			}
		}
	}
}

// TestBoundsExact: of a linear network bounds are exact, W_k - W_y on the box's worst corner, but for
// the margin; and so they are of an average pooling and a normalisation before it.
func TestBoundsExact(t *testing.T) {
	in := nn.Shape{H: 3, W: 3, C: 2}
	spec := layers(in, 4, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense"})
	spec.Mean, spec.Std = []float32{0.2, 0.5}, []float32{0.5, 2}
	m := build(t, spec, 2)
	randomise(t, m, 4)
	images := make([]float32, 2*in.Size())
	rng.New(5, "images").Uniform(images, 0, 1, 0, 0, 0)
	const eps = 0.1
	upper := upperBounds(t, m, newBounds(t, m, 2), images, eps)
	w := m.Weights() // [K, C, H, W]
	for r := range 2 {
		for y := range 4 {
			for k := range 4 {
				want := float64(w[1].Data[k]) - float64(w[1].Data[y])
				for p := range 9 {
					for c := range 2 {
						d := float64(w[0].Data[(k*2+c)*9+p]) - float64(w[0].Data[(y*2+c)*9+p])
						v := float64(images[r*18+p*2+c])
						if d > 0 {
							v = min(v+eps, 1)
						} else {
							v = max(v-eps, 0)
						}
						want += d * (v - float64(spec.Mean[c])) / float64(spec.Std[c])
					}
				}
				if got := float64(upper[(r*4+y)*4+k]); k != y && (got < want || got > want+1e-4) {
					t.Errorf("row %d: bound of %d - %d is %v, want %v and at most 1e-4 more", r, k, y, got, want)
				}
			}
		}
	}
}

// TestBoundsFollowWeights: after an update, bounds are those of the new weights.
func TestBoundsFollowWeights(t *testing.T) {
	spec := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{7}}, Input: nn.Shape{H: 2, W: 2, C: 1}, Classes: 3}
	m := build(t, spec, 2)
	b := newBounds(t, m, 2)
	images := []float32{0.1, 0.4, 0.9, 0.3}
	first := upperBounds(t, m, b, images, 0.05)
	randomise(t, m, 2)
	got := upperBounds(t, m, b, images, 0.05)
	if slices.Equal(first, got) {
		t.Error("other weights give the same bounds")
	}
	if want := upperBounds(t, m, newBounds(t, m, 2), images, 0.05); !slices.Equal(got, want) {
		t.Errorf("bounds %v, want %v", got, want)
	}
}

// TestVerified: a label is verified exactly where all its bounds are below 0, at any batch size.
func TestVerified(t *testing.T) {
	m := build(t, layers(nn.Shape{H: 4, W: 4, C: 1}, 3, nn.Layer{Type: "dense", Out: 6}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}), 8)
	const n = 41
	images, labels := make([]float32, n*16), make([]int32, n)
	rng.New(7, "images").Uniform(images, 0, 1, 0, 0, 0)
	for i := range labels {
		labels[i] = int32(device.Argmax(logitsOf(t, m, images[i*16:][:16])))
	}
	labels[5] = (labels[5] + 1) % 3
	last := n
	for _, eps := range []float64{0, 0.01, 0.03, 0.1, 0.5} {
		got, err := newBounds(t, m, 8).Verified(images, labels, eps)
		if err != nil {
			t.Fatal(err)
		}
		other, err := newBounds(t, m, n).Verified(images, labels, eps)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, other) {
			t.Errorf("eps %v: another batch size gives another result", eps)
		}
		count := 0
		for i, ok := range got {
			want := true
			for j, v := range upperBounds(t, m, newBounds(t, m, 1), images[i*16:][:16], eps)[labels[i]*3:][:3] {
				want = want && (j == int(labels[i]) || v < 0)
			}
			if ok != want {
				t.Errorf("eps %v: image %d is verified: %v, want %v", eps, i, ok, want)
			}
			if ok {
				count++
			}
		}
		if count > last || got[5] || eps == 0 && count < n-2 || eps == 0.5 && count > 0 {
			t.Errorf("eps %v: %d of %d verified, %d at a smaller one; the wrong one: %v", eps, count, n, last, got[5])
		}
		last = count
	}
}

func TestBoundsErrors(t *testing.T) {
	in := nn.Shape{H: 4, W: 4, C: 1}
	member := layers(in, 3, nn.Layer{Type: "dense"})
	for want, spec := range map[string]nn.Spec{
		"the last layer of the network must be a dense one": layers(in, 3, nn.Layer{Type: "dense"}, nn.Layer{Type: "relu"}),
		"there are none of a network from an ONNX file": {Arch: "onnx", Input: in, Classes: 3, Options: &nn.Topology{Nodes: []nn.Node{
			{Op: "dense", Name: "fc", In: []int{0}, Out: 3}}}},
		`combine its members by "logits"`: {Input: in, Classes: 3, Members: []nn.Spec{member, member}, Combine: nn.MeanProbability},
	} {
		if _, err := nn.NewBounds(build(t, spec, 2), 2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	m := build(t, member, 2)
	b := newBounds(t, m, 2)
	if err := b.Differences(&device.Call{Rows: 3, X: m.New(96), Logits: m.New(27)}); err == nil || !strings.Contains(err.Error(), "3 rows") {
		t.Errorf("error %v", err)
	}
	if err := b.AddGrad(&device.Call{Rows: 2, X: m.New(32), Loss: nn.WorstCase{}}); err == nil || !strings.Contains(err.Error(), "32 values for 2 boxes") {
		t.Errorf("error %v", err)
	}
}

// FuzzBounds looks for a network, an image and a perturbation that leave the bounds.
func FuzzBounds(f *testing.F) {
	f.Add(uint64(1), uint8(0))
	f.Add(uint64(2), uint8(1))
	f.Add(uint64(77), uint8(2))
	specs := []nn.Spec{
		layers(nn.Shape{H: 5, W: 5, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3, Padding: "same"}, nn.Layer{Type: "relu"}, nn.Layer{Type: "maxpool", Kernel: 2}, nn.Layer{Type: "dense"}),
		layers(nn.Shape{H: 4, W: 4, C: 1}, 4, nn.Layer{Type: "dense", Out: 9}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}),
		layers(nn.Shape{H: 4, W: 4, C: 1}, 3, nn.Layer{Type: "avgpool", Kernel: 2}, nn.Layer{Type: "dense", Out: 5}, nn.Layer{Type: "relu"},
			nn.Layer{Type: "residual", Body: []nn.Layer{{Type: "dense", Out: 5}, {Type: "relu"}}}, nn.Layer{Type: "dense"}),
	}
	var models []*nn.Model
	for _, s := range specs {
		m, err := nn.Build(s, cpu.New(1), 2, rng.New(3, "weights"))
		if err != nil {
			f.Fatal(err)
		}
		models = append(models, m)
	}
	f.Fuzz(func(t *testing.T, seed uint64, which uint8) {
		m := models[int(which)%len(models)]
		randomise(t, m, seed)
		checkBounds(t, m, newBounds(t, m, 2), 2, seed, 6)
	})
}

// TestBoundsLikeIntervals compares the bounds of a network with a hidden layer with interval
// arithmetic in float64 and an elided last layer, written apart: they are as tight.
func TestBoundsLikeIntervals(t *testing.T) {
	const in, hidden, k, eps = 16, 7, 3, 0.06
	m := build(t, layers(nn.Shape{H: 4, W: 4, C: 1}, k, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: hidden}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"}), 1)
	randomise(t, m, 8)
	image := make([]float32, in)
	rng.New(6, "image").Uniform(image, 0, 1, 0, 0, 0)
	got := upperBounds(t, m, newBounds(t, m, 1), image, eps)
	w := m.Weights() // [hidden, in], [hidden], [k, hidden], [k]
	lower, upper := make([]float64, hidden), make([]float64, hidden)
	for h := range hidden {
		lower[h], upper[h] = float64(w[1].Data[h]), float64(w[1].Data[h])
		for i, v := range image {
			a, b := max(float64(v)-eps, 0), min(float64(v)+eps, 1)
			if c := float64(w[0].Data[h*in+i]); c > 0 {
				lower[h], upper[h] = lower[h]+c*a, upper[h]+c*b
			} else {
				lower[h], upper[h] = lower[h]+c*b, upper[h]+c*a
			}
		}
		lower[h], upper[h] = max(lower[h], 0), max(upper[h], 0)
	}
	if slices.Max(upper) == 0 || slices.Min(lower) > 0 {
		t.Fatal("no ReLU is at work: the test shows little")
	}
	for y := range k {
		for j := range k {
			want := float64(w[3].Data[j]) - float64(w[3].Data[y])
			for h := range hidden {
				if c := float64(w[2].Data[j*hidden+h]) - float64(w[2].Data[y*hidden+h]); c > 0 {
					want += c * upper[h]
				} else {
					want += c * lower[h]
				}
			}
			if v := float64(got[y*k+j]); j != y && (v < want || v > want+1e-4) {
				t.Errorf("bound of %d - %d is %v, want %v and at most 1e-4 more", j, y, v, want)
			}
		}
	}
}
