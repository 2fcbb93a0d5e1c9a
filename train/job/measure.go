package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/configs"
	"rampart/nn"
	"rampart/train/report"
)

// figureImages is the number of images in examples.png.
const figureImages = 8

// measure fills the table of a stage, row by row; rows that the state has already are not repeated.
func (r *run) measure(ctx context.Context, stage string, spec nn.Spec, weights []nn.Weight) error {
	m, err := r.network(spec, weights, r.cfg.Eval.Batch)
	if err != nil {
		return err
	}
	done := r.state.Outcomes[stage]
	for i := len(done); i <= len(r.cfg.Eval.Attacks); i++ {
		o, res, err := r.row(ctx, stage, m, i)
		if err != nil {
			return err
		}
		if r.state.examples[stage] == nil && i > 0 && r.isCurveAttack(i-1) {
			r.keepExamples(stage, res)
		}
		r.state.Outcomes[stage] = append(r.state.Outcomes[stage], o)
		if err := r.save(); err != nil {
			return err
		}
	}
	if err := r.curve(ctx, stage, m); err != nil {
		return err
	}
	rep, err := r.report()
	if err != nil {
		return err
	}
	fmt.Fprintln(r.opt.Stdout)
	if stage == report.Before {
		return rep.WriteBefore(r.opt.Stdout)
	}
	return rep.WriteAfter(r.opt.Stdout)
}

// row measures row i of a table: 0 is clean, the others are the config's attacks.
func (r *run) row(ctx context.Context, stage string, m *nn.Model, i int) (report.Outcome, *attacks.Result, error) {
	if err := ctx.Err(); err != nil {
		return report.Outcome{}, nil, err
	}
	if i == 0 {
		res, err := attacks.Clean(m, r.test)
		if err = errors.Join(err, r.test.Err()); err != nil {
			return report.Outcome{}, nil, err
		}
		return outcome(stage, res), res, nil
	}
	a := r.cfg.Eval.Attacks[i-1].Value
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, fmt.Sprintf("measure %s: %s", stage, a.Label()), r.test.Len()*a.Restarts())
	progress.Set(0)
	res, err := attacks.Run(m, a, r.test, r.stream("evaluation"), ctx.Err, func(done, total int) { progress.Set(done) })
	if err = errors.Join(err, r.test.Err()); err != nil {
		return report.Outcome{}, nil, err
	}
	o := outcome(stage, res)
	progress.Done(fmt.Sprintf("accuracy %.1f %%", 100*float64(res.Correct(r.test))/float64(r.test.Len())))
	return o, res, nil
}

func outcome(stage string, res *attacks.Result) report.Outcome {
	o := report.Outcome{Stage: stage, Attack: report.Clean, Predictions: res.Prediction, Confidence: res.Confidence, Seconds: res.Seconds}
	if a := res.Attack; a != nil {
		o.Attack, o.Cumulative, o.Norm, o.Epsilon = a.Label(), res.Cumulative, a.Threat().Norm.String(), float64(a.Threat().Epsilon)
		o.Gradients, o.Options = int64(res.Counts.Gradients), optionsOf(a)
		o.Options["zero_gradients"], o.Options["non_finite_gradients"] = res.Counts.Zero, res.Counts.NonFinite
	}
	return o
}

// optionsOf lists an attack's options for the record.
func optionsOf(a attacks.Attack) map[string]any {
	text, err := configs.Encode(a)
	if err != nil {
		panic(err) // what was decoded can be encoded
	}
	m := map[string]any{}
	for k, v := range keyed(string(text)) {
		var value any
		if json.Unmarshal([]byte(v), &value) != nil {
			value = v
		}
		m[k] = value
	}
	return m
}

// curveAttack is the attack of the curves and the example images: the first PGD of the tables
// without restarts, else the probe's.
func (r *run) curveAttack() attacks.Attack {
	for i := range r.cfg.Eval.Attacks {
		if r.isCurveAttack(i) {
			return r.cfg.Eval.Attacks[i].Value
		}
	}
	return r.cfg.Probe.Attack.Value
}

func (r *run) isCurveAttack(i int) bool {
	first := slices.IndexFunc(r.cfg.Eval.Attacks, func(c configs.Choice[attacks.Attack]) bool {
		p, ok := c.Value.(*attacks.PGD)
		return ok && p.Runs == 1
	})
	return i == first
}

func (r *run) keepExamples(stage string, res *attacks.Result) {
	n := min(figureImages, r.test.Len()) * r.test.Size()
	r.state.examples[stage] = slices.Clone(res.Adv[:n])
}

// curve measures accuracy against epsilon on the first images of the test set.
func (r *run) curve(ctx context.Context, stage string, m *nn.Model) error {
	some := r.test.Slice(0, min(r.cfg.Eval.CurveN, r.test.Len()))
	eps := r.cfg.Eval.CurveEps
	if len(eps) == 0 {
		return nil
	}
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, "measure "+stage+": accuracy against epsilon", len(eps))
	if len(r.state.Curves[stage]) == 0 {
		clean, err := attacks.Clean(m, some)
		if err != nil {
			return err
		}
		r.state.Curves[stage] = []float64{float64(clean.Correct(some)) / float64(some.Len())}
	}
	for i := len(r.state.Curves[stage]) - 1; i < len(eps); i++ {
		res, err := attacks.Run(m, r.curveAttack().At(float64(eps[i])), some, r.stream("evaluation"), ctx.Err, nil)
		if err = errors.Join(err, some.Err()); err != nil {
			return err
		}
		r.state.Curves[stage] = append(r.state.Curves[stage], float64(res.Correct(some))/float64(some.Len()))
		progress.Set(i + 1)
	}
	progress.Done("")
	return nil
}

// report puts together what has been measured so far.
func (r *run) report() (*report.Report, error) {
	rep := &report.Report{Run: r.name(), Facts: r.facts(), Classes: r.train.Classes, Notes: slices.Concat(r.notes, r.state.Warnings)}
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
		worst, err := report.WorstCase(labels, outcomes)
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
	return rep, nil
}

func (r *run) facts() report.Facts {
	spec, _ := r.deployed("")
	f := report.Facts{Model: spec.Name(), ThreatModel: r.cfg.threat().String(), AdversarialShare: r.cfg.Defense.Value.Share(),
		N: r.test.Len(), Seed: r.cfg.Seed,
		Selection: fmt.Sprintf("best weights by %s on %d of %d %s; no test image takes part in it",
			r.cfg.Probe.Attack.Value.Label(), r.held.Len(), r.cfg.Data.HeldOut, r.heldFrom())}
	if r.cfg.Distill != nil {
		f.Model += fmt.Sprintf(", distilled at temperature %g", r.cfg.Distill.Temperature)
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
