package attacks

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestGoldenPlanes compares the shortest ways to a plane inside the box with those that
// testdata/golden_projections.py recorded.
func TestGoldenPlanes(t *testing.T) {
	var golden map[string][]struct {
		X, W, Delta []float32
		B           float64
		Reached     bool
	}
	ReadGolden(t, "golden_projections", &golden)
	for _, norm := range []Norm{Linf, L2, L1} {
		cases := golden[string(norm)+" plane"]
		if len(cases) == 0 {
			t.Fatalf("no planes for %v", norm)
		}
		for i, c := range cases {
			value, slope := -c.B, 0.0
			for j, w := range c.W {
				value += float64(w) * float64(c.X[j])
				slope += math.Abs(float64(w))
			}
			d := make([]float32, len(c.X))
			length := norm.toPlane(d, c.X, c.W, value, make([]float32, 2*len(d)))
			if off := farthest(d, c.Delta); off > 1e-5 {
				t.Errorf("%v, case %d: off by %.2g", norm, i, off)
			}
			if want := norm.length(c.Delta); math.Abs(length-want) > 1e-5*(1+want) {
				t.Errorf("%v, case %d: length %v, want %v", norm, i, length, want)
			}
			for j, w := range c.W {
				value += float64(w) * float64(d[j])
			}
			if met := math.Abs(value) < 1e-6*slope; met != c.Reached {
				t.Errorf("%v, case %d: the plane is left at %v", norm, i, value)
			}
		}
	}
}

// TestPlaneEdges: a point on the plane, a plane that no step reaches, and a plane without a slope.
func TestPlaneEdges(t *testing.T) {
	for _, norm := range []Norm{Linf, L2, L1} {
		for _, c := range []struct {
			w     []float32
			value float64
			x, y  float32
		}{
			{[]float32{1, 1}, 0, 0, 0},
			{[]float32{1, -2}, 9, -0.25, 0.5}, // as near as the box allows: to its corner
			{[]float32{1, -2}, -9, 0.75, -0.5},
			{[]float32{0, 0}, 3, 0, 0},
		} {
			d := []float32{7, 7}
			norm.toPlane(d, []float32{0.25, 0.5}, c.w, c.value, make([]float32, 4))
			if d[0] != c.x || d[1] != c.y {
				t.Errorf("%v: to %v d + %v = 0 is %v, want %v, %v", norm, c.w, c.value, d, c.x, c.y)
			}
		}
	}
}

// TestGoldenFAB compares every point at which FAB linearises, every candidate and the nearest
// adversarial example with those of pyautoattack, which testdata/golden_fab.py recorded.
func TestGoldenFAB(t *testing.T) {
	var golden struct {
		Labels  []int32
		Targets []int32 `json:"target classes"`
		Runs    map[string]struct {
			Iterations int
			AlphaMax   float64 `json:"alpha_max"`
			Eta, Beta  float64
			X          [][][]float32
			Candidate  [][][]float32
			Best       [][]float64
			Adv        [][]float32
		}
	}
	ReadGolden(t, "golden_fab", &golden)
	if len(golden.Runs) != 6 {
		t.Fatalf("%d runs", len(golden.Runs))
	}
	n := len(golden.Labels)
	m := OracleNetwork(t, "small", n)
	clean := oracleImages(m.Input().Size(), count(n))
	z, err := newOracle(m, &Batch{Labels: golden.Labels, Index: make([]uint32, n)}, Draw{}).logits(clean, count(n))
	if err != nil {
		t.Fatal(err)
	}
	number := 0 // of the targets that the file has
	for !slices.Equal(rankedTargets(z, golden.Labels, number), golden.Targets) {
		if number++; number == m.Classes()-1 {
			t.Fatalf("targets %v are of no rank", golden.Targets)
		}
	}
	for name, run := range golden.Runs {
		t.Run(name, func(t *testing.T) {
			norm, targeted, _ := strings.Cut(name, " ")
			a := newFAB(targeted != "")
			a.Norm, a.Steps, a.AlphaMax, a.Eta, a.Beta, a.Epsilon = Norm(norm), run.Iterations, run.AlphaMax, run.Eta, run.Beta, 0.5
			v := &watched{Model: m}
			b := &Batch{X: v.New(len(clean)), Labels: golden.Labels, Index: make([]uint32, n)}
			b.X.Upload(clean, 0)
			adv, d := v.New(len(clean)), Draw{}
			planes := 3 // of the other classes
			if a.Targeted {
				planes, d.Restart = 1, uint32(number)
			}
			if _, err := a.Perturb(v, b, adv, d); err != nil {
				t.Fatal(err)
			}
			asked := v.asked[1:] // the first question ranks the targets
			if len(asked) != run.Iterations*(planes+1) {
				t.Fatalf("%d questions", len(asked))
			}
			for k := range run.Iterations {
				if off := farthest(flat(run.X[k]), asked[k*(planes+1)]); off > 1e-5 {
					t.Fatalf("step %d begins %.2g off", k, off)
				}
				if off := farthest(flat(run.Candidate[k]), asked[k*(planes+1)+planes]); off > 1e-5 {
					t.Fatalf("candidate %d is %.2g off", k, off)
				}
			}
			found := make([]float32, len(clean))
			adv.Download(found, 0)
			if off := farthest(flat(run.Adv), found); off > 1e-5 {
				t.Errorf("the nearest adversarial examples are %.2g off", off)
			}
			size := m.Input().Size()
			for r, want := range run.Best[run.Iterations-1] {
				if got := a.Norm.Distance(found[r*size:][:size], clean[r*size:]); math.Abs(got-want) > 1e-4 {
					t.Errorf("example %d: distance %v, want %v", r, got, want)
				}
			}
		})
	}
}
