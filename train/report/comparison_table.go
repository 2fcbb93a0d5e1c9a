package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tableOf is the comparison as a table; mark is applied to what is best in its column.
func (c *Comparison) tableOf(mark func(string) string) *table {
	t := &table{title: "Strategies, accuracies in %", head: [][2]string{{"strategy", ""}, {"verdict", ""}}, left: []int{1}}
	for i := range c.Strategies {
		s := &c.Strategies[i]
		t.rows = append(t.rows, []string{s.Name, string(s.verdict())})
	}
	for _, col := range c.columns() {
		t.head = append(t.head, split(col.name))
		best := c.best(col)
		for i := range c.Strategies {
			s := &c.Strategies[i]
			mean, sd := s.summary(col.value)
			text := col.format(mean, sd, len(s.Runs))
			if slices.Contains(best, i) && text != absent {
				text = mark(text)
			}
			t.rows[i] = append(t.rows[i], text)
		}
	}
	return t.dropEmpty()
}

// transferTable is the matrix of transfer, nil where there is none.
func (c *Comparison) transferTable() *table {
	if len(c.Transfer) == 0 {
		return nil
	}
	t := &table{title: "Transfer: accuracy in % of the victim (column) under examples made on the source (row)", head: [][2]string{{"source", ""}}}
	d := decimals(c.N)
	for i, name := range c.TransferNames {
		t.head = append(t.head, [2]string{name, ""})
		cells := []string{name}
		for _, v := range c.Transfer[i] {
			cells = append(cells, percent(v, d))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// Line is the line above the tables.
func (c *Comparison) Line() string {
	parts := []string{c.Model, c.ThreatModel, c.Protocol, "n = " + strconv.Itoa(c.N)}
	if len(c.Seeds) > 0 {
		word := "seed "
		if len(c.Seeds) > 1 {
			word = "seeds "
		}
		parts = append(parts, word+c.seeds())
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

func (c *Comparison) seeds() string {
	var seeds []string
	for _, s := range c.Seeds {
		seeds = append(seeds, strconv.FormatUint(s, 10))
	}
	return strings.Join(seeds, ", ")
}

// WriteTable writes the comparison for a terminal, with a star at the best of each column; verdicts are
// coloured if w is a terminal.
func (c *Comparison) WriteTable(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(c.Line() + "\n")
	tables := c.tableOf(func(s string) string { return s + "*" }).starred().fit(terminalWidth, 1)
	if t := c.transferTable(); t != nil {
		tables = append(tables, t.fit(terminalWidth, 1)...)
	}
	for _, t := range tables {
		if err := t.write(&b); err != nil {
			return err
		}
	}
	b.WriteString("* best of its column; robust accuracies whose checks failed do not count\n")
	text := b.String()
	if coloured(w) {
		for _, v := range verdicts {
			text = strings.ReplaceAll(text, "  "+string(v)+"  ", "  "+paint(v, true)+"  ")
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

// starred pads the cells without a star, so that figures stand in line under those with one.
func (t *table) starred() *table {
	for k := range t.head {
		star := slices.ContainsFunc(t.rows, func(row []string) bool { return strings.HasSuffix(row[k], "*") })
		for _, row := range t.rows {
			// A no-break space, since the table trims others.
			if star && !strings.HasSuffix(row[k], "*") && utf8.ValidString(row[k]) {
				row[k] += "\u00a0"
			}
		}
	}
	return t
}

// WriteMarkdown writes the comparison in Markdown, the best of each column in bold.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# " + escape(c.title()) + "\n\n" + escape(c.Line()) + "\n")
	// Bold is put in after the cells were escaped: these runes stand for it until then.
	const open, end = "\ue000", "\ue001"
	c.tableOf(func(s string) string { return open + s + end }).markdown(&b)
	if t := c.transferTable(); t != nil {
		t.markdown(&b)
	}
	b.WriteString("\n## Notes\n\n")
	for _, n := range slices.Concat(c.Notes, c.readingNotes()) {
		b.WriteString("- " + escape(n) + "\n")
	}
	_, err := io.WriteString(w, strings.NewReplacer(open, "**", end, "**").Replace(b.String()))
	return err
}

func (c *Comparison) title() string {
	if c.Title == "" {
		return "Comparison"
	}
	return c.Title
}

// readingNotes say what the columns mean.
func (c *Comparison) readingNotes() []string {
	out := []string{
		"The worst case counts an image as right only where it withstood every attack; it is the figure to compare by.",
		"What is marked is the best of its column; robust accuracies whose checks failed (FAIL) do not count, for they are unreliable.",
	}
	for i := range c.Strategies {
		if n := len(c.Strategies[i].Runs); n > 1 {
			return append(out, fmt.Sprintf("Figures are means over up to %d seeds ± the standard deviation of the sample.", c.mostRuns()))
		}
	}
	return out
}

func (c *Comparison) mostRuns() int {
	n := 0
	for _, s := range c.Strategies {
		n = max(n, len(s.Runs))
	}
	return n
}
