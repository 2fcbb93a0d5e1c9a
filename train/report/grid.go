package report

import "strings"

// beforeTable is the table of the undefended network.
func (r *Report) beforeTable() (*table, error) {
	return r.single(Before, "Before adversarial training")
}

// single is the table of one stage.
func (r *Report) single(stage, title string) (*table, error) {
	t := &table{
		title: title + ", in %",
		head: [][2]string{
			{"attack", ""}, {"accuracy", ""}, {"95 %", "interval"}, {"attack", "success"},
			{"precision", ""}, {"recall", ""}, {"F1", ""}, {"mean", "conf."}, {"n", ""},
		},
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Stage != stage {
			continue
		}
		d := decimals(row.N)
		cells := []string{r.name(row), percent(row.Accuracy, d), interval(row.Interval, d), percent(row.SuccessRate, d)}
		t.add(row.Group, append(cells, row.tail(d)...))
	}
	if t.rows == nil {
		return nil, errEmpty(stage)
	}
	return t.line(), nil
}

// afterTable sets the hardened network beside the undefended one. What has no "before" in its name
// belongs to the hardened network.
func (r *Report) afterTable() (*table, error) {
	before, after := r.stages()
	switch {
	case !after:
		return nil, errEmpty(After)
	case !before: // only measured, nothing to compare with
		return r.single(After, "Accuracy")
	}
	t := &table{
		title: "After adversarial training, beside before, in %",
		head: [][2]string{
			{"attack", ""}, {"accuracy", "before"}, {"accuracy", "after"}, {"95 %", "interval"}, {"change", ""},
			{"attack success", "before → after"}, {"precision", ""}, {"recall", ""}, {"F1", ""}, {"mean", "conf."}, {"n", ""},
		},
	}
	for _, p := range r.pairs() {
		row := p.any()
		d := decimals(row.N)
		var b, a Row
		if b = blank; p.before != nil {
			b = *p.before
		}
		if a = blank; p.after != nil {
			a = *p.after
		}
		a.N = row.N
		cells := []string{
			r.name(row), percent(b.Accuracy, d), percent(a.Accuracy, d), interval(a.Interval, d),
			change(b.Accuracy, a.Accuracy, d), arrow(percent(b.SuccessRate, d), percent(a.SuccessRate, d)),
		}
		t.add(row.Group, append(cells, a.tail(d)...))
	}
	return t.line(), nil
}

// blank is a row that was not measured.
var blank = Row{
	Accuracy: nan, Interval: [2]float64{nan, nan}, SuccessRate: nan,
	Precision: nan, Recall: nan, F1: nan, Confidence: nan,
}

// fullName is the attack with the sequence that it is part of, for where that is not to be seen.
func (r *Report) fullName(row *Row) string {
	if row.Group != "" {
		return row.Group + ": " + r.name(row)
	}
	return r.name(row)
}

// name is the attack as the tables name it; rows that share their attack are told apart by radius.
func (r *Report) name(row *Row) string {
	name := row.Attack
	for i := range r.Rows {
		if o := &r.Rows[i]; o.Stage == row.Stage && o.Attack == row.Attack && o.Group == row.Group && o.key() != row.key() {
			name = strings.TrimSpace(name + " " + row.Norm + " " + Epsilon(row.Epsilon))
			break
		}
	}
	if row.Cumulative {
		name += ", cumulative"
	}
	return name
}

// tail holds the cells at the right of both tables.
func (r *Row) tail(d int) []string {
	return []string{
		percent(r.Precision, d), percent(r.Recall, d), percent(r.F1, d), percent(r.Confidence, d), number(r.N),
	}
}

// classTable is the accuracy of each class under each attack, before and after.
func (r *Report) classTable() *table {
	pairs := r.pairs()
	before, after := r.stages()
	t := &table{title: "Accuracy by class, in %"}
	if before && after {
		t.title = "Accuracy by class, before → after, in %"
	}
	t.head = [][2]string{{"class", ""}, {"n", ""}}
	for _, p := range pairs {
		t.head = append(t.head, split(r.fullName(p.any())))
	}
	if len(pairs) == 0 {
		return t
	}
	classes := pairs[0].any().PerClass
	smallest := pairs[0].any().N
	for _, c := range classes {
		if c.N > 0 {
			smallest = min(smallest, c.N)
		}
	}
	d := decimals(smallest)
	for k, c := range classes {
		cells := []string{r.class(k), number(c.N)}
		for _, p := range pairs {
			b, a := classAccuracy(p.before, k, d), classAccuracy(p.after, k, d)
			switch {
			case !before:
				cells = append(cells, a)
			case !after:
				cells = append(cells, b)
			default:
				cells = append(cells, arrow(b, a))
			}
		}
		t.rows = append(t.rows, cells)
	}
	return t.line()
}

// classAccuracy is the accuracy of class k in a row that may be missing.
func classAccuracy(r *Row, k, d int) string {
	if r == nil || k >= len(r.PerClass) {
		return absent
	}
	return percent(r.PerClass[k].Accuracy(), d)
}
