package report

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteHTML writes compare.html: one file with the table, the figures and the transfer matrix, which
// loads nothing else.
func (c *Comparison) WriteHTML(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	figures, err := c.figures()
	if err != nil {
		return err
	}
	inlined, err := inlineAll(figures)
	if err != nil {
		return err
	}
	p := page{Kind: "Comparison of strategies", Title: c.title(), Line: c.Line()}
	facts := []fact{
		{"Model", c.Model}, {"Threat model", c.ThreatModel}, {"Protocol", c.Protocol},
		{"Test images", thousands(c.N)}, {"Seeds", c.seeds()}, {"Attacks", strings.Join(c.Attacks, ", ")},
	}
	transfer := section{ID: "transfer", Title: "Transfer"}
	if t := c.transferTable(); t != nil {
		transfer.Tables = []pageTable{t.html()}
	}
	p.Sections = []section{
		{ID: "strategies", Title: "Strategies", Tables: []pageTable{c.htmlTable()}},
		{ID: "facts", Title: "How it was measured", Facts: slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })},
		{ID: "figures", Title: "Figures", Figures: inlined},
		transfer,
		{ID: "notes", Title: "Notes", Notes: slices.Concat(c.Notes, c.readingNotes())},
	}
	return p.write(w)
}

// htmlTable is the table with badges for verdicts and marks for what is best.
func (c *Comparison) htmlTable() pageTable {
	const mark = "\ue000"
	t := c.tableOf(func(s string) string { return s + mark }).html()
	by := map[string]column{}
	for _, col := range c.columns() {
		by[col.name] = col
	}
	for i, row := range t.Rows {
		for k := range row {
			cell := &row[k]
			if text, ok := strings.CutSuffix(cell.Text, mark); ok && !cell.First {
				cell.Text, cell.Best, cell.Class = text, true, "best"
			}
			// Durations of several units are sorted by seconds, others as they are.
			if col, ok := by[t.Head[k].Name]; ok && cell.Text != absent {
				mean, _ := c.Strategies[i].summary(col.value)
				cell.Sort = plain(mean)
			}
		}
		row[1].Verdict, row[1].Class = Verdict(row[1].Text), "left"
		row[1].Sort = strconv.Itoa(len(verdicts) - slices.Index(verdicts, row[1].Verdict))
	}
	return t
}

// figures draws what there is to draw.
func (c *Comparison) figures() ([]Figure, error) {
	var out []Figure
	add := func(title, file string, draw func(io.Writer) error) error {
		f, err := Draw(title, file, draw)
		out = append(out, f)
		return err
	}
	if slices.ContainsFunc(c.Strategies, func(s Strategy) bool {
		clean, _ := s.summary(func(m *Measured) float64 { return m.Clean })
		worst, _ := s.summary(func(m *Measured) float64 { return m.Worst })
		return clean == clean && worst == worst
	}) {
		if err := add("Clean against worst-case accuracy, with the Pareto front", "scatter.png", func(w io.Writer) error { return c.WriteScatter(w, PNG) }); err != nil {
			return nil, err
		}
	}
	if len(c.Curves) > 0 {
		e := EpsCurves{Title: "Accuracy against ε", Norm: c.Norm, Threat: c.Threat, Curves: c.Curves}
		if err := add("Accuracy against ε", "curves.png", func(w io.Writer) error { return e.Draw(w, PNG) }); err != nil {
			return nil, err
		}
	}
	if len(c.Transfer) > 0 {
		if err := add("Transfer: accuracy of the victim under examples made on the source", "transfer.png", func(w io.Writer) error { return HeatMaps(w, PNG, c.transferHeat()) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}
