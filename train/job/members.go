package job

import (
	"context"
	"fmt"
	"io"
	"slices"

	"rampart/attacks"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/train/report"
)

// reportMembers sets an ensemble beside its members: each under attack on its own, transfer between
// all of them, and the attack that climbs the members' mean loss. It prints the table and, where the
// run has a folder, writes members.md, members.json and members.html. Other networks it leaves be.
func (r *run) reportMembers(ctx context.Context, m *nn.Model) error {
	members, err := r.memberNetworks(m)
	if err != nil || len(members) == 0 {
		return err
	}
	test := r.test.Slice(0, min(r.cfg.Eval.CurveN, r.test.Len()))
	a := r.meets(report.After, r.transferAttack())
	c := &report.Comparison{Title: r.name() + ": the ensemble and its members", Model: m.Spec.Name(), ThreatModel: a.Threat().String(), N: test.Len(),
		Seeds: []uint64{r.cfg.Seed}, Attacks: []string{a.Label()},
		Notes: []string{"Mean loss is an attack on the ensemble that climbs the mean of its members' losses instead of the loss of their combination."}}
	parameters, victims := []int{m.Parameters()}, []attacks.Victim{r.behind(m)}
	for _, one := range members {
		victims = append(victims, one) // behind its transformations already
		if n, ok := one.(*transform.Network); ok {
			one = n.Bare()
		}
		parameters = append(parameters, one.(*nn.Model).Parameters())
	}
	sources := append(slices.Clone(victims), attacks.MeanLoss{Victim: victims[0], Members: victims[1:]})
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, "members", len(sources))
	for i, source := range sources {
		name := "ensemble"
		switch {
		case i == len(victims):
			name = "mean loss"
		case i > 0:
			name = netMember(i - 1)
		}
		c.TransferNames = append(c.TransferNames, name)
		res, err := attacks.Run(source, a, test, r.stream("transfer"), ctx.Err, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		row := make([]float64, len(sources))
		for k, v := range append(victims, nil) {
			if v == nil { // an attack, no network
				row[k] = report.NewMeasured().Clean
				continue
			}
			if row[k], err = accuracyOn(v, res.Adv, test); err != nil {
				return err
			}
		}
		c.Transfer = append(c.Transfer, row)
		if i < len(victims) {
			clean, err := attacks.Clean(source, test)
			if err != nil {
				return err
			}
			alone := report.NewMeasured()
			alone.Clean, alone.Attacks[a.Label()] = float64(clean.Correct(test))/float64(test.Len()), row[i]
			alone.Parameters = parameters[i]
			c.Strategies = append(c.Strategies, report.Strategy{Name: name, Runs: []report.Measured{alone}})
		}
		progress.Set(i + 1)
	}
	progress.Done("")
	if r.dir != "" {
		for _, f := range []struct {
			name  string
			write func(io.Writer) error
		}{{"members.md", c.WriteMarkdown}, {"members.json", c.WriteJSON}, {"members.html", c.WriteHTML}} {
			if err := r.write(f.name, f.write); err != nil {
				return err
			}
		}
	}
	if r.opt.Brief {
		return nil
	}
	return c.WriteTable(r.opt.Stdout)
}
