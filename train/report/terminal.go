package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// terminalWidth is the width that tables keep to where their cells allow it.
const terminalWidth = 120

// WriteBefore writes the table of the undefended network for a terminal.
func (r *Report) WriteBefore(w io.Writer) error {
	t, err := r.beforeTable()
	if err != nil {
		return err
	}
	return r.write(w, t)
}

// WriteAfter writes the table of the hardened network beside that of the undefended one, with the
// change, and the accuracy by class. Where nothing was measured before, the table stands alone.
func (r *Report) WriteAfter(w io.Writer) error {
	t, err := r.afterTable()
	if err != nil {
		return err
	}
	return r.write(w, append([]*table{t}, r.classTable().fit(terminalWidth)...)...)
}

// write writes the facts and the tables under them.
func (r *Report) write(w io.Writer, tables ...*table) error {
	var b strings.Builder
	b.WriteString(r.Line() + "\n")
	if r.Selection != "" {
		b.WriteString("Selection: " + r.Selection + "\n")
	}
	for _, t := range tables {
		b.WriteString("\n" + t.title + "\n")
		if err := t.render(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// render lays the table out: the first column to the left, figures to the right.
func (t *table) render(w *strings.Builder) error {
	align := make(tw.Alignment, len(t.head))
	header := make([]string, len(t.head))
	two := false
	for _, h := range t.head {
		two = two || h[1] != ""
	}
	for i, h := range t.head {
		align[i] = tw.AlignRight
		header[i] = h[0]
		if two {
			header[i] += "\n" + h[1]
		}
	}
	align[0] = tw.AlignLeft
	var b strings.Builder
	out := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
			},
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.On, Bottom: tw.On},
		})),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithAlignment(align),
	)
	out.Header(header)
	if err := out.Bulk(t.rows); err != nil {
		return fmt.Errorf("report: table %q: %w", t.title, err)
	}
	if err := out.Render(); err != nil {
		return fmt.Errorf("report: table %q: %w", t.title, err)
	}
	for line := range strings.Lines(b.String()) {
		w.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return nil
}

// fit cuts a table that is too wide into several that repeat its first two columns.
func (t *table) fit(width int) []*table {
	const keep, gap = 2, 2
	column := func(k int) int {
		n := max(utf8.RuneCountInString(t.head[k][0]), utf8.RuneCountInString(t.head[k][1]))
		for _, row := range t.rows {
			n = max(n, utf8.RuneCountInString(row[k]))
		}
		return n + gap
	}
	fixed := 0
	for k := range keep {
		fixed += column(k)
	}
	var out []*table
	for at := keep; at < len(t.head); {
		end, used := at, fixed
		for end < len(t.head) && (end == at || used+column(end) <= width) {
			used += column(end)
			end++
		}
		part := &table{title: t.title, head: append(append([][2]string{}, t.head[:keep]...), t.head[at:end]...)}
		for _, row := range t.rows {
			part.rows = append(part.rows, append(append([]string{}, row[:keep]...), row[at:end]...))
		}
		if len(out) > 0 {
			part.title += " (continued)"
		}
		out = append(out, part)
		at = end
	}
	return out
}
