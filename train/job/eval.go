package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/train/report"
)

// Eval measures a checkpoint by the tables of a config; with opt.Out it also writes the reports there.
func Eval(ctx context.Context, cfg *Config, path string, opt Options) error {
	const stage = report.After
	r, err := newRunContext(ctx, cfg, opt)
	if err != nil {
		return err
	}
	f, err := checkpoints.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	if err := f.Finite(); err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	spec := f.Meta.Model.Spec
	if in := r.spec().Input; spec.Input != in {
		return &UsageError{fmt.Errorf("%q takes %v images, the data set %q has %v", path, spec.Input, r.cfg.Data.Source.Name, in)}
	}
	if !slices.Equal(f.Meta.Model.Classes, r.test.Classes) {
		return &UsageError{fmt.Errorf("%q knows the classes %s, the data set %q has %s", path,
			strings.Join(f.Meta.Model.Classes, ", "), r.cfg.Data.Source.Name, strings.Join(r.test.Classes, ", "))}
	}
	if r.dir = r.opt.Out; r.dir != "" {
		taken, err := inUse(r.dir)
		if err != nil {
			return err
		}
		if taken {
			return &UsageError{fmt.Errorf("%q is not empty: choose another -out", r.dir)}
		}
		if err := os.MkdirAll(r.dir, 0o777); err != nil {
			return fmt.Errorf("cannot make the report's folder: %w", err)
		}
	}
	m, err := r.network(spec, f.Weights(), r.cfg.Eval.Batch)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	r.state = newState()
	for i := range len(r.cfg.Eval.Attacks) + 1 {
		o, _, err := r.row(ctx, stage, m, i)
		if err != nil {
			return err
		}
		r.state.Outcomes[stage] = append(r.state.Outcomes[stage], o)
	}
	rep, err := r.report()
	if err != nil {
		return err
	}
	rep.Run, rep.Model, rep.Selection = filepath.Base(path), spec.Name(), "as the checkpoint was trained"
	rep.ThreatModel = trainedAgainst(f.Meta.ThreatModel)
	rep.AdversarialShare = f.Meta.ThreatModel.AdversarialShare
	if err := rep.WriteAfter(r.opt.Stdout); err != nil {
		return err
	}
	if r.dir == "" {
		return nil
	}
	if err := r.write("report.md", rep.WriteMarkdown); err != nil {
		return err
	}
	return r.write("report.json", rep.WriteJSON)
}

func trainedAgainst(t checkpoints.ThreatModel) string {
	if t.Norm == "" {
		return "trained against no attack"
	}
	return fmt.Sprintf("trained against %v, eps %.4g", attacks.Norm(t.Norm), t.Epsilon)
}
