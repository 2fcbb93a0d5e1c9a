package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn"
	"rampart/train/report"
)

// figureImages is the number of images in examples.png.
const figureImages = 8

// saveEvery is how often the state of a long attack is saved.
const saveEvery = 20 * time.Second

// measure fills the table of a stage and prints it.
func (r *run) measure(ctx context.Context, stage string, spec nn.Spec, weights []nn.Weight) error {
	m, err := r.network(spec, weights, r.cfg.Eval.Batch)
	if err != nil {
		return err
	}
	if stage == report.After {
		err = r.measureAll(ctx, m)
	} else if err = r.rows(ctx, stage, m); err == nil {
		err = r.curve(ctx, stage, m)
	}
	if err != nil || r.opt.Brief {
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
	if err := rep.WriteAfter(r.opt.Stdout); err != nil {
		return err
	}
	return r.reportMembers(ctx, m)
}

// measureAll measures the network of the last table in all ways, and goes on with what the state has
// already: attacks, figures where there is a folder for them, checks, proofs.
func (r *run) measureAll(ctx context.Context, m *nn.Model) error {
	v := r.behind(m)
	if err := r.rows(ctx, report.After, v); err != nil {
		return err
	}
	if r.dir != "" {
		if err := r.curve(ctx, report.After, v); err != nil {
			return err
		}
		if err := r.trace(ctx, v); err != nil {
			return err
		}
	}
	if err := r.examine(ctx, m); err != nil {
		return err
	}
	return r.certify(ctx, m.Spec, m.Weights())
}

// rows runs a stage's attacks, saving after each; what the state has already is not repeated.
func (r *run) rows(ctx context.Context, stage string, v attacks.Victim) error {
	list := r.attacks(stage)
	var res *attacks.Result
	for i := r.state.Measured[stage]; i <= len(list); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if i == 0 {
			res, err = attacks.Clean(v, r.test)
		} else {
			if r.state.Partial == nil {
				r.state.Partial = attacks.Begun(list[i-1], res, r.test)
			}
			res, err = r.attack(ctx, stage, v, list[i-1])
		}
		if err = errors.Join(err, r.test.Err()); err != nil {
			return err
		}
		for _, part := range res.Parts {
			o := r.outcome(stage, part)
			o.Group = res.Attack.Label()
			r.state.Outcomes[stage] = append(r.state.Outcomes[stage], o)
		}
		r.state.Outcomes[stage] = append(r.state.Outcomes[stage], r.outcome(stage, res))
		if i > 0 {
			r.keepExamples(stage, i-1, res)
		}
		r.state.Measured[stage], r.state.Partial = i+1, nil
		if err := r.save(); err != nil {
			return err
		}
	}
	return nil
}

// attack runs one attack, or goes on with the one that the state holds.
func (r *run) attack(ctx context.Context, stage string, v attacks.Victim, a attacks.Attack) (*attacks.Result, error) {
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, fmt.Sprintf("measure %s: %s", stage, a.Label()), r.test.Len()*runsOf(a, v))
	progress.Set(0)
	saved := time.Now()
	runner := attacks.Runner{Victim: v, Noise: r.stream("evaluation"), Stop: ctx.Err, From: r.state.Partial,
		Progress: func(done, total int) { progress.Set(done) },
		Save: func(p *attacks.Partial) error {
			r.state.Partial = p
			if time.Since(saved) < saveEvery {
				return nil
			}
			saved = time.Now()
			return r.save()
		}}
	res, err := runner.Run(a, r.test)
	if err == nil {
		progress.Done(fmt.Sprintf("accuracy %.1f %%", 100*float64(res.Correct(r.test))/float64(r.test.Len())))
	}
	return res, err
}

// runsOf is the number of passes over the data that an attack may take.
func runsOf(a attacks.Attack, v attacks.Victim) (n int) {
	parts, err := attacks.Parts(a, v)
	if err != nil {
		return 1 // Run will say what is wrong
	}
	for _, p := range parts {
		n += p.Restarts()
	}
	return n
}

func (r *run) outcome(stage string, res *attacks.Result) report.Outcome {
	o := report.Outcome{Stage: stage, Attack: report.Clean, Predictions: res.Prediction, Confidence: res.Confidence, Seconds: res.Seconds}
	a := res.Attack
	if a == nil {
		return o
	}
	o.Attack, o.Cumulative, o.Norm, o.Epsilon = a.Label(), res.Cumulative, a.Threat().Norm.String(), float64(a.Threat().Epsilon)
	o.Gradients, o.Forwards = int64(res.Counts.Gradients), int64(res.Counts.Forwards)
	o.Zero, o.NonFinite = int64(res.Counts.Zero), int64(res.Counts.NonFinite)
	o.Options, o.Minimal = optionsOf(a), report.Distances(res.Distance)
	if res.Adv == nil {
		return o // a part of a sequence
	}
	clean, size := make([]float32, r.test.Size()), r.test.Size()
	o.Distances = make([]float64, r.test.Len())
	for i := range o.Distances {
		r.test.Image(i, clean)
		o.Distances[i] = a.Threat().Norm.Distance(res.Adv[i*size:(i+1)*size], clean)
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

// keepExamples keeps what attack i, whose outcome is the last one, made of the first images, for the
// figures.
func (r *run) keepExamples(stage string, i int, res *attacks.Result) {
	first := slices.Clone(res.Adv[:min(figureImages, r.test.Len())*r.test.Size()])
	if r.isCurveAttack(i) {
		r.state.examples[stage] = first
	}
	if stage == report.After {
		r.state.examples[examplesOf(stage, len(r.state.Outcomes[stage])-1)] = first
	}
}

// examplesOf is the key of the images of an outcome: two attacks may have one label.
func examplesOf(stage string, outcome int) string { return fmt.Sprintf("%s/%d", stage, outcome) }

// curve measures accuracy against epsilon on the first images of the test set.
func (r *run) curve(ctx context.Context, stage string, v attacks.Victim) error {
	some := r.test.Slice(0, min(r.cfg.Eval.CurveN, r.test.Len()))
	eps := r.cfg.Eval.CurveEps
	if len(eps) == 0 {
		return nil
	}
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, "measure "+stage+": accuracy against epsilon", len(eps))
	if len(r.state.Curves[stage]) == 0 {
		clean, err := attacks.Clean(v, some)
		if err != nil {
			return err
		}
		r.state.Curves[stage] = []float64{float64(clean.Correct(some)) / float64(some.Len())}
	}
	for i := len(r.state.Curves[stage]) - 1; i < len(eps); i++ {
		res, err := attacks.Run(v, r.meets(stage, r.curveAttack().At(float64(eps[i]))), some, r.stream("evaluation"), ctx.Err, nil)
		if err != nil {
			return err
		}
		r.state.Curves[stage] = append(r.state.Curves[stage], float64(res.Correct(some))/float64(some.Len()))
		progress.Set(i + 1)
	}
	progress.Done("")
	return nil
}
