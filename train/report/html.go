package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// WriteHTML writes report.html: one file with all that the report holds, figures inlined, which
// loads nothing else. Each of Figures needs its Data.
func (r *Report) WriteHTML(w io.Writer) error {
	before, after := r.stages()
	if !before && !after {
		return errEmpty(After)
	}
	h, err := r.Headline()
	if err != nil {
		return err
	}
	p := page{Kind: "Robustness report", Title: r.Run, Line: r.Line(), Headline: h.page()}
	p.Sections = []section{{ID: "facts", Title: "What was measured", Facts: r.facts()}}
	accuracy := section{ID: "accuracy", Title: "Accuracy"}
	if after {
		t, err := r.afterTable()
		if err != nil {
			return err
		}
		accuracy.Tables = append(accuracy.Tables, t.html())
	}
	if before {
		t, err := r.beforeTable()
		if err != nil {
			return err
		}
		accuracy.Tables = append(accuracy.Tables, t.html())
	}
	if t := r.certifiedTable(); t != nil {
		accuracy.Tables = append(accuracy.Tables, t.html())
	}
	checks, err := r.checkSection()
	if err != nil {
		return err
	}
	figures, err := inlineAll(r.Figures)
	if err != nil {
		return err
	}
	confusion := section{ID: "confusion", Title: "Confusion"}
	for _, t := range r.confusionTables() {
		confusion.Tables = append(confusion.Tables, t.html())
	}
	config, err := configText(r.Config)
	if err != nil {
		return err
	}
	p.Sections = append(p.Sections, accuracy, checks,
		section{ID: "figures", Title: "Figures", Figures: figures},
		section{ID: "classes", Title: "Accuracy by class", Tables: []pageTable{r.classTable().html()}},
		confusion,
		section{ID: "attacks", Title: "Attacks", Tables: []pageTable{r.costTable().without("settings").dropEmpty().html()}, Options: r.options()},
		section{ID: "notes", Title: "Notes", Notes: slices.Concat(r.Notes, readingNotes)},
		section{ID: "config", Title: "Configuration", Text: config})
	return p.write(w)
}

// page is the headline on a page.
func (h Headline) page() *pageHeadline {
	out := &pageHeadline{Figure: "not measured", Verdict: h.Verdict, Text: h.Text}
	if h.Worst == h.Worst {
		d := decimals(h.N)
		out.Figure = percent(h.Worst, d) + " %"
		out.Interval = fmt.Sprintf("95 %% interval %s, n = %s", interval(h.Interval, d), thousands(h.N))
	}
	return out
}

// facts lists what a reader needs to judge the figures.
func (r *Report) facts() []fact {
	out := []fact{
		{"Model", r.Model}, {"Threat model", r.ThreatModel},
		{"Adversarial share of each minibatch", strconv.FormatFloat(100*r.AdversarialShare, 'g', 4, 64) + " %"},
		{"Test images", thousands(r.N)}, {"Seed", strconv.FormatUint(r.Seed, 10)},
		{"Intervals", "exact 95 % (Clopper and Pearson 1934)"},
		{"Selection", r.Selection},
	}
	return slices.DeleteFunc(out, func(f fact) bool { return f.Value == "" })
}

// checkSection is the section of the checks, with badges.
func (r *Report) checkSection() (section, error) {
	s := section{ID: "checks", Title: "Checks"}
	t, err := r.checkTable()
	if err != nil || t == nil {
		return s, err
	}
	table := t.html()
	table.Title, table.Class = "What a claim of robustness has to survive", "checks"
	for _, row := range table.Rows {
		v := Verdict(row[1].Text)
		row[1].Verdict, row[1].Sort = v, strconv.Itoa(len(verdicts)-slices.Index(verdicts, v))
		for k := 2; k < len(row); k++ {
			if row[k].Class = "text"; row[k].Text == absent {
				row[k].Class = "text none"
			}
		}
	}
	s.Tables = []pageTable{table}
	return s, nil
}

// options lists each attack's settings.
func (r *Report) options() []options {
	stage := Before
	if _, after := r.stages(); after {
		stage = After
	}
	var out []options
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Stage != stage || len(row.Options) == 0 {
			continue
		}
		o := options{Name: r.fullName(row)}
		for _, k := range slices.Sorted(maps.Keys(row.Options)) {
			v := row.Options[k]
			if names, ok := v.([]string); ok {
				v = strings.Join(names, ", ")
			}
			o.Options = append(o.Options, fact{k, fmt.Sprint(v)})
		}
		out = append(out, o)
	}
	return out
}

// configText writes the configuration for reading.
func configText(config any) (string, error) {
	if config == nil {
		return "", nil
	}
	text, err := json.MarshalIndent(finite(config), "", "  ")
	if err != nil {
		return "", fmt.Errorf("report: config cannot be written as HTML: %w", err)
	}
	return string(text), nil
}
