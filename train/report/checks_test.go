package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// all returns the checks with PASS but for those given.
func all(other map[int]Verdict) []Check {
	var out []Check
	for n := 1; n <= len(CheckNames); n++ {
		c := Check{Number: n, Verdict: Pass}
		if v, ok := other[n]; ok {
			c.Verdict = v
		}
		out = append(out, c)
	}
	return out
}

func TestHeadline(t *testing.T) {
	for _, c := range []struct {
		checks []Check
		want   Verdict
		text   string
	}{
		{nil, Skip, "no verdict: the checks were not run"},
		{all(nil), Pass, "all checks passed"},
		{all(map[int]Verdict{5: Warn, 7: Warn}), Warn, "checks 5, 7 warned"},
		{all(map[int]Verdict{3: Skip, 7: Warn}), Skip, "not all checks ran: check 3 skipped; check 7 warned"},
		{all(map[int]Verdict{2: Fail, 3: Skip, 7: Warn}), Fail, "the headline is unreliable: check 2 failed; not all checks ran: check 3 skipped; check 7 warned"},
		{all(nil)[1:], Skip, "not all checks ran: check 1 skipped"},
		{append(all(nil), Check{Number: 5, Name: "5, restarts", Verdict: Fail}), Fail, "the headline is unreliable: check 5 failed"},
	} {
		r := sampleReport(100)
		r.Checks = c.checks
		h, err := r.Headline()
		if err != nil {
			t.Fatal(err)
		}
		if h.Verdict != c.want || h.Text != c.text {
			t.Errorf("got %s, %q, want %s, %q", h.Verdict, h.Text, c.want, c.text)
		}
		worst := r.row(After, WorstCaseName)
		if h.Worst != worst.Accuracy || h.Interval != worst.Interval || h.N != 100 {
			t.Errorf("headline %v, want the hardened network's worst case %v", h, worst)
		}
	}
}

func TestMissing(t *testing.T) {
	r := sampleReport(100)
	r.Rows = r.Rows[5:7]
	if got := r.Missing(); got != nil {
		t.Errorf("missing %q from a full report", got)
	}
	r.Selection, r.Config, r.Rows[0].Options, r.Rows[1].Interval[0] = "", nil, nil, nan
	want := "[the selection split the configuration the settings of PGD-100 x10 (before) the interval of worst case (before)]"
	if got := r.Missing(); fmt.Sprint(got) != want {
		t.Errorf("missing %v, want %s", got, want)
	}
}

