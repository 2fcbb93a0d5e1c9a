package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// costTable says how each attack was set and what it cost: what a reader needs to tell a strong attack
// from a weak one. It shows the hardened network's rows, or the undefended one's where there are none.
func (r *Report) costTable() *table {
	stage := Before
	if _, after := r.stages(); after {
		stage = After
	}
	t := &table{
		title: "Attacks",
		head: [][2]string{
			{"attack", ""}, {"norm", ""}, {"ε", ""},
			{"dist.", "mean"}, {"dist.", "median"}, {"dist.", "max"}, {"nearest", "median"}, {"nearest", "found"},
			{"gradients", "per image"}, {"forwards", "per image"}, {"zero", "grad. %"}, {"seconds", ""}, {"settings", ""},
		},
		left: []int{12},
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Stage != stage {
			continue
		}
		found := absent
		if m := row.Minimal; m.N+m.Infinite > 0 {
			found = fmt.Sprintf("%d/%d", m.N, m.N+m.Infinite)
		}
		t.add(row.Group, []string{
			r.name(row), or(row.Norm), Epsilon(row.Epsilon),
			distance(row.Distance.Mean, row.Distance), distance(row.Distance.Median, row.Distance), distance(row.Distance.Max, row.Distance),
			distance(row.Minimal.Median, row.Minimal), found,
			each(row.Gradients, row.N), each(row.Forwards, row.N), percent(row.ZeroShare, 2),
			decimal(row.Seconds), or(settings(row.Options)),
		})
	}
	return t
}

// distance writes a figure of a spread.
func distance(v float64, s Spread) string {
	if s.N == 0 {
		return absent
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// each is a count for each of n images.
func each(count int64, n int) string { return decimal(float64(count) / float64(n)) }

// decimal writes a number with one decimal.
func decimal(v float64) string {
	if v != v {
		return absent
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// or is s, or the sign for what does not exist.
func or(s string) string {
	if s == "" {
		return absent
	}
	return s
}

// settings lists options by name.
func settings(options map[string]any) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(options)) {
		v := options[k]
		if names, ok := v.([]string); ok {
			v = strings.Join(names, ", ")
		}
		out = append(out, fmt.Sprintf("%s: %v", k, v))
	}
	return strings.Join(out, "; ")
}
