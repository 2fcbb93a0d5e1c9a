package report

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// colours are the terminal's codes for the verdicts; the word itself says the same.
var colours = map[Verdict]string{Pass: "\x1b[32m", Warn: "\x1b[33m", Fail: "\x1b[1;31m", Skip: "\x1b[36m"}

// coloured says whether the output is a terminal whose user did not opt out (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}

// paint puts a verdict in its colour.
func paint(v Verdict, colour bool) string {
	if !colour {
		return string(v)
	}
	return colours[v] + string(v) + "\x1b[0m"
}

// writeVerdict writes the headline and the checks, the text of each wrapped beside its name.
func (r *Report) writeVerdict(b *strings.Builder, colour bool) error {
	h, err := r.Headline()
	if err != nil {
		return err
	}
	checks, err := r.checks()
	if err != nil {
		return err
	}
	b.WriteString("\n" + h.Line() + "\n" + paint(h.Verdict, colour) + ": ")
	b.WriteString(strings.Join(wrap(h.Text, terminalWidth-len("FAIL: ")), "\n      ") + "\n")
	if len(checks) == 0 {
		return nil
	}
	rule, name := strings.Repeat("─", terminalWidth)+"\n", 0
	for _, c := range checks {
		name = max(name, utf8.RuneCountInString(c.Name))
	}
	b.WriteString("\nChecks\n" + rule)
	for _, c := range checks {
		n := strconv.Itoa(c.Number)
		line := strings.Repeat(" ", max(0, 3-len(n))) + n + "  " + paint(c.Verdict, colour) + "  " + c.Name
		text := c.Text
		if e := c.examples(); e != "" {
			text += " [examples " + e + "]"
		}
		const before = 3 + 2 + 4 + 2 // number and verdict
		for i, part := range wrap(text, terminalWidth-before-name-2) {
			if i == 0 {
				line += strings.Repeat(" ", name-utf8.RuneCountInString(c.Name)+2) + part
				continue
			}
			line += "\n" + strings.Repeat(" ", before+name+2) + part
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString(rule)
	return nil
}

// wrap breaks text into lines of at most width columns, at blanks; a longer word is cut.
func wrap(text string, width int) []string {
	width = max(width, 20)
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:width])), string(runes[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
