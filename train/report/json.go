package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// WriteJSON writes report.json: an object with the keys run, facts, headline, checks, config, classes,
// notes, rows and, where something was proven, certified.
// Rates are fractions. A figure that does not exist, such as the success rate on clean images, is null.
func (r *Report) WriteJSON(w io.Writer) error {
	config, err := json.Marshal(finite(r.Config))
	if err != nil {
		return fmt.Errorf("report: config cannot be written as JSON: %w", err)
	}
	head, err := r.Headline()
	if err != nil {
		return err
	}
	checks, err := r.checks()
	if err != nil {
		return err
	}
	out := jsonReport{Run: r.Run, Headline: jsonHeadline{real(head.Worst), reals(head.Interval), head.N, head.Verdict, head.Text}, Checks: []jsonCheck{}, Facts: r.Facts, Config: config, Rows: []jsonRow{}, Classes: r.Classes, Notes: r.Notes, Certified: r.jsonCertified()}
	for i := range r.Rows {
		out.Rows = append(out.Rows, r.jsonRow(&r.Rows[i]))
	}
	for _, c := range checks {
		out.Checks = append(out.Checks, jsonCheck{c.Number, c.Name, c.Verdict, c.Text, append([]int{}, c.Examples...)})
	}
	return writeJSON(w, out)
}

// numbers is an array of numbers alone, one to a line. Strings hold no line breaks, so that none is
// taken for one.
var numbers = regexp.MustCompile(`\[\n\s+[-0-9.eE+nul]+(,\n\s+[-0-9.eE+nul]+)*\n\s+\]`)

// writeJSON writes indented JSON, with each array of numbers on one line.
func writeJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("report: cannot be written as JSON: %w", err)
	}
	text = numbers.ReplaceAllFunc(text, func(list []byte) []byte {
		words := bytes.Fields(list[1 : len(list)-1])
		return slices.Concat([]byte("["), bytes.Join(words, []byte(" ")), []byte("]"))
	})
	_, err = w.Write(append(text, '\n'))
	return err
}

type jsonReport struct {
	Run      string          `json:"run"`
	Facts    Facts           `json:"facts"`
	Headline jsonHeadline    `json:"headline"`
	Checks   []jsonCheck     `json:"checks"`
	Config   json.RawMessage `json:"config"`
	Classes  []string        `json:"classes,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
	Rows     []jsonRow       `json:"rows"`
	// Certified is left out where nothing was.
	Certified []jsonCertified `json:"certified,omitempty"`
}

type jsonHeadline struct {
	Worst    real    `json:"worst"`
	Interval [2]real `json:"interval"`
	N        int     `json:"n"`
	Verdict  Verdict `json:"verdict"`
	Text     string  `json:"text"`
}

type jsonCheck struct {
	Number   int     `json:"number"`
	Name     string  `json:"name"`
	Verdict  Verdict `json:"verdict"`
	Text     string  `json:"text"`
	Examples []int   `json:"examples"`
}

// jsonSpread is null where nothing was measured.
type jsonSpread struct {
	N        int  `json:"n"`
	NotFound int  `json:"not_found"`
	Mean     real `json:"mean"`
	Median   real `json:"median"`
	Max      real `json:"max"`
}

type jsonRow struct {
	Stage       string      `json:"stage"`
	Attack      string      `json:"attack"`
	Group       string      `json:"group,omitempty"`
	Norm        string      `json:"norm"`
	Epsilon     real        `json:"epsilon"`
	N           int         `json:"n"`
	Accuracy    real        `json:"accuracy"`
	Interval    [2]real     `json:"interval"`
	SuccessRate real        `json:"success_rate"`
	Precision   real        `json:"precision"`
	Recall      real        `json:"recall"`
	F1          real        `json:"f1"`
	Confidence  real        `json:"confidence"`
	Cumulative  bool        `json:"cumulative"`
	Seconds     real        `json:"seconds"`
	Gradients   int64       `json:"gradients"`
	Forwards    int64       `json:"forwards"`
	ZeroShare   real        `json:"zero_gradient_share"`
	NonFinite   real        `json:"non_finite_gradient_share"`
	Distance    *jsonSpread `json:"distance"`
	Minimal     *jsonSpread `json:"minimal_distance"`
	Options     any         `json:"options"`
	PerClass    []jsonClass `json:"per_class"`
	Confusion   [][]int     `json:"confusion"`
}

type jsonClass struct {
	Class    string `json:"class"`
	N        int    `json:"n"`
	Accuracy real   `json:"accuracy"`
}

func (r *Report) jsonRow(row *Row) jsonRow {
	out := jsonRow{
		Stage: row.Stage, Attack: row.Attack, Group: row.Group, Norm: row.Norm, Epsilon: real(row.Epsilon), N: row.N,
		Accuracy: real(row.Accuracy), Interval: reals(row.Interval),
		SuccessRate: real(row.SuccessRate), Precision: real(row.Precision), Recall: real(row.Recall), F1: real(row.F1),
		Confidence: real(row.Confidence), Cumulative: row.Cumulative, Seconds: real(row.Seconds), Gradients: row.Gradients,
		Forwards: row.Forwards, ZeroShare: real(row.ZeroShare), NonFinite: real(row.NonFiniteShare),
		Distance: row.Distance.json(), Minimal: row.Minimal.json(),
		Options: finite(row.Options), PerClass: []jsonClass{}, Confusion: row.Confusion,
	}
	for k, c := range row.PerClass {
		out.PerClass = append(out.PerClass, jsonClass{r.class(k), c.N, real(c.Accuracy())})
	}
	return out
}

func (s Spread) json() *jsonSpread {
	if s.N+s.Infinite == 0 {
		return nil
	}
	return &jsonSpread{s.N, s.Infinite, real(s.Mean), real(s.Median), real(s.Max)}
}

func reals(v [2]float64) [2]real { return [2]real{real(v[0]), real(v[1])} }
