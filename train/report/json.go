package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
)

// WriteJSON writes report.json: an object with the keys run, facts, config, classes, notes and rows.
// Rates are fractions. A figure that does not exist, such as the success rate on clean images, is null.
func (r *Report) WriteJSON(w io.Writer) error {
	config, err := json.Marshal(finite(r.Config))
	if err != nil {
		return fmt.Errorf("report: config cannot be written as JSON: %w", err)
	}
	out := jsonReport{Run: r.Run, Facts: r.Facts, Config: config, Rows: []jsonRow{}, Classes: r.Classes, Notes: r.Notes}
	for i := range r.Rows {
		out.Rows = append(out.Rows, r.jsonRow(&r.Rows[i]))
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("report: cannot be written as JSON: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

type jsonReport struct {
	Run     string          `json:"run"`
	Facts   Facts           `json:"facts"`
	Config  json.RawMessage `json:"config"`
	Classes []string        `json:"classes,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Rows    []jsonRow       `json:"rows"`
}

type jsonRow struct {
	Stage       string      `json:"stage"`
	Attack      string      `json:"attack"`
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
	Options     any         `json:"options"`
	PerClass    []jsonClass `json:"per_class"`
}

type jsonClass struct {
	Class    string `json:"class"`
	N        int    `json:"n"`
	Accuracy real   `json:"accuracy"`
}

func (r *Report) jsonRow(row *Row) jsonRow {
	out := jsonRow{
		Stage: row.Stage, Attack: row.Attack, Norm: row.Norm, Epsilon: real(row.Epsilon), N: row.N,
		Accuracy: real(row.Accuracy), Interval: [2]real{real(row.Interval[0]), real(row.Interval[1])},
		SuccessRate: real(row.SuccessRate), Precision: real(row.Precision), Recall: real(row.Recall), F1: real(row.F1),
		Confidence: real(row.Confidence), Cumulative: row.Cumulative, Seconds: real(row.Seconds), Gradients: row.Gradients,
		Options: finite(row.Options), PerClass: []jsonClass{},
	}
	for k, c := range row.PerClass {
		out.PerClass = append(out.PerClass, jsonClass{r.class(k), c.N, real(c.Accuracy())})
	}
	return out
}

// real is a number that is null where JSON has no way to write it.
type real float64

func (v real) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// finite returns v with every number in its maps and lists that is not finite replaced by nil. Structs
// and what writes itself as JSON pass as they are.
func finite(v any) any {
	if _, ok := v.(json.Marshaler); ok {
		return v
	}
	x := reflect.ValueOf(v)
	switch x.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := x.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
	case reflect.Map:
		if x.Type().Key().Kind() != reflect.String || x.IsNil() {
			return v
		}
		out := make(map[string]any, x.Len())
		for it := x.MapRange(); it.Next(); {
			out[it.Key().String()] = finite(it.Value().Interface())
		}
		return out
	case reflect.Slice, reflect.Array:
		if x.Kind() == reflect.Slice && x.IsNil() || x.Type().Elem().Kind() == reflect.Uint8 {
			return v
		}
		out := make([]any, x.Len())
		for i := range out {
			out[i] = finite(x.Index(i).Interface())
		}
		return out
	}
	return v
}
