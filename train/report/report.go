package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Report is everything that the tables, report.md and report.json say about a run.
type Report struct {
	// Run is the run's name: its folder under checkpoints.
	Run string
	Facts
	// Config is the resolved configuration; any value that encoding/json can write.
	Config any
	// Rows holds the rows of both stages, each stage in the order of its table.
	Rows []Row
	// Classes names the classes; without names they are numbered.
	Classes []string
	// Certified holds what was proven about the hardened network, if anything.
	Certified []Certified
	// Checks are those that were run; the tables list the others as SKIP.
	Checks []Check
	// Notes are sentences that belong to the figures, such as a warning that was raised.
	Notes []string
	// Figures are linked from the Markdown report and inlined in the HTML report.
	Figures []Figure
}

// Facts are what a reader needs to judge the figures; they stand above every table.
type Facts struct {
	// Model is the architecture, and ThreatModel what the attacker may do: "Linf, eps 0.3".
	Model       string `json:"model"`
	ThreatModel string `json:"threat_model"`
	// AdversarialShare is the share of adversarial examples in a minibatch, in [0,1].
	AdversarialShare float64 `json:"adversarial_share"`
	// N is the number of test images behind each row.
	N    int    `json:"n"`
	Seed uint64 `json:"seed"`
	// Selection says how the split was made on which the best checkpoint was chosen.
	Selection string `json:"selection"`
}

// Figure is a picture and its title.
type Figure struct {
	Title, File string
	// Data is the file's content, PNG or SVG, for the HTML report.
	Data []byte
}

// Draw draws a figure with one of the package's functions.
func Draw(title, file string, draw func(io.Writer) error) (Figure, error) {
	var b bytes.Buffer
	if err := draw(&b); err != nil {
		return Figure{}, err
	}
	return Figure{title, file, b.Bytes()}, nil
}

// Line is the line above the tables.
func (f Facts) Line() string {
	return strings.Join([]string{
		f.Model, f.ThreatModel,
		strconv.FormatFloat(100*f.AdversarialShare, 'g', 4, 64) + " % of each minibatch adversarial",
		"n = " + strconv.Itoa(f.N),
		"seed " + strconv.FormatUint(f.Seed, 10),
	}, " · ")
}

// pair is the same attack on both networks; either side may be missing.
type pair struct{ before, after *Row }

// key tells attacks apart.
type key struct {
	group, attack, norm string
	epsilon             float64
}

func (r *Row) key() key { return key{r.Group, r.Attack, r.Norm, r.Epsilon} }

// any is the row that exists, the later one if both do.
func (p pair) any() *Row {
	if p.after != nil {
		return p.after
	}
	return p.before
}

// pairs joins the stages' rows by attack, in the order of the hardened network's table; attacks that
// ran before only come last.
func (r *Report) pairs() []pair {
	var out []pair
	at := map[key]int{}
	for _, stage := range []string{After, Before} {
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Stage != stage {
				continue
			}
			k, ok := at[row.key()]
			if !ok {
				k = len(out)
				at[row.key()] = k
				out = append(out, pair{})
			}
			if stage == After {
				out[k].after = row
			} else {
				out[k].before = row
			}
		}
	}
	return out
}

// class names class k.
func (r *Report) class(k int) string {
	if k < len(r.Classes) {
		return r.Classes[k]
	}
	return strconv.Itoa(k)
}

// stages says which stages have rows.
func (r *Report) stages() (before, after bool) {
	for i := range r.Rows {
		before = before || r.Rows[i].Stage == Before
		after = after || r.Rows[i].Stage == After
	}
	return before, after
}

// Gap is something that a report lacks: What, and of which row where it is one's.
type Gap struct{ What, Row string }

func (g Gap) String() string {
	if g.Row == "" {
		return g.What
	}
	return g.What + " of " + g.Row
}

// What may be missing.
const (
	LacksModel     = "the model"
	LacksThreat    = "the threat model"
	LacksN         = "the number of images"
	LacksSelection = "the selection split"
	LacksConfig    = "the configuration"
	LacksSettings  = "the settings"
	LacksInterval  = "the interval"
)

// Missing lists what the report lacks of what a claim has to be quoted with: the threat model, n, how
// the checkpoint was selected, the configuration, and the settings of each attack. It is for check 16.
func (r *Report) Missing() []Gap {
	var out []Gap
	for _, f := range []struct {
		what string
		set  bool
	}{{LacksModel, r.Model != ""}, {LacksThreat, r.ThreatModel != ""}, {LacksN, r.N > 0}, {LacksSelection, r.Selection != ""}, {LacksConfig, r.Config != nil}} {
		if !f.set {
			out = append(out, Gap{What: f.what})
		}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		name := fmt.Sprintf("%s (%s)", r.fullName(row), row.Stage)
		if row.Attack != Clean && len(row.Options) == 0 {
			out = append(out, Gap{LacksSettings, name})
		}
		if !(row.Interval[0] <= row.Interval[1]) {
			out = append(out, Gap{LacksInterval, name})
		}
	}
	return out
}

// row finds a row that belongs to no group.
func (r *Report) row(stage, attack string) *Row {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Stage == stage && row.Attack == attack && row.Group == "" {
			return row
		}
	}
	return nil
}

// errEmpty is the error for a table without rows.
func errEmpty(stage string) error {
	return fmt.Errorf("report: no rows of stage %q to tabulate", stage)
}