func TestUnknownVerdictIsAnError(t *testing.T) {
	r := sampleReport(100)
	r.Checks = []Check{{Number: 3, Verdict: "pass"}}
	for name, write := range map[string]func(io.Writer) error{"terminal": r.WriteAfter, "markdown": r.WriteMarkdown, "json": r.WriteJSON, "html": r.WriteHTML} {
		if err := write(io.Discard); err == nil || !strings.Contains(err.Error(), `check 3 has the unknown verdict "pass"`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestGoldenFull(t *testing.T) {
	r := fullReport()
	text := golden(t, "full.txt", r.WriteAfter)
	for l := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > terminalWidth {
			t.Errorf("a line of %d columns: %s", n, l)
		}
	}
	golden(t, "full.md", r.WriteMarkdown)
	var got struct {
		Headline map[string]any
		Checks   []map[string]any
		Rows     []map[string]any
	}
	if err := json.Unmarshal([]byte(golden(t, "full.json", r.WriteJSON)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Headline["verdict"] != "FAIL" || len(got.Checks) != len(CheckNames) || got.Checks[1]["verdict"] != "FAIL" || got.Checks[1]["examples"].([]any)[1] != 17.0 {
		t.Errorf("headline %v, checks %v", got.Headline, got.Checks)
	}
	fab := got.Rows[len(got.Rows)-3]
	if m, _ := fab["minimal_distance"].(map[string]any); fab["attack"] != "FAB-T" || m["n"] != 975.0 || m["not_found"] != 25.0 {
		t.Errorf("FAB-T reads back as %v", fab)
	}
}

func TestColourOnATerminalAlone(t *testing.T) {
	r := fullReport()
	for _, colour := range []bool{false, true} {
		var b strings.Builder
		if err := r.writeVerdict(&b, colour); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "\x1b["); got != colour {
			t.Errorf("colour %v: escape codes %v", colour, got)
		}
		plain := strings.NewReplacer("\x1b[32m", "", "\x1b[33m", "", "\x1b[1;31m", "", "\x1b[36m", "", "\x1b[0m", "").Replace(b.String())
		if !strings.Contains(plain, "  2  FAIL  PGD at least as strong") {
			t.Errorf("no line of check 2 in\n%s", plain)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if coloured(f) || coloured(&strings.Builder{}) {
		t.Error("a file is taken for a terminal")
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 45)
	got := wrap("eight or nine words, one of them "+long+" end", 20)
	want := []string{"eight or nine words,", "one of them", long[:20], long[:20], long[:5] + " end"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if wrap("", 30) != nil {
		t.Error("no text gave lines")
	}
}

func TestDistances(t *testing.T) {
	d := Distances{0.5, nan, math.Inf(1), 0.25, 1, 0.75}
	if s := spread(d); s != (Spread{N: 4, Infinite: 1, Mean: 0.625, Median: 0.625, Max: 1}) {
		t.Errorf("spread %+v", s)
	}
	if s := spread(nil); s.N != 0 || !math.IsNaN(s.Mean) || !math.IsNaN(s.Median) || !math.IsNaN(s.Max) {
		t.Errorf("spread of none %+v", s)
	}
	text, err := json.Marshal(Outcome{Distances: d})
	if err != nil {
		t.Fatal(err)
	}
	var back Outcome
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Minimal != nil || len(back.Distances) != len(d) {
		t.Fatalf("%s reads back as %v", text, back)
	}
	for i, v := range back.Distances {
		if v != d[i] && !(math.IsNaN(v) && math.IsNaN(d[i])) {
			t.Errorf("distance %d: %v, want %v", i, v, d[i])
		}
	}
	for _, bad := range []string{`{"Distances":3}`, `{"Distances":["x"]}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// The worst case has the distance of what broke each example, and counts add up.
func TestWorstCaseDistances(t *testing.T) {
	labels, sure := []int{0, 0, 0, 1}, []float32{1, 1, 1, 1}
	outcomes := []Outcome{
		{Stage: After, Attack: Clean, Predictions: []int{0, 0, 0, 0}, Confidence: sure},
		{Stage: After, Attack: "a", Predictions: []int{0, 1, 0, 1}, Confidence: sure, Distances: Distances{0.1, 0.2, 0.3, nan}, Forwards: 3, Zero: 1, Gradients: 4},
		{Stage: After, Attack: "b", Group: "g", Predictions: []int{0, 1, 1, 1}, Confidence: sure, Distances: Distances{0.4, 0.5, 0.6, nan}, Forwards: 4, NonFinite: 2, Gradients: 4},
	}
	w, err := WorstCase(labels, outcomes)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{nan, 0.2, 0.6, nan} {
		if v := w.Distances[i]; v != want && !(math.IsNaN(v) && math.IsNaN(want)) {
			t.Errorf("distance %d is %v, want %v", i, v, want)
		}
	}
	row, err := Measure(labels, outcomes[0].Predictions, 2, w)
	if err != nil {
		t.Fatal(err)
	}
	if row.Forwards != 7 || row.ZeroShare != 0.125 || row.NonFiniteShare != 0.25 || !reflect.DeepEqual(row.Options["over"], []string{"clean", "a", "g: b"}) {
		t.Errorf("row %+v", row)
	}
	if want := [][]int{{1, 2}, {1, 0}}; !reflect.DeepEqual(row.Confusion, want) {
		t.Errorf("confusion %v, want %v", row.Confusion, want)
	}
	outcomes[1].Distances = Distances{1}
	if _, err := Measure(labels, outcomes[0].Predictions, 2, outcomes[1]); err == nil {
		t.Error("one distance for four labels was taken")
	}
}

func TestManyClassesListTheirConfusions(t *testing.T) {
	r := sampleReport(100)
	row := r.row(After, WorstCaseName)
	row.Confusion = make([][]int, 30)
	row.PerClass = make([]ClassRow, 30)
	for k := range row.Confusion {
		row.Confusion[k] = make([]int, 30)
		row.Confusion[k][(k+1)%30] = k
		row.PerClass[k].N = 40
	}
	tables := r.confusionTables()
	if len(tables) != 2 || len(tables[1].rows) != mostClasses {
		t.Fatalf("%d tables", len(tables))
	}
	if want := []string{"29", "0", "29", "40"}; !reflect.DeepEqual(tables[1].rows[0], want) {
		t.Errorf("first is %q, want %q", tables[1].rows[0], want)
	}
}
