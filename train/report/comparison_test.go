package report

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sampleComparison has strategies of one and of several seeds, one whose checks failed although it
// leads, one that was certified, and one that was not measured at all.
func sampleComparison() *Comparison {
	c := &Comparison{
		Title: "MNIST, Linf", Model: "fast_cnn", ThreatModel: "Linf, ε = 0.3", Protocol: "standard", Seeds: []uint64{1, 2, 3}, N: 1000,
		Attacks: []string{"FGSM", "PGD-40", "AutoAttack"}, Norm: "Linf", Threat: 0.3,
		Notes: []string{"smoothing with N = 1,000 on 100 images"},
	}
	for i, s := range []struct {
		name         string
		clean, worst float64
		seeds        int
		verdict      Verdict
	}{
		{"standard", 0.992, 0, 3, Pass}, {"madry", 0.984, 0.884, 3, Pass}, {"trades", 0.981, 0.902, 3, Warn},
		{"fgsm_at", 0.99, 0.95, 3, Fail}, {"mart", 0.979, 0.891, 1, Pass}, {"smoothing", 0.985, 0.62, 1, Skip}, {"<b>new</b>", nan, nan, 0, ""},
	} {
		st := Strategy{Name: s.name}
		for k := range s.seeds {
			m := NewMeasured()
			m.Clean, m.Worst = s.clean+0.001*float64(k-1), max(0, s.worst+0.004*float64(k-1))
			if s.seeds == 1 {
				m.Clean, m.Worst = s.clean, s.worst
			}
			m.Attacks["FGSM"], m.Attacks["PGD-40"], m.Attacks["AutoAttack"] = min(1, m.Worst+0.05), m.Worst+0.02, m.Worst
			m.Training, m.Inference, m.Parameters, m.Verdict = 40*math.Pow(4, float64(i)), 2e-5*float64(i+1), 140_000+i/4*1000, s.verdict
			if s.name == "smoothing" {
				m.Certified = 0.93
				delete(m.Attacks, "AutoAttack")
			}
			st.Runs = append(st.Runs, m)
		}
		c.Strategies = append(c.Strategies, st)
	}
	curve := sampleCurve()
	c.Curves = []EpsCurve{{Name: "standard", Epsilon: curve.Epsilon, Accuracy: curve.Before}, {Name: "madry", Epsilon: curve.Epsilon, Accuracy: curve.After}}
	c.TransferNames = []string{"standard", "madry", "trades"}
	c.Transfer = [][]float64{{0, 0.96, 0.97}, {0.71, 0.9, 0.95}, {0.68, nan, 0.91}}
	return c
}

func TestGoldenComparison(t *testing.T) {
	c := sampleComparison()
	text := golden(t, "compare.txt", c.WriteTable)
	for l := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > terminalWidth {
			t.Errorf("a line of %d columns: %s", n, l)
		}
	}
	golden(t, "compare.md", c.WriteMarkdown)
	rows, err := csv.NewReader(strings.NewReader(golden(t, "compare.csv", c.WriteCSV))).ReadAll()
	if err != nil || len(rows) != 8 {
		t.Fatalf("%d lines of CSV, %v", len(rows), err)
	}
	var got struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(golden(t, "compare.json", c.WriteJSON)), &got); err != nil {
		t.Fatal(err)
	}
	for i, row := range got.Rows {
		if row["strategy"] != c.Strategies[i].Name || rows[i+1][0] != c.Strategies[i].Name {
			t.Errorf("row %d is of %v in JSON and %v in CSV, want %s", i, row["strategy"], rows[i+1][0], c.Strategies[i].Name)
		}
	}
	if w, ok := got.Rows[1]["worst"].(float64); !ok || math.Abs(w-0.884) > 1e-12 || got.Rows[6]["clean"] != nil {
		t.Errorf("worst case of madry %v, clean of what was not measured %v", got.Rows[1]["worst"], got.Rows[6]["clean"])
	}
}

