package report

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteMarkdown writes report.md: the facts, the tables, links to the figures, and notes on how to
// read it all.
func (r *Report) WriteMarkdown(w io.Writer) error {
	before, after := r.stages()
	if !before && !after {
		return errEmpty(After)
	}
	var b strings.Builder
	b.WriteString("# Run " + escape(r.Run) + "\n\n" + escape(r.Line()) + "\n")
	if r.Selection != "" {
		b.WriteString("\nSelection: " + escape(r.Selection) + "\n")
	}
	h, err := r.Headline()
	if err != nil {
		return err
	}
	b.WriteString("\n**" + escape(h.Line()) + "**\n\n**" + string(h.Verdict) + ":** " + escape(h.Text) + "\n")
	if before {
		t, err := r.beforeTable()
		if err != nil {
			return err
		}
		t.markdown(&b)
	}
	if after {
		t, err := r.afterTable()
		if err != nil {
			return err
		}
		t.markdown(&b)
	}
	if t := r.certifiedTable(); t != nil {
		t.markdown(&b)
	}
	checks, err := r.checkTable()
	if err != nil {
		return err
	}
	if checks != nil {
		checks.markdown(&b)
	}
	r.classTable().markdown(&b)
	for _, t := range r.confusionTables() {
		t.markdown(&b)
	}
	r.costTable().dropEmpty().markdown(&b)
	if len(r.Figures) > 0 {
		b.WriteString("\n## Figures\n")
		for _, f := range r.Figures {
			b.WriteString("\n![" + escape(f.Title) + "](<" + f.File + ">)\n")
		}
	}
	b.WriteString("\n## Notes\n\n")
	for _, n := range append(r.Notes[:len(r.Notes):len(r.Notes)], readingNotes...) {
		b.WriteString("- " + escape(n) + "\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// readingNotes say what the columns mean.
var readingNotes = []string{
	"Intervals are exact 95 % intervals (Clopper and Pearson 1934) over the test images; they do not cover what another seed would change.",
	"Beside the accuracy and the attack success before, every figure of the second table is the hardened network's.",
	"Attack success is the share of the images classified right when clean that the attack turned wrong.",
	"Precision, recall and F1 are means over classes; a class that is never predicted has precision 0, and a class without images is left out.",
	"Mean conf. is the mean probability of the predicted class, right or wrong.",
	"The worst case counts an image as right only where it withstood every row above; its prediction is that of the first attack that broke it.",
	"A row marked cumulative ran only on the images that the rows above had not broken.",
	"Distances are those of the perturbations, in the norm of the attack; nearest is the distance of the adversarial examples that an attack for the smallest perturbation found.",
	"FAIL in any check makes the headline unreliable; a check that did not run (SKIP) bars a clean verdict.",
}

// markdown writes the table with its columns padded, so that the source can be read too.
func (t *table) markdown(b *strings.Builder) {
	rows := make([][]string, 0, len(t.rows)+1)
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i] = escape(strings.TrimSpace(h[0] + " " + h[1]))
	}
	rows = append(rows, head)
	for _, row := range t.indented("· ") {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = escape(c)
		}
		rows = append(rows, cells)
	}
	width := make([]int, len(head))
	for _, row := range rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c), 3)
		}
	}
	b.WriteString("\n## " + t.title + "\n\n")
	for k, row := range rows {
		for i, c := range row {
			blank := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			switch {
			case i == 0:
				b.WriteString("| " + c + blank + " |")
			case slices.Contains(t.left, i):
				b.WriteString(" " + c + blank + " |")
			default:
				b.WriteString(" " + blank + c + " |")
			}
		}
		b.WriteByte('\n')
		if k > 0 {
			continue
		}
		for i, n := range width {
			switch {
			case i == 0:
				b.WriteString("| :" + strings.Repeat("-", n-1) + " |")
			case slices.Contains(t.left, i):
				b.WriteString(" :" + strings.Repeat("-", n-1) + " |")
			default:
				b.WriteString(" " + strings.Repeat("-", n-1) + ": |")
			}
		}
		b.WriteByte('\n')
	}
}

// escape keeps text from being read as Markdown.
var escape = strings.NewReplacer(
	"\\", "\\\\", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", "[", "\\[", "]", "\\]", "\r", " ", "\n", " ",
).Replace
