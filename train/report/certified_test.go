package report

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
)

func certifiedReport() *Report {
	r := sampleReport(40)
	r.Certified = []Certified{
		{Method: "smoothing, sigma 0.25", Norm: "L2", N: 40, Abstained: 2, At: []CertifiedAt{{0, 38}, {0.25, 30}, {0.5, 11}}, Radii: []float64{0, 0, 0.3, 0.7, 0.4}},
		{Method: "interval bounds", Norm: "Linf", N: 40, At: []CertifiedAt{{0.1, 36}, {0.3, 20}}},
	}
	return r
}

// TestCertifiedTable: what is certified stands in all four reports, and nowhere where nothing is.
func TestCertifiedTable(t *testing.T) {
	r := certifiedReport()
	for name, f := range map[string]func(io.Writer) error{"terminal": r.WriteAfter, "alone": r.WriteCertified, "markdown": r.WriteMarkdown, "html": withFigures(t, r).WriteHTML} {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []string{"Certified accuracy", "smoothing, sigma 0.25", "interval bounds", "75", "59 – 87", "50"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: %q is missing", name, want)
			}
		}
	}
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Certified []struct {
			Method, Norm string
			N            int
			Abstained    float64
			At           []struct {
				Radius, Accuracy float64
				Interval         [2]float64
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Certified
	if len(c) != 2 || c[0].Abstained != 0.05 || c[0].At[1].Accuracy != 0.75 || c[0].At[1].Radius != 0.25 || !(c[1].At[1].Interval[0] < 0.5) {
		t.Errorf("report.json has %+v", c)
	}
	b.Reset()
	if err := sampleReport(40).WriteJSON(&b); err != nil || strings.Contains(b.String(), `"certified"`) {
		t.Errorf("without certificates report.json has them: %v", err)
	}
	if err := sampleReport(40).WriteCertified(&b); err == nil {
		t.Error("a table of nothing is written")
	}
}

func TestCertifiedAccuracy(t *testing.T) {
	r := certifiedReport()
	for _, c := range []struct {
		norm string
		eps  float64
		want float64
	}{{"L2", 0.25, 0.75}, {"L2", 0.3, 11.0 / 40}, {"Linf", 0.1, 0.9}, {"Linf", 0.3, 0.5}, {"Linf", 0.4, math.NaN()}, {"L1", 0.1, math.NaN()}} {
		if got := r.CertifiedAccuracy(c.norm, c.eps); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s at %v: %v, want %v", c.norm, c.eps, got, c.want)
		}
	}
}

func TestCertifiedCurves(t *testing.T) {
	r := certifiedReport()
	l2 := r.CertifiedCurves("L2")
	if len(l2.Curves) != 1 || !l2.Curves[0].Steps || l2.Curves[0].Accuracy[0] != 0.6 {
		t.Fatalf("%+v, want a curve of steps that begins at 3 of 5", l2)
	}
	for _, norm := range []string{"L2", "Linf"} {
		var b bytes.Buffer
		if err := r.CertifiedCurves(norm).Draw(&b, PNG); err != nil || b.Len() < 1000 {
			t.Errorf("%s: %d bytes, %v", norm, b.Len(), err)
		}
	}
	if len(r.CertifiedCurves("L1").Curves) != 0 {
		t.Error("curves in a norm in which nothing was certified")
	}
}
