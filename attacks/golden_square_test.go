package attacks

import (
	"math"
	"testing"

	"rampart/configs"
	"rampart/nn"
)

// squareGolden is testdata/golden_square.json.gz; see the script of that name.
type squareGolden struct {
	Schedule []struct {
		Queries, Size int
		PInit         float64 `json:"p init"`
		Rescale       bool
		Linf          [][2]int `json:"linf side"`
		L2            [][2]int `json:"l2 side"`
	}
	Eta    map[string][][]float64
	EtaL1  map[string][][]float64 `json:"eta l1"`
	Labels []int32
	Runs   map[string]struct {
		Eps      float64
		Queries  int
		PInit    float64 `json:"p init"`
		Rescale  bool
		Examples []squareExample
	}
}

type squareExample struct {
	Start       any
	StartX      []float32 `json:"start x"`
	StartMargin float64   `json:"start margin"`
	Steps       []struct {
		Side, Y, X, Y2, X2         int
		Transposed, Same, Accepted bool
		Sign                       []float32
		Margin                     float64
	}
	FinalX      []float32 `json:"final x"`
	FinalMargin float64   `json:"final margin"`
}

// TestGoldenSquareSchedule compares sides of squares and patterns of windows with pyautoattack's.
func TestGoldenSquareSchedule(t *testing.T) {
	var golden squareGolden
	ReadGolden(t, "golden_square", &golden)
	if len(golden.Schedule) == 0 || len(golden.Eta) != 12 || len(golden.EtaL1) != 12 {
		t.Fatal("the file lacks its parts")
	}
	for i, g := range golden.Schedule {
		for norm, runs := range map[Norm][][2]int{Linf: g.Linf, L2: g.L2} {
			a := &Square{Bound: Bound{Norm: norm}, Queries: g.Queries, PInit: g.PInit, Rescale: g.Rescale}
			want := 0
			for q := range g.Queries {
				if len(runs) > 0 && runs[0][0] == q {
					want, runs = runs[0][1], runs[1:]
				}
				if got := a.side(q, nn.Shape{H: g.Size, W: g.Size, C: 1}); got != want {
					t.Errorf("schedule %d in %v, query %d: side %d, want %d", i, norm, q, got, want)
					break
				}
			}
		}
	}
	for norm, eta := range map[Norm]map[string][][]float64{L2: golden.Eta, L1: golden.EtaL1} {
		for _, rows := range eta {
			w := newWindows(norm, len(rows))
			for y, row := range rows {
				for x, want := range row {
					if got := w.of(false)[y*len(rows)+x]; math.Abs(got-want) > 1e-6 {
						t.Errorf("%v, side %d: pattern at %d, %d is %v, want %v", norm, len(rows), y, x, got, want)
					}
					if w.of(true)[x*len(rows)+y] != w.of(false)[y*len(rows)+x] {
						t.Errorf("%v, side %d: not turned", norm, len(rows))
					}
				}
			}
		}
	}
}

// TestGoldenSquare makes the queries that testdata/golden_square.py drew, and compares what they
// come to.
func TestGoldenSquare(t *testing.T) {
	var golden squareGolden
	ReadGolden(t, "golden_square", &golden)
	if len(golden.Runs) != 3 {
		t.Fatalf("%d runs", len(golden.Runs))
	}
	m := OracleNetwork(t, "square", 1)
	for norm, run := range golden.Runs {
		for n, g := range run.Examples {
			a := &Square{Bound: Bound{Norm(norm), configs.Number(run.Eps)}, Queries: run.Queries, PInit: run.PInit, Runs: 1, Loss: "margin", Rescale: run.Rescale}
			clean := oracleImages(m.Input().Size(), []int{n})
			b := &Batch{X: m.New(len(clean)), Labels: golden.Labels[n : n+1], Index: []uint32{0}}
			b.X.Upload(clean, 0)
			goal, err := newObjective(a.Loss, b.Labels, nil, m.Classes())
			if err != nil {
				t.Fatal(err)
			}
			s := newSearch(a, newOracle(m, b, Draw{}), goal, Draw{}, clean, []int{0})
			s.out, s.memory = make([]float32, len(clean)), newPatchMemory(a, m, 1)
			replayStart(s, g.Start)
			judge := func(first bool) float64 {
				if err := s.judge(first); err != nil {
					t.Fatal(err)
				}
				return -float64(s.value[0])
			}
			if off := farthest(s.next, g.StartX); off > 1e-5 {
				t.Fatalf("%s, example %d starts %.2g off", norm, n, off)
			}
			if got := judge(true); math.Abs(got-g.StartMargin) > 1e-4 {
				t.Errorf("%s, example %d starts at a margin of %v, want %v", norm, n, got, g.StartMargin)
			}
			for k, step := range g.Steps {
				if len(s.rows) == 0 {
					t.Fatalf("%s, example %d left before step %d of %d", norm, n, k, len(g.Steps))
				}
				if side := a.side(k, m.Input()); side != step.Side {
					t.Fatalf("%s, step %d: side %d, want %d", norm, k, side, step.Side)
				}
				s.side, s.proposal = step.Side, newWindows(a.Norm, step.Side)
				s.apply(0, change{step.Y, step.X, step.Y2, step.X2, step.Transposed, step.Sign})
				before := s.loss[0]
				if got := judge(false); math.Abs(got-step.Margin) > 1e-4 {
					t.Fatalf("%s, example %d, step %d: margin %v, want %v", norm, n, k, got, step.Margin)
				}
				if accepted := s.loss[0] > before; accepted != step.Accepted && !step.Same {
					t.Fatalf("%s, example %d, step %d: accepted = %v", norm, n, k, accepted)
				}
			}
			if broken := g.FinalMargin <= 0; broken != (len(s.rows) == 0) {
				t.Errorf("%s, example %d: final margin %v, %d examples left", norm, n, g.FinalMargin, len(s.rows))
			}
			if off := farthest(s.image(s.best, 0), g.FinalX); off > 1e-5 {
				t.Errorf("%s, example %d ends %.2g off", norm, n, off)
			}
		}
	}
}

// replayStart makes the first query of the file's draws: a list of signs for each column, or of
// windows in the order that startWindows asks for them.
func replayStart(s *search, start any) {
	floats := func(list any) (v []float32) {
		for _, f := range list.([]any) {
			v = append(v, float32(f.(float64)))
		}
		return v
	}
	list := start.([]any)
	if s.Norm == Linf {
		var stripes []float32
		for _, column := range list {
			stripes = append(stripes, floats(column)...)
		}
		s.startStripes(0, stripes)
		return
	}
	s.startWindows(0, func(sign []float32) bool {
		tile := list[0].(map[string]any)
		list = list[1:]
		copy(sign, floats(tile["sign"]))
		return tile["transposed"].(bool)
	})
}
