package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"lower": func(v Verdict) string { return strings.ToLower(string(v)) },
	// The mark says without colour what the badge is.
	"mark": func(v Verdict) string { return map[Verdict]string{Pass: "✓", Warn: "!", Fail: "✗", Skip: "–"}[v] },
}).Parse(pageHTML))

// page is an HTML page that needs nothing beside itself. Its content security policy allows its own
// style and script alone, so that nothing in it can load or run anything else.
type page struct {
	Kind, Title, Line string
	Headline          *pageHeadline
	Sections          []section
}

type pageHeadline struct {
	Figure, Interval, Text string
	Verdict                Verdict
}

// section is a part of the page; what is empty is not shown.
type section struct {
	ID, Title, Intro string
	Facts            []fact
	Tables           []pageTable
	Options          []options
	Figures          []pageFigure
	Notes            []string
	Text             string
}

type fact struct{ Name, Value string }

type options struct {
	Name    string
	Options []fact
}

type pageTable struct {
	Title, Class string
	Head         []pageHead
	Rows         [][]cell
}

type pageHead struct {
	Name string
	Left bool
}

type cell struct {
	Text, Class, Sort string
	First, Best       bool
	Verdict           Verdict
}

type pageFigure struct {
	Title  string
	Source template.URL
}

// write renders the page.
func (p *page) write(w io.Writer) error {
	p.Sections = slices.DeleteFunc(p.Sections, func(s section) bool {
		return len(s.Facts)+len(s.Tables)+len(s.Options)+len(s.Figures)+len(s.Notes)+len(s.Text) == 0
	})
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*page
		Style                 template.CSS
		Script                template.JS
		StyleHash, ScriptHash string
	}{p, template.CSS(pageCSS), template.JS(pageJS), hashOf(pageCSS), hashOf(pageJS)})
	if err != nil {
		return fmt.Errorf("report: cannot be written as HTML: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// hashOf names a style or script in a content security policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// html turns a table's cells into those of a page. There rows are sorted, so that each gives its group.
func (t *table) html() pageTable {
	out := pageTable{Title: t.title}
	for k, h := range t.head {
		out.Head = append(out.Head, pageHead{strings.TrimSpace(h[0] + " " + h[1]), slices.Contains(t.left, k)})
	}
	for i, row := range t.rows {
		cells := make([]cell, len(row))
		for k, text := range row {
			cells[k] = cell{Text: text, First: k == 0}
			if slices.Contains(t.left, k) {
				cells[k].Class = "left"
			}
		}
		if g := t.group(i); g != "" {
			cells[0].Text = g + ": " + cells[0].Text
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}

// inline makes a figure part of a page.
func (f *Figure) inline() (pageFigure, error) {
	kind := ""
	switch start := bytes.TrimLeft(f.Data, " \t\r\n"); {
	case len(start) == 0:
		return pageFigure{}, fmt.Errorf("report: figure %q has no data to inline: make it with Draw", f.Title)
	case bytes.HasPrefix(start, []byte("\x89PNG\r\n\x1a\n")):
		kind = "image/png"
	case bytes.HasPrefix(start, []byte("<?xml")), bytes.HasPrefix(start, []byte("<svg")):
		kind = "image/svg+xml"
	default:
		return pageFigure{}, fmt.Errorf("report: figure %q is neither PNG nor SVG", f.Title)
	}
	return pageFigure{f.Title, template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(f.Data))}, nil
}

// inlineAll makes figures part of a page.
func inlineAll(figures []Figure) ([]pageFigure, error) {
	var out []pageFigure
	for i := range figures {
		f, err := figures[i].inline()
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
