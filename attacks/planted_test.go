package attacks_test

import (
	"testing"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// TestPlantedBoundary is a small binarisation test (Zimmermann et al. 2022, section 4): for each
// example the last layer becomes a boundary just before a point of the ball that was planted far
// out, where random points do not come. An attack that works finds the other side.
func TestPlantedBoundary(t *testing.T) {
	const n, inner, hidden, eps = 40, 60, 32, 0.1
	d := bars(t, n, 12)
	s := spec(hidden)
	s.Classes = hidden
	s.Options = &nn.Custom{List: []nn.Layer{{Type: "flatten"}, {Type: "dense", Out: hidden}, {Type: "relu"}, {Type: "dense"}}}
	features := build(t, s, 1, inner+2)
	w := features.Weights() // the last layer passes the features on
	for o := range hidden {
		for i := range hidden {
			w[2].Data[o*hidden+i] = 0
		}
		w[2].Data[o*hidden+o] = 1
	}
	if err := features.SetWeights(w); err != nil {
		t.Fatal(err)
	}
	binary := spec(hidden)
	binary.Classes = 2
	m := build(t, binary, 1, 1)
	// Every attack in Linf that takes more than one gradient; DLR needs more classes than two.
	tried := map[string]attacks.Attack{}
	for name, options := range map[string]string{"pgd": "", "apgd": "", "apgd_t": "loss = \"logit_difference\"", "fab": "", "fab_t": "",
		"autoattack": "version = \"custom\"\nattacks = [\"apgd_ce\", \"fab_t\"]"} {
		a, err := decoded(name, "eps = 0.1\n"+options)
		if err != nil {
			t.Fatal(err)
		}
		tried[name] = a
	}
	for _, name := range registry.Names[attacks.Attack]() {
		if a, err := decoded(name, "eps = 0.1"); err == nil && a.Gradients() > 1 && a.Threat().Norm == attacks.Linf && attacks.CheckClasses(a, 2) == nil {
			tried[name] = a
		}
	}
	random := &attacks.Noise{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: eps}, Runs: 20}
	draw := rng.New(2, "planted")
	found, byNoise := map[string]int{}, 0
	for i := range n {
		clean := make([]float32, pixels)
		d.Image(i, clean)
		points := make([]float32, 0, (inner+2)*pixels)
		for k := range inner + 2 {
			u := make([]float32, pixels)
			draw.Uniform(u, -eps, eps, uint32(i), uint32(k), 0)
			for j := range u {
				switch {
				case k == 0:
					u[j] = 0
				case k == 1 && u[j] < 0: // planted in a corner
					u[j] = -eps
				case k == 1:
					u[j] = eps
				}
				points = append(points, min(max(clean[j]+u[j], 0), 1))
			}
		}
		f := logitsOf(t, features, points)
		last := nn.Weight{Name: "fc2.weight", Shape: []int{2, hidden}, Data: make([]float32, 2*hidden)}
		for j := range hidden {
			last.Data[hidden+j] = f[hidden+j] - f[j]
		}
		score := func(k int) (sum float64) {
			for j := range hidden {
				sum += float64(last.Data[hidden+j]) * float64(f[k*hidden+j])
			}
			return sum
		}
		planted, most := score(1), score(0)
		for k := 2; k < inner+2; k++ {
			most = max(most, score(k))
		}
		if most >= planted {
			t.Fatalf("example %d: a random point lies beyond the planted one", i)
		}
		bias := -(planted - 0.2*(planted-most))
		if err := m.SetWeights([]nn.Weight{w[0], w[1], last, {Name: "fc2.bias", Shape: []int{2}, Data: []float32{0, float32(bias)}}}); err != nil {
			t.Fatal(err)
		}
		one := d.Slice(i, i+1)
		one.Labels = []int32{0}
		if z := logitsOf(t, m, points[:2*pixels]); device.Argmax(z[:2]) != 0 || device.Argmax(z[2:]) != 1 {
			t.Fatalf("example %d: the boundary is not between the clean image and the planted one", i)
		}
		for name, a := range tried {
			found[name] += 1 - run(t, m, a, one).Correct(one)
		}
		byNoise += 1 - run(t, m, random, one).Correct(one)
	}
	for name := range tried {
		if found[name] < n*95/100 {
			t.Errorf("of %d planted examples %s found %d", n, name, found[name])
		}
	}
	if byNoise > n/20 {
		t.Errorf("of %d planted examples noise found %d", n, byNoise)
	}
	t.Log(found)
}
