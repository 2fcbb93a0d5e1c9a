package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s differs; got:\n%s\n(if that is right, run the test with -update)", file, b.String())
	}
	return b.String()
}

// goldenReport has a row that ran on survivors only, a row that one stage lacks, and a note.
func goldenReport() *Report {
	r := sampleReport(1000)
	extra := sampleOutcome(After, "APGD-T", sampleLabels(1000), 0.92)
	extra.Cumulative = true
	clean := sampleOutcome(After, Clean, sampleLabels(1000), 0.9842)
	row, err := Measure(sampleLabels(1000), clean.Predictions, 10, extra)
	if err != nil {
		panic(err)
	}
	last := len(r.Rows) - 1
	r.Rows = append(r.Rows[:last:last], row, r.Rows[last])
	r.Notes = []string{"a_name|with `marks`"}
	return r
}

func TestGoldenTables(t *testing.T) {
	r := goldenReport()
	before := golden(t, "before.txt", r.WriteBefore)
	after := golden(t, "after.txt", r.WriteAfter)
	for _, text := range []string{before, after} {
		for l := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > terminalWidth {
				t.Errorf("a line of %d columns: %s", n, l)
			}
		}
	}
	golden(t, "report.md", r.WriteMarkdown)
}

func TestOneStageStandsAlone(t *testing.T) {
	r := sampleReport(100)
	r.Rows = r.Rows[len(r.Rows)/2:]
	golden(t, "eval.txt", r.WriteAfter)
	if err := r.WriteBefore(io.Discard); err == nil {
		t.Error("a table without rows was written")
	}
	r.Rows = nil
	if r.WriteAfter(io.Discard) == nil || r.WriteMarkdown(io.Discard) == nil {
		t.Error("a report without rows was written")
	}
}

func TestWideClassTableIsCut(t *testing.T) {
	tab := sampleReport(100).classTable()
	parts := tab.fit(50, 2)
	if len(parts) < 2 {
		t.Fatalf("%d parts, want more than one", len(parts))
	}
	columns := 0
	for i, p := range parts {
		if p.head[0][0] != "class" || p.head[1][0] != "n" {
			t.Errorf("part %d begins with columns %q, %q", i, p.head[0][0], p.head[1][0])
		}
		var b strings.Builder
		if err := p.render(&b); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSpace(l)); n > 50 {
				t.Errorf("a line of %d columns: %s", n, l)
			}
		}
		columns += len(p.head) - 2
	}
	if columns != len(tab.head)-2 {
		t.Errorf("%d columns in the parts, want %d", columns, len(tab.head)-2)
	}
}

