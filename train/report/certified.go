package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// Certified is the share of images whose class provably stays right within a radius.
type Certified struct {
	// Method is how it was proven, such as "interval bounds".
	Method string
	Norm   string
	// N is the number of test images, of which Abstained have no certificate at any radius; only a method
	// with Radii abstains.
	N, Abstained int
	At           []CertifiedAt
	// Radii, where not nil, are those of the certificates of each image, 0 for none or a wrong class: a
	// curve through all of them is drawn, instead of one through At.
	Radii []float64
}

// CertifiedAt is the number of images that are right and certified at a radius.
type CertifiedAt struct {
	Radius float64
	Right  int
}

// CertifiedAccuracy is the largest share that a method certifies in a norm at a radius of at least
// epsilon, NaN where none was asked about one.
func (r *Report) CertifiedAccuracy(norm string, epsilon float64) float64 {
	best := nan
	for _, c := range r.Certified {
		for _, at := range c.At {
			if v := ratio(at.Right, c.N); c.Norm == norm && at.Radius >= epsilon*(1-1e-9) && !(best >= v) {
				best = v
			}
		}
	}
	return best
}

// WriteCertified writes the table of certified accuracies for a terminal.
func (r *Report) WriteCertified(w io.Writer) error {
	t := r.certifiedTable()
	if t == nil {
		return fmt.Errorf("report: nothing was certified")
	}
	return r.write(w, t)
}

// certifiedTable is nil where nothing was certified.
func (r *Report) certifiedTable() *table {
	if len(r.Certified) == 0 {
		return nil
	}
	t := &table{title: "Certified accuracy, in %: no perturbation within the radius changes the class", left: []int{1},
		head: [][2]string{{"method", ""}, {"norm", ""}, {"radius", ""}, {"certified", ""}, {"95 %", "interval"}, {"abstained", ""}, {"n", ""}}}
	for _, c := range r.Certified {
		d := decimals(c.N)
		for _, at := range c.At {
			low, high := ClopperPearson(at.Right, c.N, 0.95)
			t.add("", []string{c.Method, c.Norm, strconv.FormatFloat(at.Radius, 'g', 4, 64), percent(ratio(at.Right, c.N), d),
				interval([2]float64{low, high}, d), percent(c.abstained(), d), number(c.N)})
		}
	}
	return t.line()
}

// abstained is the share without a certificate, NaN for a method that does not abstain.
func (c *Certified) abstained() float64 {
	if c.Radii == nil {
		return nan
	}
	return ratio(c.Abstained, c.N)
}

// jsonCertified is a Certified in report.json.
type jsonCertified struct {
	Method    string            `json:"method"`
	Norm      string            `json:"norm"`
	N         int               `json:"n"`
	Abstained real              `json:"abstained"`
	At        []jsonCertifiedAt `json:"at"`
}

type jsonCertifiedAt struct {
	Radius   real    `json:"radius"`
	Accuracy real    `json:"accuracy"`
	Interval [2]real `json:"interval"`
}

func (r *Report) jsonCertified() (out []jsonCertified) {
	for _, c := range r.Certified {
		j := jsonCertified{c.Method, c.Norm, c.N, real(c.abstained()), []jsonCertifiedAt{}}
		for _, at := range c.At {
			low, high := ClopperPearson(at.Right, c.N, 0.95)
			j.At = append(j.At, jsonCertifiedAt{real(at.Radius), real(ratio(at.Right, c.N)), [2]real{real(low), real(high)}})
		}
		out = append(out, j)
	}
	return out
}

// WriteCertifiedJSON writes what was certified alone, as an object with the keys run, facts, notes and
// certified.
func (r *Report) WriteCertifiedJSON(w io.Writer) error {
	return writeJSON(w, struct {
		Run       string          `json:"run"`
		Facts     Facts           `json:"facts"`
		Notes     []string        `json:"notes"`
		Certified []jsonCertified `json:"certified"`
	}{r.Run, r.Facts, append([]string{}, r.Notes...), r.jsonCertified()})
}

// CertifiedCurves is the figure of certified accuracy against the radius in a norm; it has no curves
// where nothing was certified in it.
func (r *Report) CertifiedCurves(norm string) EpsCurves {
	out := EpsCurves{Title: "Certified accuracy against the radius", Norm: norm}
	for _, c := range r.Certified {
		if c.Norm != norm || len(c.At) == 0 {
			continue
		}
		if c.Radii != nil {
			top := c.At[len(c.At)-1].Radius
			for _, v := range c.Radii {
				top = math.Max(top, v)
			}
			out.Curves = append(out.Curves, MinimalCurve(c.Method, c.Radii, top))
			continue
		}
		curve := EpsCurve{Name: c.Method, N: c.N}
		for _, at := range c.At {
			curve.Epsilon, curve.Accuracy = append(curve.Epsilon, at.Radius), append(curve.Accuracy, ratio(at.Right, c.N))
		}
		out.Curves = append(out.Curves, curve)
	}
	return out
}
