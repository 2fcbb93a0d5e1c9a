package job

import (
	"context"
	"fmt"
	"strings"

	"rampart/attacks"
	"rampart/attacks/audit"
	"rampart/nn"
	"rampart/train/report"
)

// examine makes the checks of the claim that the hardened network's table raises.
func (r *run) examine(ctx context.Context, m *nn.Model) error {
	n := auditExamples[r.cfg.Eval.Protocol]
	if n == 0 || len(r.state.Checks) == audit.Count() {
		return nil
	}
	results, err := r.results(report.After, m)
	if err != nil {
		return err
	}
	s := &audit.Subject{Victim: r.behind(m), Data: r.test, Threat: r.claim, Clean: results[0], Results: results[1:], Training: r.training,
		Distilled: r.distilled, Before: r.before(), N: n, Noise: r.stream("checks"), Stop: ctx.Err}
	if s.Record, err = r.recorded(); err != nil {
		return err
	}
	if s.Undefended, err = r.undefended(); err != nil {
		return err
	}
	if s.Members, err = r.memberNetworks(m); err != nil {
		return err
	}
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, "checks", audit.Count())
	progress.Set(0)
	s.Progress = func(done, _ int) { progress.Set(done) }
	for _, c := range r.state.Checks {
		s.Found = append(s.Found, audit.Finding{Number: c.Number, Name: c.Name, Verdict: audit.Verdict(c.Verdict), Text: c.Text, Examples: c.Examples})
	}
	s.Save = func(list []audit.Finding) error {
		f := list[len(list)-1]
		r.state.Checks = append(r.state.Checks, report.Check{Number: f.Number, Name: f.Name, Verdict: report.Verdict(f.Verdict), Text: f.Text, Examples: f.Examples})
		return r.save()
	}
	if _, err := audit.Run(s); err != nil {
		return err
	}
	progress.Done("")
	return nil
}

// results are a stage's outcomes as rows left them, the clean one first.
func (r *run) results(stage string, v attacks.Victim) ([]*attacks.Result, error) {
	outcomes := r.state.Outcomes[stage]
	next := func(a attacks.Attack) *attacks.Result {
		o := outcomes[0]
		outcomes = outcomes[1:]
		return &attacks.Result{Attack: a, Prediction: o.Predictions, Confidence: o.Confidence, Cumulative: o.Cumulative}
	}
	list := []*attacks.Result{next(nil)}
	for _, a := range r.attacks(stage) {
		var done []*attacks.Result
		if _, ok := a.(attacks.Sequence); ok {
			parts, err := attacks.Parts(a, v)
			if err != nil {
				return nil, err
			}
			for _, part := range parts {
				done = append(done, next(part))
			}
		}
		res := next(a)
		res.Parts = done
		list = append(list, res)
	}
	return list, nil
}

// undefended is the network of the first table, where there is one.
func (r *run) undefended() (attacks.Victim, error) {
	weights := r.state.nets[netBaseline]
	if weights == nil {
		return nil, nil
	}
	return r.network(r.baseline, weights, r.cfg.Eval.Batch)
}

// memberNetworks builds the members of an ensemble, with the weights that m has.
func (r *run) memberNetworks(m *nn.Model) ([]attacks.Victim, error) {
	var list []attacks.Victim
	for i, spec := range m.Spec.Members {
		prefix := fmt.Sprintf("members.%d.", i)
		var weights []nn.Weight
		for _, w := range m.Weights() {
			if name, ok := strings.CutPrefix(w.Name, prefix); ok {
				w.Name = name
				weights = append(weights, w)
			}
		}
		member, err := r.network(spec, weights, r.cfg.Eval.Batch)
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", i+1, err)
		}
		list = append(list, r.behind(member))
	}
	return list, nil
}

// recorded is what the report says of the claim, without what it lacks in any row.
func (r *run) recorded() (map[string]string, error) {
	rep, err := r.report()
	if err != nil {
		return nil, err
	}
	record := map[string]string{
		audit.FactModel: rep.Model, audit.FactThreat: rep.ThreatModel, audit.FactN: fmt.Sprint(rep.N), audit.FactSeed: fmt.Sprint(rep.Seed),
		audit.FactInterval: "Clopper-Pearson, 95 %", audit.FactSelection: rep.Selection, audit.FactOptions: "in report.json, by row",
	}
	fact := map[string]string{report.LacksModel: audit.FactModel, report.LacksThreat: audit.FactThreat, report.LacksN: audit.FactN,
		report.LacksSelection: audit.FactSelection, report.LacksConfig: audit.FactOptions, report.LacksSettings: audit.FactOptions, report.LacksInterval: audit.FactInterval}
	for _, gap := range rep.Missing() {
		delete(record, fact[gap.What])
	}
	return record, nil
}
