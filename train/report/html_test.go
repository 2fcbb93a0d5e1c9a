package report

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withFigures draws figures for a report.
func withFigures(t *testing.T, r *Report) *Report {
	t.Helper()
	r.Figures = nil
	for _, f := range []struct {
		title, file string
		draw        func(io.Writer) error
	}{
		{"Accuracy against ε", "robustness.png", func(w io.Writer) error { return sampleEpsCurves().Draw(w, PNG) }},
		{"Loss against iterations", "losses.svg", func(w io.Writer) error { return sampleLosses().Draw(w, SVG) }},
		{"Minimal distances", "distances.png", func(w io.Writer) error { return sampleHistogram().Draw(w, PNG) }},
		{"Confusion", "confusion.png", func(w io.Writer) error { return HeatMaps(w, PNG, sampleHeats()...) }},
		{"Examples by attack", "examples.png", func(w io.Writer) error { return sampleGrid().Draw(w) }},
	} {
		figure, err := Draw(f.title, f.file, f.draw)
		if err != nil {
			t.Fatal(err)
		}
		r.Figures = append(r.Figures, figure)
	}
	return r
}

func html(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenHTML(t *testing.T) {
	r := fullReport()
	r.Figures = nil // their bytes are pinned by no golden file
	golden(t, "report.html", r.WriteHTML)
}

// What comes from outside is text, wherever it stands; and the page names nothing outside itself.
func TestHTMLEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=http://example.com/x onerror=alert(1)>'{{.}}`
	r := fullReport()
	r.Figures = []Figure{{Title: evil, Data: []byte("\x89PNG\r\n\x1a\n")}, {Title: "s", Data: []byte("<svg onload=alert(1)>")}}
	r.Run, r.Model, r.ThreatModel, r.Selection = evil, evil, evil, evil
	r.Classes = []string{evil, "javascript:alert(1)"}
	r.Notes = []string{evil}
	r.Config = map[string]any{evil: evil}
	r.Checks[0].Text, r.Checks[0].Name = evil, evil
	for i := range r.Rows {
		if r.Rows[i].Attack == "FAB-T" {
			r.Rows[i].Attack, r.Rows[i].Group, r.Rows[i].Norm = evil, evil, evil
			r.Rows[i].Options = map[string]any{evil: evil}
		}
	}
	c := sampleComparison()
	c.Title, c.Model, c.Protocol, c.ThreatModel, c.Strategies[0].Name, c.Attacks[0] = evil, evil, evil, evil, evil, evil
	c.TransferNames[0], c.Notes[0], c.Norm, c.Curves[0].Name = evil, evil, evil, evil
	for name, text := range map[string]string{"report": html(t, r.WriteHTML), "comparison": html(t, c.WriteHTML)} {
		if n := strings.Count(text, "<script"); n != 1 {
			t.Errorf("%s: %d scripts, want its own alone", name, n)
		}
		if n := strings.Count(text, "<img"); n != strings.Count(text, `<img src="data:image/`) {
			t.Errorf("%s: an image is not inlined", name)
		}
		for _, bad := range []string{"<img src=http", "' onerror", `href="http`, `src="http`, "url(", "@import"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: holds %q", name, bad)
			}
		}
		if strings.Count(text, "&lt;script&gt;") < 8 {
			t.Errorf("%s: the texts are missing", name)
		}
	}
}

// A report of little, and one with figures that do not exist, has a page.
func TestHTMLOfLittle(t *testing.T) {
	r := &Report{Run: "x", Rows: []Row{{Stage: Before, Attack: Clean, N: 1, Accuracy: nan, Interval: [2]float64{nan, nan}, SuccessRate: nan,
		Precision: nan, Recall: nan, F1: nan, Confidence: nan, Seconds: nan, ZeroShare: nan, Options: map[string]any{"x": math.Inf(1)}}}}
	text := html(t, r.WriteHTML)
	if strings.Contains(text, "NaN") || !strings.Contains(text, "not measured") {
		t.Error("NaN is shown, or the headline is not said to be missing")
	}
	for _, id := range []string{"figures", "checks", "confusion", "config"} {
		if strings.Contains(text, `href="#`+id) {
			t.Errorf("the contents name the empty section %q", id)
		}
	}
	if err := (&Report{}).WriteHTML(io.Discard); err == nil {
		t.Error("a report without rows was written")
	}
}

func TestFigureWithoutData(t *testing.T) {
	r := sampleReport(100)
	if err := r.WriteHTML(io.Discard); err == nil || !strings.Contains(err.Error(), `"Loss and accuracy over steps" has no data`) {
		t.Errorf("error %v", err)
	}
	r.Figures = []Figure{{Title: "f", Data: []byte("GIF89a")}}
	if err := r.WriteHTML(io.Discard); err == nil || !strings.Contains(err.Error(), "neither PNG nor SVG") {
		t.Errorf("error %v", err)
	}
	if _, err := Draw("t", "f", func(io.Writer) error { return errFull }); err != errFull {
		t.Errorf("error %v, want that of the drawing", err)
	}
}

// With REPORT_FIGURES set to a folder, the pages are left there for testdata/look.py.
func TestPages(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{"report.html": withFigures(t, fullReport()).WriteHTML, "compare.html": sampleComparison().WriteHTML} {
		text := html(t, write)
		if again := html(t, write); again != text {
			t.Errorf("%s: two runs gave different bytes", name)
		}
		if dir := os.Getenv("REPORT_FIGURES"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
