package attacks_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/rng"
)

// newCorners is a linear network of the classes 0, whose logit is always 0, 1, which looks at the first
// half of the pixels, and 2, which looks at the others and is nearer to the images of class 0: how far
// these lie from either class is known in closed form.
func newCorners(t *testing.T, rows int) (m *nn.Model, d *data.Dataset, toNext map[attacks.Norm][]float64) {
	t.Helper()
	const half, n = pixels / 2, 24
	s := spec()
	s.Classes = 3
	m = build(t, s, 2, rows)
	w := make([]float32, 3*pixels)
	rng.New(4, "corners").Uniform(w[pixels:], 0.4, 0.6, 0, 0, 0)
	clear(w[pixels+half : 2*pixels])
	clear(w[2*pixels : 2*pixels+half])
	bias := []float32{0, -6, -5}
	if err := m.SetWeights([]nn.Weight{{Name: "fc1.weight", Shape: []int{3, pixels}, Data: w}, {Name: "fc1.bias", Shape: []int{3}, Data: bias}}); err != nil {
		t.Fatal(err)
	}
	images, labels := make([]byte, n*pixels), make([]int32, n)
	toNext = map[attacks.Norm][]float64{attacks.L2: make([]float64, n), attacks.Linf: make([]float64, n)}
	for i := range n {
		labels[i] = int32(i % 3)
		short, one, two := float64(bias[1]), 0.0, 0.0 // of class 1's logit below 0, and the lengths of its weights
		for j := range pixels {
			value := 90 + (i*7+j*5)%20
			if c := int(labels[i]); c > 0 && j/half == c-1 {
				value += 120
			}
			images[i*pixels+j] = byte(value)
			weight := float64(w[pixels+j])
			short, one, two = short+weight*float64(value)/255, one+weight, two+weight*weight
		}
		toNext[attacks.L2][i], toNext[attacks.Linf][i] = -short/math.Sqrt(two), -short/one
	}
	d, err := data.NewDataset("corners", side, side, 1, []string{"none", "first", "second"}, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if clean, err := attacks.Clean(m, d); err != nil || clean.Correct(d) != n {
		t.Fatalf("%v: not all images are of their class", err)
	}
	return m, d, toNext
}

// TestHopSkipJumpTargeted: the nearest image of the target, not of the nearest class, is found, to the
// precision of the untargeted attack.
func TestHopSkipJumpTargeted(t *testing.T) {
	m, d, distance := newCorners(t, 24)
	for norm, tolerance := range map[attacks.Norm]float64{attacks.L2: 0.02, attacks.Linf: 0.05} {
		options := "norm = \"" + string(norm) + "\"\neps = 0.3\nmax_queries = 8000\n"
		a, err := decoded("hopskipjump", options+"target = \"next\"")
		if err != nil {
			t.Fatal(err)
		}
		plain, err := decoded("hopskipjump", options)
		if err != nil {
			t.Fatal(err)
		}
		res, near := run(t, m, a, d), run(t, m, plain, d)
		z := logitsOf(t, m, res.Nearest)
		for i, want := range distance[norm] {
			row, target := z[3*i:3*i+3], int(d.Label(i)+1)%3
			if got := slices.Index(row, slices.Max(row)); got != target {
				t.Errorf("%v, example %d of class %d: reached class %d", norm, i, d.Label(i), got)
			}
			if d.Label(i) != 0 {
				continue
			}
			if got := res.Distance[i]; got > want*(1+tolerance) || got < want*(1-1e-4) {
				t.Errorf("%v, example %d lies at %v, the nearest of its target at %v", norm, i, got, want)
			}
			if near.Distance[i] > 0.9*want {
				t.Errorf("%v, example %d: another class lies at %v, no nearer than the target at %v", norm, i, near.Distance[i], want)
			}
		}
	}
}

// TestHopSkipJumpTargets: what a targeted attack begins from depends on the example and the data set's
// images, not on batches and order; without an image of the target there is nothing to find.
func TestHopSkipJumpTargets(t *testing.T) {
	m, d, _ := newCorners(t, 24)
	small, _, _ := newCorners(t, 5)
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i * 7 % d.Len()
	}
	for _, options := range []string{"steps = 2\nmax_queries = 300", "steps = 2\nmax_queries = 600\nstepsize_search = \"grid_search\""} {
		a, err := decoded("hopskipjump", options+"\ntarget = \"random\"")
		if err != nil {
			t.Fatal(err)
		}
		want, got := run(t, m, a, d), run(t, small, a, d.Subset(order))
		for k, i := range order {
			if got.Distance[k] != want.Distance[i] || !slices.Equal(got.Nearest[k*pixels:(k+1)*pixels], want.Nearest[i*pixels:(i+1)*pixels]) {
				t.Fatalf("%q: example %d differs with batches and order", options, i)
			}
		}
		reached, z := map[[2]int]bool{}, logitsOf(t, m, want.Nearest)
		for i := range d.Len() {
			row := z[3*i : 3*i+3]
			reached[[2]int{int(d.Label(i)), slices.Index(row, slices.Max(row))}] = true
		}
		if len(reached) != 6 {
			t.Errorf("%q: random targets reached %v", options, reached)
		}
	}

	next, err := decoded("hopskipjump", "steps = 2\nmax_queries = 300\ntarget = \"next\"")
	if err != nil {
		t.Fatal(err)
	}
	var without []int // class 2
	for i := range d.Len() {
		if d.Label(i) != 2 {
			without = append(without, i)
		}
	}
	res := run(t, m, next, d.Subset(without))
	for k, i := range without {
		if found := !math.IsInf(res.Distance[k], 1); found != (d.Label(i) == 0) {
			t.Errorf("example %d of class %d, without images of class 2: distance %v", i, d.Label(i), res.Distance[k])
		}
	}

	x := m.New(pixels)
	_, err = next.Perturb(m, &attacks.Batch{X: x, Labels: []int32{0}, Index: []uint32{0}}, m.New(pixels), attacks.Draw{Stream: noise})
	if err == nil || !strings.Contains(err.Error(), "it is for evaluation, not for training") {
		t.Errorf("without a data set: %v", err)
	}
	if _, err := decoded("hopskipjump", `target = "least_likely"`); err == nil || !strings.Contains(err.Error(), `"attack.target": "least_likely" takes more than decisions to know`) {
		t.Errorf("least_likely: %v", err)
	}
}
