package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Comparison sets strategies side by side, measured under one protocol.
type Comparison struct {
	Title string
	// Model, ThreatModel, Protocol and Seeds say how the rows were measured.
	Model, ThreatModel, Protocol string
	Seeds                        []uint64
	// N is the number of test images behind each accuracy.
	N int
	// Attacks names the columns of attacks, in order.
	Attacks    []string
	Strategies []Strategy
	// Norm and Threat belong to the curves against epsilon; without curves there is no such figure.
	Norm   string
	Threat float64
	Curves []EpsCurve
	// Transfer holds the accuracy of the victim in a column under the examples made on the source in
	// a row, both in the order of TransferNames; NaN where it was not measured.
	TransferNames []string
	Transfer      [][]float64
	Notes         []string
}

// Strategy is a row: what one way to train measured, once for each seed.
type Strategy struct {
	Name string
	Runs []Measured
	// Err says why a run is missing; "" where none is.
	Err string
}

// Measured is what one run measured. What was not measured is NaN; begin with NewMeasured.
type Measured struct {
	// Accuracies are fractions; Certified is the share certified at the threat model's radius.
	Clean, Worst, Certified float64
	// Attacks holds the accuracy under each attack by its name in Comparison.Attacks.
	Attacks map[string]float64
	// Training is in seconds, Inference in seconds for an image.
	Training, Inference float64
	Parameters          int
	// Verdict is that of the run's checks; empty counts as SKIP.
	Verdict Verdict
}

// NewMeasured is a run of which nothing is known yet.
func NewMeasured() Measured {
	return Measured{Clean: nan, Worst: nan, Certified: nan, Attacks: map[string]float64{}, Training: nan, Inference: nan, Verdict: Skip}
}

// column is a column of the table.
type column struct {
	name   string
	key    string // in JSON and CSV
	value  func(*Measured) float64
	format func(mean, sd float64, n int) string
	// best is 1 where the largest is best, -1 for the smallest.
	best float64
	// robust columns count only where the checks did not fail.
	robust bool
}

// columns are those of the table, in order.
func (c *Comparison) columns() []column {
	accuracy := func(mean, sd float64, n int) string { return c.percent(mean, sd, n) }
	out := []column{{"clean", "clean", func(m *Measured) float64 { return m.Clean }, accuracy, 1, false}}
	for _, a := range c.Attacks {
		out = append(out, column{a, a, func(m *Measured) float64 {
			if v, ok := m.Attacks[a]; ok {
				return v
			}
			return nan
		}, accuracy, 1, true})
	}
	return append(out,
		column{"worst case", "worst", func(m *Measured) float64 { return m.Worst }, accuracy, 1, true},
		column{"certified", "certified", func(m *Measured) float64 { return m.Certified }, accuracy, 1, false},
		column{"training", "training_seconds", func(m *Measured) float64 { return m.Training }, duration, -1, false},
		column{"ms per image", "inference_seconds", func(m *Measured) float64 { return m.Inference }, milliseconds, -1, false},
		column{"parameters", "parameters", func(m *Measured) float64 { return float64(m.Parameters) }, count, -1, false},
	)
}

// summary is the mean over a strategy's runs and the standard deviation of the sample, NaN for one
// run. Where a run lacks the value there is no mean: a mean over fewer seeds would be another figure.
func (s *Strategy) summary(value func(*Measured) float64) (mean, sd float64) {
	n := float64(len(s.Runs))
	if n == 0 {
		return nan, nan
	}
	for i := range s.Runs {
		mean += value(&s.Runs[i]) / n
	}
	squares := 0.0
	for i := range s.Runs {
		d := value(&s.Runs[i]) - mean
		squares += d * d
	}
	if len(s.Runs) < 2 {
		return mean, nan
	}
	return mean, math.Sqrt(squares / (n - 1))
}

// verdict is the one that weighs most among a strategy's runs.
func (s *Strategy) verdict() Verdict {
	if len(s.Runs) == 0 {
		return Skip
	}
	v := Pass
	for _, r := range s.Runs {
		if r.Verdict == "" {
			r.Verdict = Skip
		}
		v = worse(v, r.Verdict)
	}
	return v
}

