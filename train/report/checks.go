package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "PASS"
	Warn Verdict = "WARN"
	Fail Verdict = "FAIL"
	Skip Verdict = "SKIP" // the check did not run
)

// verdicts lists them from the one that weighs least to the one that decides.
var verdicts = []Verdict{Pass, Warn, Skip, Fail}

// Check is one of the tests that a claim of robustness has to survive.
type Check struct {
	// Number counts from 1; Name is that of CheckNames where empty.
	Number  int
	Name    string
	Verdict Verdict
	// Text gives the figures behind the verdict, or why the check did not run.
	Text string
	// Examples are the indices of the test images that show it.
	Examples []int
}

// CheckNames names the checks, the first being number 1.
var CheckNames = []string{
	"perturbations valid, eps 0 is clean",
	"PGD at least as strong as FGSM",
	"accuracy falls to 0 with eps",
	"unbounded attack reaches 0",
	"more iterations and restarts change little",
	"step size is stable",
	"white-box at least as strong as Square",
	"white-box at least as strong as transfer",
	"random noise is weaker than PGD",
	"gradients are usable",
	"outputs are logits",
	"repeated forwards agree",
	"no adversarial iterate lost",
	"attack breaks the undefended model",
	"unseen attack close to the training attack",
	"report is complete",
	"adaptive attack was run",
}

// checks lists the checks by number, with SKIP for each that the report lacks: what was not run
// must not be mistaken for what passed. Without any it lists none.
func (r *Report) checks() ([]Check, error) {
	if len(r.Checks) == 0 {
		return nil, nil
	}
	out := slices.Clone(r.Checks)
	for i := range out {
		c := &out[i]
		if !slices.Contains(verdicts, c.Verdict) {
			return nil, fmt.Errorf("report: check %d has the unknown verdict %q, want one of %v", c.Number, c.Verdict, verdicts)
		}
		if c.Name == "" && c.Number >= 1 && c.Number <= len(CheckNames) {
			c.Name = CheckNames[c.Number-1]
		}
	}
	for i, name := range CheckNames {
		if !slices.ContainsFunc(out, func(c Check) bool { return c.Number == i+1 }) {
			out = append(out, Check{Number: i + 1, Name: name, Verdict: Skip, Text: "not run"})
		}
	}
	slices.SortStableFunc(out, func(a, b Check) int { return a.Number - b.Number })
	return out, nil
}

// worse is the verdict that weighs more.
func worse(a, b Verdict) Verdict {
	if slices.Index(verdicts, a) > slices.Index(verdicts, b) {
		return a
	}
	return b
}

// examples lists indices, the first few of many.
func (c *Check) examples() string {
	const few = 12
	var out []string
	for i, e := range c.Examples {
		if i == few {
			out = append(out, fmt.Sprintf("… %d in all", len(c.Examples)))
			break
		}
		out = append(out, strconv.Itoa(e))
	}
	return strings.Join(out, ", ")
}

// checkTable is the checks as a table, nil where there are none.
func (r *Report) checkTable() (*table, error) {
	checks, err := r.checks()
	if err != nil || len(checks) == 0 {
		return nil, err
	}
	t := &table{title: "Checks", head: [][2]string{{"check", ""}, {"verdict", ""}, {"name", ""}, {"what was found", ""}, {"examples", ""}}}
	t.left = []int{0, 1, 2, 3, 4}
	for _, c := range checks {
		t.rows = append(t.rows, []string{number(c.Number), string(c.Verdict), c.Name, or(c.Text), or(c.examples())})
	}
	return t, nil
}
