package job

import (
	"fmt"
	"slices"
	"strings"

	"rampart/checkpoints"
	"rampart/train/report"
)

// report puts together what has been measured so far.
func (r *run) report() (*report.Report, error) {
	rep := &report.Report{Run: r.name(), Facts: r.facts(), Classes: r.train.Classes, Notes: slices.Concat(r.notes, r.state.Warnings, r.transformNotes()), Checks: r.state.Checks}
	config, err := configTree(r.resolved())
	if err != nil {
		return nil, err
	}
	rep.Config = config
	labels := make([]int, r.test.Len())
	for i := range labels {
		labels[i] = int(r.test.Label(i))
	}
	for _, stage := range []string{report.Before, report.After} {
		outcomes := r.state.Outcomes[stage]
		if len(outcomes) == 0 {
			continue
		}
		if len(outcomes) == 1 { // without an attack there is no worst case
			row, err := report.Measure(labels, outcomes[0].Predictions, len(r.train.Classes), outcomes[0])
			if err != nil {
				return nil, err
			}
			rep.Rows = append(rep.Rows, row)
			continue
		}
		within, others := r.within(outcomes)
		if len(others) > 0 && stage == report.After {
			rep.Notes = append(rep.Notes, fmt.Sprintf("the worst case is that of %v; it leaves out %s, of another threat model", r.claim, strings.Join(others, ", ")))
		}
		worst, err := report.WorstCase(labels, within)
		if err != nil {
			return nil, err
		}
		for _, o := range append(slices.Clone(outcomes), worst) {
			row, err := report.Measure(labels, outcomes[0].Predictions, len(r.train.Classes), o)
			if err != nil {
				return nil, err
			}
			rep.Rows = append(rep.Rows, row)
		}
	}
	proven, notes, err := r.certified()
	rep.Certified, rep.Notes = proven, append(rep.Notes, notes...)
	return rep, err
}

// within are the outcomes of attacks that keep to the claim's threat model, and the names of others.
func (r *run) within(outcomes []report.Outcome) (list []report.Outcome, others []string) {
	for _, o := range outcomes {
		if o.Attack == report.Clean || o.Norm == r.claim.Norm.String() && o.Epsilon <= float64(r.claim.Epsilon)*(1+1e-9) {
			list = append(list, o)
		} else {
			others = append(others, o.Attack)
		}
	}
	return list, others
}

func (r *run) facts() report.Facts {
	if e := r.evaluated; e != nil {
		return report.Facts{Model: e.model + r.behindText(), ThreatModel: e.threat + "; attacked in " + r.claim.String() + r.throughText(), AdversarialShare: e.share, N: r.test.Len(), Seed: r.cfg.Seed,
			Selection: e.selection}
	}
	spec, _ := r.deployed("")
	f := report.Facts{Model: spec.Name(), ThreatModel: r.cfg.threatText() + r.throughText(), AdversarialShare: r.cfg.share(),
		N: r.test.Len(), Seed: r.cfg.Seed,
		Selection: fmt.Sprintf("best weights by %s on %d of %d %s; no test image takes part in it",
			r.cfg.Probe.Attack.Value.Label(), r.held.Len(), r.cfg.Data.HeldOut, r.heldFrom())}
	if r.cfg.Distill != nil {
		f.Model += fmt.Sprintf(", distilled at temperature %g", r.cfg.Distill.Temperature)
	}
	if r.cfg.Teacher != nil {
		f.Model += fmt.Sprintf(", taught by a hardened %s", r.teacherSpec().Name())
	}
	f.Model += r.behindText()
	if r.cfg.Train.Average.Set() {
		f.Selection += "; weights averaged by " + r.cfg.Train.Average.Name
	}
	return f
}

// testFigures are what the table says about the hardened network, for its checkpoint.
func testFigures(rep *report.Report) (list []checkpoints.Figure) {
	for _, row := range rep.Rows {
		if row.Stage == report.After {
			attack := row.Attack
			if attack == report.Clean {
				attack = ""
			}
			list = append(list, checkpoints.Figure{Attack: attack, Split: "test", Accuracy: row.Accuracy, N: row.N})
		}
	}
	return list
}
