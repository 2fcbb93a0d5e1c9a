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
		head:  [][2]string{{"attack", ""}, {"norm", ""}, {"ε", ""}, {"gradients", "per image"}, {"seconds", ""}, {"settings", ""}},
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Stage != stage {
			continue
		}
		t.rows = append(t.rows, []string{
			r.name(row), or(row.Norm), Epsilon(row.Epsilon),
			strconv.FormatFloat(float64(row.Gradients)/float64(row.N), 'f', 1, 64),
			strconv.FormatFloat(row.Seconds, 'f', 1, 64), or(settings(row.Options)),
		})
	}
	return t
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
