package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// WriteJSON writes compare.json: {"rows": [{"strategy": …, "clean": …, "worst": …, …}], …}. Figures are
// means over seeds; "sd" holds the deviations. What does not exist is null.
func (c *Comparison) WriteJSON(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	front := c.Pareto()
	rows := make([]map[string]any, len(c.Strategies))
	for i := range c.Strategies {
		s := &c.Strategies[i]
		attacks, sd, best := map[string]real{}, map[string]real{}, []string{}
		row := map[string]any{
			"strategy": s.Name, "runs": len(s.Runs), "verdict": s.verdict(), "pareto": slices.Contains(front, i),
			"attacks": attacks, "sd": sd,
		}
		for _, col := range c.columns() {
			mean, dev := s.summary(col.value)
			sd[col.key] = real(dev)
			if slices.Contains(c.best(col), i) {
				best = append(best, col.key)
			}
			if slices.Contains(c.Attacks, col.key) {
				attacks[col.key] = real(mean)
			} else {
				row[col.key] = real(mean)
			}
		}
		row["best"] = best
		if s.Err != "" {
			row["error"] = s.Err
		}
		rows[i] = row
	}
	transfer := make([][]real, len(c.Transfer))
	for i, row := range c.Transfer {
		for _, v := range row {
			transfer[i] = append(transfer[i], real(v))
		}
	}
	return writeJSON(w, map[string]any{
		"title": c.title(), "model": c.Model, "threat_model": c.ThreatModel, "protocol": c.Protocol, "n": c.N,
		"seeds": append([]uint64{}, c.Seeds...), "rows": rows, "notes": append([]string{}, c.Notes...),
		"transfer": map[string]any{"names": append([]string{}, c.TransferNames...), "accuracy": transfer},
	})
}

// WriteCSV writes a line for each strategy; accuracies are fractions, and what does not exist is empty.
func (c *Comparison) WriteCSV(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	columns := c.columns()
	head := []string{"strategy", "runs"}
	for _, col := range columns {
		head = append(head, col.key, col.key+"_sd")
	}
	out := csv.NewWriter(w)
	lines := [][]string{append(head, "verdict", "pareto")}
	front := c.Pareto()
	for i := range c.Strategies {
		s := &c.Strategies[i]
		line := []string{s.Name, number(len(s.Runs))}
		for _, col := range columns {
			mean, sd := s.summary(col.value)
			line = append(line, plain(mean), plain(sd))
		}
		lines = append(lines, append(line, string(s.verdict()), strconv.FormatBool(slices.Contains(front, i))))
	}
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("report: comparison: cannot write CSV: %w", err)
	}
	return nil
}

// plain writes a number for a program.
func plain(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
