package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Headline is the figure that a run is quoted by, and how far it can be believed.
type Headline struct {
	// Worst is the accuracy of the worst case per example over all attacks, NaN where none ran, and
	// Interval its 95 % interval.
	Worst    float64
	Interval [2]float64
	N        int
	// Verdict is FAIL if any check failed, else SKIP if any did not run, else WARN if any warned.
	Verdict Verdict
	// Text says so in words, and names the checks.
	Text string
}

// Headline sums the report up: the hardened network's worst case, or the undefended one's where
// nothing else was measured.
func (r *Report) Headline() (Headline, error) {
	h := Headline{Worst: nan, Interval: [2]float64{nan, nan}, Verdict: Pass}
	stage := Before
	if _, after := r.stages(); after {
		stage = After
	}
	if row := r.row(stage, WorstCaseName); row != nil {
		h.Worst, h.Interval, h.N = row.Accuracy, row.Interval, row.N
	}
	checks, err := r.checks()
	if err != nil {
		return h, err
	}
	by := map[Verdict][]string{}
	for _, c := range checks {
		h.Verdict = worse(h.Verdict, c.Verdict)
		if n := strconv.Itoa(c.Number); !slices.Contains(by[c.Verdict], n) {
			by[c.Verdict] = append(by[c.Verdict], n)
		}
	}
	if len(checks) == 0 {
		h.Verdict, h.Text = Skip, "no verdict: the checks were not run"
		return h, nil
	}
	var parts []string
	add := func(v Verdict, before, after string) {
		switch n := by[v]; len(n) {
		case 0:
		case 1:
			parts = append(parts, before+"check "+n[0]+after)
		default:
			parts = append(parts, before+"checks "+strings.Join(n, ", ")+after)
		}
	}
	add(Fail, "the headline is unreliable: ", " failed")
	add(Skip, "not all checks ran: ", " skipped")
	add(Warn, "", " warned")
	h.Text = strings.Join(parts, "; ")
	if h.Verdict == Pass {
		h.Text = "all checks passed"
	}
	return h, nil
}

// Line is the figure with its interval.
func (h Headline) Line() string {
	if h.Worst != h.Worst {
		return "Worst-case robust accuracy: not measured"
	}
	d := decimals(h.N)
	return fmt.Sprintf("Worst-case robust accuracy: %s %% (95 %% interval %s, n = %d)", percent(h.Worst, d), interval(h.Interval, d), h.N)
}
