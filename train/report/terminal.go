package report

import (
	"fmt"
	"io"
	"strings"

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
	return r.write(w, t.fit(terminalWidth, 1)...)
}

// WriteAfter writes the table of the hardened network beside that of the undefended one, with the
// change, the headline and the checks, the accuracy by class, and what each attack cost. Where nothing
// was measured before, the table stands alone. Verdicts are coloured if w is a terminal.
func (r *Report) WriteAfter(w io.Writer) error {
	t, err := r.afterTable()
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := r.write(&b, t.fit(terminalWidth, 1)...); err != nil {
		return err
	}
	if t := r.certifiedTable(); t != nil {
		if err := t.write(&b); err != nil {
			return err
		}
	}
	if err := r.writeVerdict(&b, coloured(w)); err != nil {
		return err
	}
	rest := r.classTable().fit(terminalWidth, 2)
	cost := r.costTable().without("settings").dropEmpty()
	for _, t := range append(rest, cost.fit(terminalWidth, 1)...) {
		if err := t.write(&b); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// write writes the facts and the tables under them.
func (r *Report) write(w io.Writer, tables ...*table) error {
	var b strings.Builder
	b.WriteString(r.Line() + "\n")
	if r.Selection != "" {
		b.WriteString("Selection: " + r.Selection + "\n")
	}
	for _, t := range tables {
		if err := t.write(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes the table under its title.
func (t *table) write(b *strings.Builder) error {
	b.WriteString("\n" + t.title + "\n")
	return t.render(b)
}

// render lays the table out: text to the left, figures to the right.
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
	for _, k := range append([]int{0}, t.left...) {
		align[k] = tw.AlignLeft
	}
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
	if err := out.Bulk(t.indented("· ")); err != nil {
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
