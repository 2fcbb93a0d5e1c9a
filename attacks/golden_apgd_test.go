package attacks

import (
	"math"
	"strings"
	"testing"

	"rampart/configs"
)

// TestGoldenAPGD compares every iterate, loss and step with those of pyautoattack, which
// testdata/golden_apgd.py recorded; like there, broken examples go on.
func TestGoldenAPGD(t *testing.T) {
	var golden struct {
		Labels map[string][]int32
		Index  []int
		Runs   map[string]struct {
			Network    string
			Eps        float64
			Iterations int
			Targets    []int32
			Phases     []struct {
				Eps        float64
				Iterations int
				X          [][][]float32
				Loss       [][]float64
				Step       [][]float64 `json:"step size"`
				BestLoss   []float64   `json:"best loss"`
			}
		}
	}
	ReadGolden(t, "golden_apgd", &golden)
	if len(golden.Runs) != 10 {
		t.Fatalf("%d runs", len(golden.Runs))
	}
	for name, run := range golden.Runs {
		t.Run(name, func(t *testing.T) {
			lossName, norm, _ := strings.Cut(name, " ")
			norm, phased, _ := strings.Cut(norm, " ")
			a := newAPGD(map[string]string{"ce": "cross_entropy", "dlr": "dlr", "dlr-targeted": "targeted_dlr"}[lossName], len(run.Targets))
			a.Bound, a.Steps, a.LargeEps = Bound{Norm(norm), configs.Number(run.Eps)}, run.Iterations, phased != ""
			v := &watched{Model: OracleNetwork(t, run.Network, 3)}
			clean := oracleImages(v.Input().Size(), golden.Index)
			b := &Batch{X: v.New(len(clean)), Labels: golden.Labels[run.Network], Index: []uint32{0, 1, 2}}
			b.X.Upload(clean, 0)
			goal, err := newObjective(a.Loss, b.Labels, run.Targets, v.Classes())
			if err != nil {
				t.Fatal(err)
			}
			c := newClimb(a, newOracle(v, b, Draw{}), goal, clean)
			for j, v := range flat(run.Phases[0].X[0]) {
				if c.x[j] = v; math.Abs(float64(v)-float64(clean[j])) < 1e-6 { // the file has 8 digits
					c.x[j] = clean[j]
				}
			}
			phases := a.phases()
			if len(phases) != len(run.Phases) {
				t.Fatalf("%d phases, want %d", len(phases), len(run.Phases))
			}
			for i, p := range phases {
				want := run.Phases[i]
				if p.steps != want.Iterations || math.Abs(p.epsilon-want.Eps) > 1e-9 {
					t.Fatalf("phase %d is %v, want %d steps in %v", i, p, want.Iterations, want.Eps)
				}
				v.asked = nil
				if err := c.run(p, a.LargeEps, false); err != nil {
					t.Fatal(err)
				}
				if len(v.asked) != len(want.X) {
					t.Fatalf("phase %d: %d questions, want %d", i, len(v.asked), len(want.X))
				}
				for k, x := range want.X {
					if d := farthest(flat(x), v.asked[k]); d > 1e-5 {
						t.Fatalf("phase %d, iterate %d is off by %.2g", i, k, d)
					}
				}
				for r := range b.Labels {
					if d := math.Abs(float64(c.bestLoss[r]) - want.BestLoss[r]); d > 1e-4 {
						t.Errorf("phase %d, example %d: best loss %v, want %v", i, r, c.bestLoss[r], want.BestLoss[r])
					}
				}
			}
		})
	}
}

// flat joins images.
func flat(rows [][]float32) (all []float32) {
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}
