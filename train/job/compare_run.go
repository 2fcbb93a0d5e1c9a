package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rampart/checkpoints"
	"rampart/train/report"
)

// train leaves a finished run of the contender's config in e.dir: one that is there is taken as it is,
// one that was interrupted is resumed. Runs of another config, or on other data, stay where they are:
// the next free folder is taken then.
func (w *comparing) train(ctx context.Context, e *contender, opt Options) error {
	cfg, err := w.evalConfig(e)
	if err != nil {
		return err
	}
	r, err := newRunContext(ctx, cfg, opt) // with what measures: mistakes in it show before the training
	if err != nil {
		return err
	}
	w.warn(e, r.warnings())
	// The comparison measures; the run itself says no more than how well it does on clean images.
	cfg.Eval = Evaluation{N: w.Eval.N, Batch: w.Eval.Batch, Protocol: ProtocolNone, CurveN: 1, Draws: w.Eval.Draws}
	name := w.strategies[e.strategy].name
	if e.cfg.Seed != w.Compare.Seed {
		name = fmt.Sprintf("%s-seed%d", name, e.cfg.Seed)
	}
	e.dir, opt.Resume, err = find(filepath.Join(w.opt.Out, name), func(dir string) bool {
		s, text, err := loadState(dir)
		if err != nil || s.Data != r.source {
			return false
		}
		started, err := parsed(cfg.Name, text)
		if err != nil {
			return false
		}
		eval := started.Eval
		if started.Eval = cfg.Eval; encoded(started) != encoded(cfg) {
			return false
		}
		cfg.Eval, r.state = eval, s // a run goes on as it was started
		return true
	})
	if err != nil {
		return err
	}
	if opt.Resume && r.state.Phase == len(r.phases()) {
		if _, err := os.Stat(filepath.Join(e.dir, "report.json")); err == nil { // it is written last
			return nil
		}
	}
	opt.Out = e.dir
	return Train(ctx, cfg, opt)
}

// find returns the first of the folders base, base-2, base-3 and so on that fits, or else the first
// that is free.
func find(base string, fits func(dir string) bool) (dir string, found bool, err error) {
	for i := 1; ; i++ {
		if dir = base; i > 1 {
			dir = fmt.Sprintf("%s-%d", base, i)
		}
		taken, err := inUse(dir)
		if err != nil || !taken {
			return dir, false, err
		}
		if fits(dir) {
			return dir, true, nil
		}
	}
}

// measure evaluates the contender's network in its run's folder, or goes on with that.
func (w *comparing) measure(ctx context.Context, e *contender, opt Options) error {
	path := filepath.Join(e.dir, "best.safetensors")
	f, err := checkpoints.Read(path)
	if err != nil {
		return err
	}
	cfg, err := w.evalConfig(e)
	if err != nil {
		return err
	}
	eval := EvalOptions{Checkpoint: path, Claim: &w.threat}
	opt.Out, opt.Resume, err = find(filepath.Join(e.dir, "compare"), func(dir string) bool {
		s, text, err := loadState(dir)
		return err == nil && s.Data == eval.source(f) && text == encoded(cfg)
	})
	if err != nil {
		return err
	}
	r, f, err := openEval(ctx, cfg, eval, opt)
	if err != nil {
		return err
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), cfg.Eval.Batch)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	err = r.measureAll(ctx, m)
	if err == nil {
		err = r.reportMembers(ctx, m)
	}
	if err == nil {
		err = r.save()
	}
	if err != nil {
		return r.evalStopped(err)
	}
	rep, err := r.report()
	if err != nil {
		return err
	}
	e.curve, e.model, e.chain = r.state.Curves[report.After], f.Meta.Model.Spec.Name(), r.chain
	if err := w.read(e, rep, len(r.naive(report.After)), m.Parameters()); err != nil {
		return err
	}
	return r.writeReports(rep)
}

// evalConfig is the contender's config with the comparison's [eval].
func (w *comparing) evalConfig(e *contender) (*Config, error) {
	cfg := *e.cfg
	cfg.Eval = w.Eval
	return clone(&cfg)
}

// read takes the contender's figures from its report and its training state. After the config's own
// attacks come naive ones, which know nothing of a transformation and are no column.
func (w *comparing) read(e *contender, rep *report.Report, naive, parameters int) error {
	m, names := report.NewMeasured(), w.columns()
	own := len(w.Eval.Attacks)
	for _, row := range rep.Rows {
		switch {
		case row.Stage != report.After || row.Group != "":
		case row.Attack == report.Clean:
			m.Clean = row.Accuracy
		case row.Attack == report.WorstCaseName:
			m.Worst = row.Accuracy
		case own == 0 && naive > 0:
			naive--
		case len(names) == 0:
			return errors.New("there are more rows than attacks")
		default:
			m.Attacks[names[0]], names, own = row.Accuracy, names[1:], max(own-1, 0)
		}
	}
	headline, err := rep.Headline()
	if err != nil {
		return err
	}
	s, _, err := loadState(e.dir)
	if err != nil {
		return err
	}
	if s.Seconds > 0 { // runs of an older version do not tell
		m.Training = s.Seconds
	}
	m.Parameters, m.Verdict = parameters, headline.Verdict
	m.Certified = rep.CertifiedAccuracy(w.threat.Norm.String(), float64(w.threat.Epsilon))
	e.measured = m
	return nil
}