func TestGoldenJSON(t *testing.T) {
	r := sampleReport(30)
	r.Rows = []Row{r.Rows[0], r.Rows[12]}
	r.Rows[1].Options = map[string]any{"steps": 100, "bad": []float64{1, math.NaN()}, "inner": map[string]float32{"x": float32(math.Inf(-1))}}
	r.Rows[1].Seconds = math.NaN()
	text := golden(t, "report.json", r.WriteJSON)
	var got struct {
		Run    *string
		Config map[string]any
		Rows   []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Run == nil || *got.Run != "madry" || got.Config["model"] != "madry_cnn" || len(got.Rows) != 2 {
		t.Fatalf("read back %+v", got)
	}
	for _, key := range []string{"stage", "attack", "accuracy", "success_rate", "precision", "recall", "f1", "n", "epsilon", "interval", "confidence", "cumulative", "per_class", "seconds", "gradients", "options"} {
		for i, row := range got.Rows {
			if _, ok := row[key]; !ok {
				t.Errorf("row %d has no key %q", i, key)
			}
		}
	}
	if v := got.Rows[0]["success_rate"]; v != nil {
		t.Errorf("success_rate of the clean row is %v, want null", v)
	}
	if v, ok := got.Rows[1]["success_rate"].(float64); !ok || v < 0 || v > 1 {
		t.Errorf("success_rate of an attack is %v", got.Rows[1]["success_rate"])
	}
	if got.Rows[0]["stage"] != Before || got.Rows[1]["stage"] != After {
		t.Errorf("stages %v, %v", got.Rows[0]["stage"], got.Rows[1]["stage"])
	}
}

func TestJSONNamesWhatCannotBeWritten(t *testing.T) {
	r := sampleReport(30)
	r.Config = struct{ F func() }{}
	if err := r.WriteJSON(io.Discard); err == nil || !strings.Contains(err.Error(), "config") {
		t.Errorf("error %v, want one that names the config", err)
	}
}

// One attack at two radii is two rows, told apart by name, each beside its own row before.
func TestOneAttackAtTwoRadii(t *testing.T) {
	r := &Report{}
	for _, stage := range []string{Before, After} {
		for _, e := range []float64{8.0 / 255, 0.3} {
			r.Rows = append(r.Rows, Row{Stage: stage, Attack: "PGD-40", Norm: "Linf", Epsilon: e, N: 10, Accuracy: e})
		}
	}
	pairs := r.pairs()
	if len(pairs) != 2 {
		t.Fatalf("%d lines, want 2", len(pairs))
	}
	for i, want := range []string{"PGD-40 Linf 8/255", "PGD-40 Linf 0.3"} {
		p := pairs[i]
		if got := r.name(p.any()); got != want || p.before == nil || p.after == nil || p.before.Epsilon != p.after.Epsilon {
			t.Errorf("line %d is %q with %v, want %q with both sides", i, got, p, want)
		}
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsPass(t *testing.T) {
	r, plain, c := sampleReport(30), sampleReport(30), sampleComparison()
	plain.Figures, c.Curves, c.Transfer, c.TransferNames = nil, nil, nil, nil
	for name, write := range map[string]func(io.Writer) error{
		"before": r.WriteBefore, "after": r.WriteAfter, "markdown": r.WriteMarkdown, "json": r.WriteJSON, "html": plain.WriteHTML,
		"compare": c.WriteTable, "compare.md": c.WriteMarkdown, "compare.json": c.WriteJSON, "compare.csv": c.WriteCSV, "compare.html": c.WriteHTML,
		"losses":     func(w io.Writer) error { return sampleLosses().Draw(w, PNG) },
		"svg":        func(w io.Writer) error { return sampleLosses().Draw(w, SVG) },
		"grid":       func(w io.Writer) error { return sampleGrid().Draw(w) },
		"curves":     func(w io.Writer) error { return Curves(w, samplePoints()) },
		"robustness": func(w io.Writer) error { return Robustness(w, sampleCurve()) },
		"examples":   func(w io.Writer) error { return Examples(w, sampleGallery(8, 8, 1)) },
	} {
		if err := write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: error %v, want %v", name, err, errFull)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range [][2]string{
		{percent(0.98765, decimals(100)), "99"},
		{percent(0.98765, decimals(1000)), "98.8"},
		{percent(0.98765, decimals(10000)), "98.77"},
		{percent(nan, 1), "-"},
		{change(0.9, 0.95, 1), "+5.0"},
		{change(0.95, 0.9, 1), "-5.0"},
		{change(0.9, 0.90001, 1), "0.0"},
		{change(nan, 0.9, 1), "-"},
		{Epsilon(0.3), "0.3"},
		{Epsilon(8.0 / 255), "8/255"},
		{Epsilon(float64(float32(0.3))), "0.3"},
		{Epsilon(float64(float32(8.0 / 255))), "8/255"},
		{Epsilon(0.2), "0.2"},
		{Epsilon(0.5), "0.5"},
		{Epsilon(0), "0"},
		{thousands(999), "999"},
		{thousands(1234567), "1,234,567"},
		{thousands(-1234), "-1,234"},
		{thousands(-123), "-123"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}