// best lists the strategies that are best in a column, of equals all. Of robust accuracies those are
// left out whose checks failed: there the figure says nothing. Of one strategy none is best.
func (c *Comparison) best(col column) []int {
	var best []int
	top, measured := math.Inf(-1), 0
	for i := range c.Strategies {
		s := &c.Strategies[i]
		v, _ := s.summary(col.value)
		if math.IsNaN(v) || col.robust && s.verdict() == Fail {
			continue
		}
		measured++
		switch v *= col.best; {
		case v > top:
			top, best = v, []int{i}
		case v == top:
			best = append(best, i)
		}
	}
	if measured < 2 {
		return nil
	}
	return best
}

// Pareto lists the strategies that no other beats in clean and worst-case accuracy at once, those with
// failed checks left out.
func (c *Comparison) Pareto() []int {
	var front []int
	for i := range c.Strategies {
		clean, worst, ok := c.point(i)
		if !ok {
			continue
		}
		beaten := false
		for k := range c.Strategies {
			oc, ow, ok := c.point(k)
			beaten = beaten || ok && oc >= clean && ow >= worst && (oc > clean || ow > worst)
		}
		if !beaten {
			front = append(front, i)
		}
	}
	return front
}

// point is where a strategy lies in the scatter; ok says that it counts for the front.
func (c *Comparison) point(i int) (clean, worst float64, ok bool) {
	s := &c.Strategies[i]
	clean, _ = s.summary(func(m *Measured) float64 { return m.Clean })
	worst, _ = s.summary(func(m *Measured) float64 { return m.Worst })
	return clean, worst, !math.IsNaN(clean) && !math.IsNaN(worst) && s.verdict() != Fail
}

// check reports what makes a comparison unusable.
func (c *Comparison) check() error {
	if len(c.Strategies) == 0 {
		return fmt.Errorf("report: comparison: no strategies to compare")
	}
	var names []string
	for i := range c.Strategies {
		s := &c.Strategies[i]
		if slices.Contains(names, s.Name) {
			return fmt.Errorf("report: comparison: two strategies are named %q", s.Name)
		}
		names = append(names, s.Name)
		for _, r := range s.Runs {
			if r.Verdict != "" && !slices.Contains(verdicts, r.Verdict) {
				return fmt.Errorf("report: comparison: %q has the unknown verdict %q, want one of %v", s.Name, r.Verdict, verdicts)
			}
		}
	}
	names = nil
	for _, col := range c.columns() {
		for _, name := range slices.Compact([]string{col.name, col.key}) {
			if slices.Contains(names, name) {
				return fmt.Errorf("report: comparison: two columns are named %q", name)
			}
			names = append(names, name)
		}
	}
	if len(c.Transfer) != len(c.TransferNames) {
		return fmt.Errorf("report: comparison: %d rows of transfer for %d names", len(c.Transfer), len(c.TransferNames))
	}
	for i, row := range c.Transfer {
		if len(row) != len(c.TransferNames) {
			return fmt.Errorf("report: comparison: %d columns of transfer from %q, want %d", len(row), c.TransferNames[i], len(c.TransferNames))
		}
	}
	return nil
}

// percent writes an accuracy in percent, with its deviation over n runs.
func (c *Comparison) percent(mean, sd float64, n int) string {
	d := decimals(c.N)
	return deviation(percent(mean, d), percent(sd, max(d, 1)), n)
}

// deviation joins a mean and its deviation over n runs.
func deviation(mean, sd string, n int) string {
	if mean == absent || n < 2 {
		return mean
	}
	return mean + " ± " + sd
}

// duration writes seconds as people do.
func duration(mean, sd float64, n int) string {
	switch {
	case math.IsNaN(mean):
		return absent
	case mean < 100:
		return deviation(strconv.FormatFloat(mean, 'f', 1, 64), strconv.FormatFloat(sd, 'f', 1, 64), n) + " s"
	case mean < 100*60:
		return deviation(strconv.FormatFloat(mean/60, 'f', 1, 64), strconv.FormatFloat(sd/60, 'f', 1, 64), n) + " min"
	default:
		return deviation(strconv.FormatFloat(mean/3600, 'f', 1, 64), strconv.FormatFloat(sd/3600, 'f', 1, 64), n) + " h"
	}
}

func milliseconds(mean, sd float64, n int) string {
	if math.IsNaN(mean) {
		return absent
	}
	return deviation(strconv.FormatFloat(1000*mean, 'g', 3, 64), strconv.FormatFloat(1000*sd, 'g', 2, 64), n)
}

func count(mean, _ float64, _ int) string {
	if !(mean > 0) {
		return absent
	}
	return thousands(int(math.Round(mean)))
}