func TestBestAndPareto(t *testing.T) {
	c := sampleComparison()
	for _, want := range []struct {
		key  string
		best []int
	}{
		{"clean", []int{0}}, {"worst", []int{2}}, {"FGSM", []int{2}}, {"certified", nil},
		{"training_seconds", []int{0}}, {"parameters", []int{0, 1, 2, 3}},
	} {
		k := slices.IndexFunc(c.columns(), func(col column) bool { return col.key == want.key })
		if got := c.best(c.columns()[k]); !reflect.DeepEqual(got, want.best) {
			t.Errorf("best in %s: %v, want %v", want.key, got, want.best)
		}
	}
	// fgsm_at would be on the front, if its checks had not failed; mart is beaten by trades.
	if got, want := c.Pareto(), []int{0, 1, 2, 5}; !slices.Equal(got, want) {
		t.Errorf("Pareto front %v, want %v", got, want)
	}
	c.Strategies[3].Runs[0].Verdict, c.Strategies[3].Runs[1].Verdict, c.Strategies[3].Runs[2].Verdict = Pass, Pass, Warn
	if got, want := c.Pareto(), []int{0, 3}; !slices.Equal(got, want) {
		t.Errorf("Pareto front with fgsm_at %v, want %v", got, want)
	}
	if v := c.Strategies[3].verdict(); v != Warn {
		t.Errorf("verdict over seeds %s, want WARN", v)
	}
}

func TestSummaryOverSeeds(t *testing.T) {
	worst := func(m *Measured) float64 { return m.Worst }
	s := Strategy{Runs: []Measured{{Worst: 0.9}, {Worst: 0.92}, {Worst: 0.97}}}
	mean, sd := s.summary(worst)
	near(t, "mean", mean, 0.93, 1e-12)
	near(t, "standard deviation", sd, math.Sqrt((0.0009+0.0001+0.0016)/2), 1e-12)
	s.Runs[1].Worst = nan
	if mean, _ := s.summary(worst); !math.IsNaN(mean) {
		t.Errorf("mean %v although a seed lacks the value", mean)
	}
	s.Runs = s.Runs[:1]
	if mean, sd := s.summary(worst); mean != 0.9 || !math.IsNaN(sd) {
		t.Errorf("of one seed: %v ± %v", mean, sd)
	}
	for _, c := range []struct{ got, want string }{
		{duration(45.04, nan, 1), "45.0 s"}, {duration(600, 60, 3), "10.0 ± 1.0 min"}, {duration(9000, nan, 1), "2.5 h"}, {duration(nan, nan, 2), absent},
		{milliseconds(0.00123, 0.0001, 2), "1.23 ± 0.1"}, {count(1234567, 0, 3), "1,234,567"}, {count(0, nan, 1), absent},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestComparisonRejects(t *testing.T) {
	for want, edit := range map[string]func(*Comparison){
		"no strategies":                 func(c *Comparison) { c.Strategies = nil },
		`two strategies are named "x"`:  func(c *Comparison) { c.Strategies[0].Name, c.Strategies[1].Name = "x", "x" },
		`unknown verdict "fine"`:        func(c *Comparison) { c.Strategies[0].Runs[0].Verdict = "fine" },
		`two columns are named "clean"`: func(c *Comparison) { c.Attacks = []string{"clean"} },
		"2 rows of transfer for 3":      func(c *Comparison) { c.Transfer = c.Transfer[1:] },
		`2 columns of transfer from "s`: func(c *Comparison) { c.Transfer[0] = c.Transfer[0][1:] },
	} {
		c := sampleComparison()
		edit(c)
		for name, write := range map[string]func(io.Writer) error{"table": c.WriteTable, "markdown": c.WriteMarkdown, "json": c.WriteJSON, "csv": c.WriteCSV, "html": c.WriteHTML} {
			if err := write(io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
		}
	}
}

// Strategies of which nothing was measured have every output, without a figure.
func TestComparisonOfNothing(t *testing.T) {
	c := &Comparison{Strategies: []Strategy{{Name: "a"}, {Name: "b", Runs: []Measured{NewMeasured()}}}}
	for name, write := range map[string]func(io.Writer) error{"table": c.WriteTable, "markdown": c.WriteMarkdown, "json": c.WriteJSON, "csv": c.WriteCSV, "html": c.WriteHTML} {
		if text := html(t, write); strings.Contains(text, "NaN") || strings.Contains(text, "<img") {
			t.Errorf("%s: NaN or a figure of nothing:\n%s", name, text)
		}
	}
	if err := c.WriteScatter(io.Discard, PNG); err == nil || !strings.Contains(err.Error(), "no strategy has both") {
		t.Errorf("error %v", err)
	}
}
