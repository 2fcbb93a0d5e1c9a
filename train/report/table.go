package report

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a table before it is laid out; terminal, Markdown and HTML render the same cells.
type table struct {
	title string
	// head holds a column's name in up to two lines.
	head [][2]string
	rows [][]string
	// left lists the columns of text, which stand to the left; the first always does.
	left []int
	// groups names, for each row, the sequence that it is part of; nil where no row is.
	groups []string
}

// add adds a row, which may be part of a group.
func (t *table) add(group string, cells []string) {
	t.rows, t.groups = append(t.rows, cells), append(t.groups, group)
}

// group is the group of row i, if any.
func (t *table) group(i int) string {
	if i < len(t.groups) {
		return t.groups[i]
	}
	return ""
}

// indented returns the rows with a line of its own above each group, and a mark before its rows.
func (t *table) indented(mark string) [][]string {
	var out [][]string
	for i, row := range t.rows {
		g := t.group(i)
		if g == "" {
			out = append(out, row)
			continue
		}
		if i == 0 || g != t.group(i-1) {
			head := make([]string, len(row))
			head[0] = g
			out = append(out, head)
		}
		out = append(out, append([]string{mark + row[0]}, row[1:]...))
	}
	return out
}

// keep returns the table with the columns alone for which the function is true.
func (t *table) keep(want func(k int) bool) *table {
	out := &table{title: t.title, groups: t.groups, rows: make([][]string, len(t.rows))}
	for k, h := range t.head {
		if !want(k) {
			continue
		}
		if slices.Contains(t.left, k) {
			out.left = append(out.left, len(out.head))
		}
		out.head = append(out.head, h)
		for i, row := range t.rows {
			out.rows[i] = append(out.rows[i], row[k])
		}
	}
	return out
}

// without returns the table without the column of that name.
func (t *table) without(name string) *table {
	return t.keep(func(k int) bool { return t.head[k][0] != name })
}

// dropEmpty returns the table without the columns in which no figure exists.
func (t *table) dropEmpty() *table {
	return t.keep(func(k int) bool {
		return k == 0 || slices.ContainsFunc(t.rows, func(row []string) bool { return row[k] != absent })
	})
}

// line pads what follows an arrow or a dash, so that they stand in line down a column.
func (t *table) line() *table {
	for k := range t.head {
		for _, joint := range []string{toAfter, toHigh} {
			longest := 0
			for _, row := range t.rows {
				if _, after, ok := strings.Cut(row[k], joint); ok {
					longest = max(longest, utf8.RuneCountInString(after))
				}
			}
			for _, row := range t.rows {
				if before, after, ok := strings.Cut(row[k], joint); ok {
					row[k] = before + joint + strings.Repeat(" ", longest-utf8.RuneCountInString(after)) + after
				}
			}
		}
	}
	return t
}

// fit cuts a table that is too wide into several that repeat its first columns.
func (t *table) fit(width, keep int) []*table {
	const gap = 2
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
		part := &table{title: t.title, groups: t.groups, head: append(append([][2]string{}, t.head[:keep]...), t.head[at:end]...)}
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
