package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rampart/attacks"
	"rampart/checkpoints"
)

// EvalOptions say what is measured.
type EvalOptions struct {
	// Checkpoint is the network, and Undefended one without a defence for the checks; "" takes
	// baseline.safetensors beside Checkpoint, if it is there.
	Checkpoint, Undefended string
	// Claim is the threat model that the tables are about; nil takes the config's.
	Claim *attacks.Threat
}

// Eval measures a checkpoint by the tables and the protocol of a config; with opt.Out it also keeps
// its state and writes the reports there.
func Eval(ctx context.Context, cfg *Config, eval EvalOptions, opt Options) error {
	r, f, err := openEval(ctx, cfg, eval, opt)
	if err != nil {
		return err
	}
	for _, s := range r.warnings() {
		fmt.Fprintln(opt.Stderr, "warning:", s)
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), r.cfg.Eval.Batch)
	if err != nil {
		return fmt.Errorf("%q: %w", eval.Checkpoint, err)
	}
	if err := r.measureAll(ctx, m); err != nil {
		return r.evalStopped(err)
	}
	rep, err := r.report()
	if err != nil {
		return err
	}
	if err := rep.WriteAfter(r.opt.Stdout); err != nil {
		return err
	}
	if err := r.reportMembers(ctx, m); err != nil {
		return r.evalStopped(err)
	}
	if r.dir == "" {
		return nil
	}
	return r.writeReports(rep)
}

// evalStopped saves an interrupted evaluation where it has a folder.
func (r *run) evalStopped(err error) error {
	if !errors.Is(err, context.Canceled) || r.dir == "" {
		return err
	}
	if saveErr := r.save(); saveErr != nil {
		return saveErr
	}
	fmt.Fprintf(r.opt.Stderr, "interrupted, and saved; go on with the same command and -resume\n")
	return fmt.Errorf("interrupted: %w", err)
}

// openEval reads the checkpoints and opens the folder, or the evaluation that is in it.
func openEval(ctx context.Context, cfg *Config, eval EvalOptions, opt Options) (*run, *checkpoints.File, error) {
	r, err := newRunContext(ctx, cfg, opt)
	if err != nil {
		return nil, nil, err
	}
	f, err := r.subject(eval.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	r.source = eval.source(f)
	if eval.Claim != nil {
		r.claim = *eval.Claim
	}
	r.chain, r.denoised = f.Meta.Transforms, f.Meta.Model.Spec.Denoised()
	if err := cfg.checkProofs(r.chain); err != nil {
		return nil, nil, &UsageError{fmt.Errorf("%q: %w", eval.Checkpoint, err)}
	}
	r.state = newState()
	r.state.Data = r.source
	r.evaluated = evaluatedAs(eval.Checkpoint, f)
	r.training, r.distilled = trainedWith(f)
	if err := r.loadSources(placed{"the training attack", r.training}); err != nil {
		fmt.Fprintln(opt.Stderr, "warning: check 15 does without", err)
		r.training = nil
	}
	if opt.Out != "" {
		if err := r.openEvalFolder(); err != nil {
			return nil, nil, err
		}
	} else if opt.Resume {
		return nil, nil, &UsageError{errors.New("-resume: name the folder of the evaluation with -out")}
	}
	return r, f, r.loadUndefended(eval)
}

// source tells an evaluation from those of another network or another claim.
func (e EvalOptions) source(f *checkpoints.File) string {
	if e.Claim == nil {
		return "evaluation of " + f.Checksum
	}
	return fmt.Sprintf("evaluation of %s in %v", f.Checksum, e.Claim)
}

func (r *run) openEvalFolder() error {
	dir, err := r.folder()
	if err != nil {
		return err
	}
	r.dir = dir
	if r.opt.Resume {
		return r.resumeState()
	}
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return fmt.Errorf("cannot make the report's folder: %w", err)
	}
	return r.save()
}

// subject reads a checkpoint that must fit the config's data.
func (r *run) subject(path string) (*checkpoints.File, error) {
	f, err := ReadNetwork(path, r.spec().Input, r.opt)
	if err != nil {
		return nil, err
	}
	if spec := f.Meta.Model.Spec; foreign(spec) && spec.Classes != len(r.test.Classes) {
		return nil, &UsageError{fmt.Errorf("%q gives %d logits, the data set %q has %d classes", path, spec.Classes, r.cfg.Data.Source.Name, len(r.test.Classes))}
	}
	r.adopt(f)
	if in, spec := r.spec().Input, f.Meta.Model.Spec; spec.Input != in {
		return nil, &UsageError{fmt.Errorf("%q takes %v images, the data set %q has %v", path, spec.Input, r.cfg.Data.Source.Name, in)}
	}
	if !slices.Equal(f.Meta.Model.Classes, r.test.Classes) {
		return nil, &UsageError{fmt.Errorf("%q knows the classes %s, the data set %q has %s", path,
			strings.Join(f.Meta.Model.Classes, ", "), r.cfg.Data.Source.Name, strings.Join(r.test.Classes, ", "))}
	}
	return f, nil
}

// loadUndefended reads the network without a defence that the checks compare with.
func (r *run) loadUndefended(eval EvalOptions) error {
	path := eval.Undefended
	if path == "" {
		path = filepath.Join(filepath.Dir(eval.Checkpoint), "baseline.safetensors")
		if _, err := os.Stat(path); err != nil || filepath.Base(eval.Checkpoint) == "baseline.safetensors" {
			return nil
		}
	}
	f, err := r.subject(path)
	if err != nil {
		return err
	}
	r.baseline, r.state.nets[netBaseline] = f.Meta.Model.Spec, f.Weights()
	return nil
}

// configOf is the config that a checkpoint was made by, nil where it tells of none.
func configOf(f *checkpoints.File) *Config {
	c, err := parsed("checkpoint", f.Meta.Config)
	if f.Meta.Config == "" || err != nil {
		return nil
	}
	return c
}

// trainedWith is the attack that a checkpoint's own config trained against, nil where it tells of
// none, and whether the network learnt from another's outputs.
func trainedWith(f *checkpoints.File) (attacks.Attack, bool) {
	c := configOf(f)
	if c == nil {
		return nil, false
	}
	if f.Meta.ThreatModel.Norm == "" {
		return nil, c.Distill != nil // the baseline of a run
	}
	return c.Defense.Value.Attack(), c.Distill != nil
}

func trainedAgainst(t checkpoints.ThreatModel) string {
	if t.Norm == "" {
		return "trained against no attack"
	}
	return fmt.Sprintf("trained against %v, eps %.4g", attacks.Norm(t.Norm), t.Epsilon)
}

// evaluated is what a report says of a network that this run has not trained.
type evaluated struct {
	name, model, threat, selection string
	share                          float64
	sum                            string // of the checkpoint
}

func evaluatedAs(path string, f *checkpoints.File) *evaluated {
	e := &evaluated{name: filepath.Base(path), model: f.Meta.Model.Spec.Name(), threat: training(f),
		share: f.Meta.ThreatModel.AdversarialShare, sum: f.Checksum}
	if c := configOf(f); c != nil {
		e.selection = fmt.Sprintf("the checkpoint's run chose the best weights by %s on %d of %d images held out", c.Probe.Attack.Value.Label(), c.Probe.N, c.Data.HeldOut)
	}
	return e
}
