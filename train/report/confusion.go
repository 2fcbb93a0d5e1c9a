package report

import (
	"cmp"
	"slices"
)

// mostClasses is up to how many classes a confusion matrix is shown whole; of more, the most frequent
// confusions are listed.
const mostClasses = 20

// confusionTables are the confusions of the deployed network: on clean images and in the worst case.
func (r *Report) confusionTables() []*table {
	stage, name := After, "hardened network"
	switch before, after := r.stages(); {
	case !after:
		stage, name = Before, "undefended network"
	case !before:
		name = ""
	}
	var out []*table
	for _, attack := range []string{Clean, WorstCaseName} {
		row := r.row(stage, attack)
		if row == nil || len(row.Confusion) == 0 {
			continue
		}
		title := "Confusion, " + attack
		if name != "" {
			title += ", " + name
		}
		if len(row.Confusion) > mostClasses {
			out = append(out, r.frequent(title, row))
			continue
		}
		t := &table{title: title + ": true class by row, predicted by column", head: [][2]string{{"true", ""}}}
		for k, counts := range row.Confusion {
			t.head = append(t.head, [2]string{r.class(k), ""})
			cells := []string{r.class(k)}
			for _, n := range counts {
				cells = append(cells, number(n))
			}
			t.rows = append(t.rows, cells)
		}
		out = append(out, t)
	}
	return out
}

// frequent lists the pairs of classes that are confused most.
func (r *Report) frequent(title string, row *Row) *table {
	type pair struct{ label, predicted, n int }
	var pairs []pair
	for label, counts := range row.Confusion {
		for p, n := range counts {
			if p != label && n > 0 {
				pairs = append(pairs, pair{label, p, n})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
	t := &table{title: title + ": the most frequent", head: [][2]string{{"true", ""}, {"predicted", ""}, {"images", ""}, {"of", ""}}, left: []int{1}}
	for _, p := range pairs[:min(len(pairs), mostClasses)] {
		t.rows = append(t.rows, []string{r.class(p.label), r.class(p.predicted), number(p.n), number(row.PerClass[p.label].N)})
	}
	return t
}
