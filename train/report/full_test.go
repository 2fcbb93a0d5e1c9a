package report

import "math"

// fullReport is a report with all that one can hold: a sequence of attacks, distances, checks of every
// verdict, and names that no format may take for markup.
func fullReport() *Report {
	r := sampleReport(1000)
	labels := sampleLabels(1000)
	clean := sampleOutcome(After, Clean, labels, 0.9842)
	last := len(r.Rows) - 1
	rows := r.Rows[:last:last]
	for i, name := range []string{"APGD-CE", "APGD-T", "FAB-T", "Square"} {
		o := sampleOutcome(After, name, labels, 0.93-0.003*float64(i))
		o.Group, o.Cumulative = "AutoAttack", i > 0
		o.Zero, o.NonFinite = o.Gradients/50, o.Gradients/1000
		o.Options = map[string]any{"steps": 100, "rho": 0.75, "loss": "dlr <b>&"}
		if name == "Square" {
			o.Gradients, o.Zero, o.NonFinite, o.Forwards = 0, 0, 0, 5000*930
		}
		for k := range labels {
			o.Distances = append(o.Distances, 0.2+0.1*float64(k%11)/10)
			if i > 0 && k%5 > 0 {
				o.Distances[k] = nan // not among the survivors
			}
			if name == "FAB-T" {
				o.Minimal = append(o.Minimal, 0.25+0.2*float64(k*7%100)/100)
				if k%40 == 0 {
					o.Minimal[k] = math.Inf(1)
				}
			}
		}
		row, err := Measure(labels, clean.Predictions, 10, o)
		if err != nil {
			panic(err)
		}
		rows = append(rows, row)
	}
	r.Rows = append(rows, r.Rows[last])
	r.Run = "madry <script>alert(1)</script>"
	r.Checks = []Check{
		{Number: 2, Verdict: Fail, Text: "PGD-40 leaves 94.4 %, FGSM 12.0 %: FGSM beats PGD, so that the gradient is masked | hidden <img src=x onerror=alert(1)>", Examples: []int{3, 17, 256, 999}},
		{Number: 1, Verdict: Pass, Text: "largest distance 0.3000000 of 0.3"},
		{Number: 5, Verdict: Warn, Text: "200 steps find 7 more of 1,000 (0.7 points) than 100; the loss still rises over the last 20 steps, by 2.1 %; doubling the restarts finds none", Examples: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}},
		{Number: 8, Verdict: Skip, Text: "no other model was named"},
	}
	for _, n := range []int{3, 4, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17} {
		r.Checks = append(r.Checks, Check{Number: n, Verdict: Pass, Text: "as it should be"})
	}
	r.Notes = []string{"a note with <em>markup</em> & more"}
	return r
}
