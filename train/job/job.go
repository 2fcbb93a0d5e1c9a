package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/data"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
	"rampart/train/report"
)

// Options say how a job runs; they change none of its results.
type Options struct {
	Out            string // folder of the run; "" picks one under checkpoints/
	Resume, Quiet  bool
	Brief          bool   // progress alone: no tables, nothing at the start and the end
	Threads        int    // 0 is all cores
	Device         string // auto, cpu, cuda, cuda:N, cuda:N,M... or cuda:all; "" is auto
	Stdout, Stderr io.Writer
}

// run is a job at work.
type run struct {
	cfg    *Config
	opt    Options
	dev    device.Device
	dir    string
	train  *data.Dataset
	held   *data.Dataset
	test   *data.Dataset
	source string // checksum of the training data
	// validation says that held comes from images of the source's own for that; notes are what the
	// source did to images.
	validation bool
	notes      []string
	// teacher is that of a checkpoint, nil for one that is trained.
	teacher *checkpoints.File
	sources []*checkpoints.File // those of [sources]
	initial *initial            // nil without init
	tuned   []string            // what is frozen, for a person
	state   *state
	log     *log

	// claim is the threat model that the tables are about, training the attack that the network
	// met in training (nil for none), and baseline the undefended network's shape.
	claim     attacks.Threat
	training  attacks.Attack
	distilled bool
	// chain stands before the network where it is deployed; denoised says that it begins with a denoiser.
	chain    transform.Chain
	denoised bool
	baseline nn.Spec
	// evaluated tells of a network that this run has not trained; nil for one that it has.
	evaluated *evaluated
}

// phase is a part of a run; its results are in the state when it ends.
type phase struct {
	name    string
	run     func(ctx context.Context) error
	fitting *fitting // of a phase that trains
}

// Train runs a config from its start, or from where it stopped, to its tables and checkpoints.
func Train(ctx context.Context, cfg *Config, opt Options) error {
	r, err := newRunContext(ctx, cfg, opt)
	if err != nil {
		return err
	}
	if err = r.checkNetwork(); err == nil {
		err = r.tune()
	}
	if err != nil {
		return &UsageError{err} // before there is a folder
	}
	if err := r.adoptInit(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	defer r.log.close()
	phases := r.phases()
	r.announce(phases)
	for r.state.Phase < len(phases) {
		p := phases[r.state.Phase]
		if err := p.run(ctx); err != nil {
			return r.stopped(p, err)
		}
		r.state.Phase++
		r.state.Step = 0
		if err := r.save(); err != nil {
			return err
		}
	}
	return r.finish()
}

// newRun loads what every job needs.
func newRun(cfg *Config, opt Options) (*run, error) {
	return newRunContext(context.Background(), cfg, opt)
}

// newRunContext is newRun, which can be interrupted while data are fetched or decoded.
func newRunContext(ctx context.Context, cfg *Config, opt Options) (*run, error) {
	r := &run{cfg: cfg, opt: opt}
	var err error
	if r.dev, err = OpenDevice(opt); err == nil {
		err = round(r.dev, cfg.Precision)
	}
	if err != nil {
		return nil, err
	}
	if err := r.readInit(); err != nil {
		return nil, err
	}
	full, test, err := r.loadData(ctx)
	if err != nil {
		return nil, err
	}
	if n := cfg.Data.Limit; n > 0 {
		if n > r.train.Len() {
			return nil, &UsageError{fmt.Errorf("data.limit = %d: there are %d training images", n, r.train.Len())}
		}
		r.train = r.train.Slice(0, n)
	}
	if r.test, err = data.Every(test, cfg.Eval.N); err != nil {
		return nil, &UsageError{fmt.Errorf("eval.n: %w", err)}
	}
	for _, stage := range []struct {
		name  string
		batch int
	}{{"warmup", cfg.Warmup.Batch}, {"train", cfg.Train.Batch}} {
		if stage.batch > r.train.Len() {
			return nil, &UsageError{fmt.Errorf("%s.batch = %d: there are %d training images", stage.name, stage.batch, r.train.Len())}
		}
	}
	r.claim, r.training, r.distilled, r.baseline = cfg.threat(), cfg.Defense.Value.Attack(), cfg.Distill != nil, r.spec()
	r.chain = cfg.Input.Transform
	for i := range cfg.members() {
		r.denoised = r.denoised || r.memberSpec(i).Denoised()
	}
	if err := r.chain.Fits(r.spec().Input); err != nil {
		return nil, &UsageError{fmt.Errorf("input.transform: %w", err)}
	}
	if err := r.checkAttacks(); err != nil {
		return nil, &UsageError{err}
	}
	if err := r.loadSources(cfg.placed()...); err != nil {
		return nil, err
	}
	if err := r.readTeacher(); err != nil {
		return nil, err
	}
	if err := r.readSources(); err != nil {
		return nil, err
	}
	if err := r.checkAugment(); err != nil {
		return nil, &UsageError{err}
	}
	r.held = r.held.Slice(0, cfg.Probe.N)
	r.source = full.Checksum()
	return r, full.Err()
}

// checkAttacks reports an attack that does not fit the images or the classes, before any training.
func (r *run) checkAttacks() error {
	spec := r.spec()
	check := func(a attacks.Attack) error {
		if err := attacks.Check(a, spec.Input); err != nil {
			return err
		}
		return attacks.CheckClasses(a, spec.Classes)
	}
	for _, a := range r.cfg.opponents() {
		if err := check(a); err != nil {
			return fmt.Errorf("defense.attack: %w", err)
		}
	}
	if t := r.cfg.Teacher; t != nil {
		for _, a := range defenses.Attacks(t.Defense.Value) {
			if err := check(a); err != nil {
				return fmt.Errorf("teacher.defense.attack: %w", err)
			}
		}
	}
	if err := check(r.cfg.Probe.Attack.Value); err != nil {
		return fmt.Errorf("probe.attack: %w", err)
	}
	for i, a := range r.attacks(report.After) {
		where := fmt.Sprintf("eval.attack %d", i+1)
		if i >= len(r.cfg.Eval.Attacks) {
			where = fmt.Sprintf("eval.protocol = %q", r.cfg.Eval.Protocol)
		}
		if err := check(a); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	for _, eps := range r.cfg.Eval.CurveEps {
		if err := check(r.curveAttack().At(float64(eps))); err != nil {
			return fmt.Errorf("eval.curve_eps: %w", err)
		}
	}
	return nil
}

// Names of networks in the state.
const (
	netBaseline = "baseline"
	netTeacher  = "teacher"
)

func netMember(i int) string { return fmt.Sprintf("member %d", i+1) }

// phases lists the parts of a run in order.
func (r *run) phases() (list []phase) {
	c := r.cfg
	add := func(name string, f func(ctx context.Context) error) { list = append(list, phase{name: name, run: f}) }
	fit := func(f fitting) {
		list = append(list, phase{f.title, func(ctx context.Context) error { return r.fit(ctx, f) }, &f})
	}
	if c.Init != "" {
		add("load "+c.Init, func(context.Context) error { return r.loadInit() })
	} else {
		fit(r.natural("warm-up", netBaseline, 0))
	}
	add("measure before", func(ctx context.Context) error {
		return r.measure(ctx, report.Before, r.spec(), r.state.nets[netBaseline])
	})
	if c.Distill != nil {
		if c.Distill.Teacher != "" {
			add("load "+c.Distill.Teacher, func(context.Context) error { return r.loadTeacher() })
		} else {
			f := r.hardening("teacher", netTeacher, c.members(), r.start(netBaseline))
			f.temperature = float32(c.Distill.Temperature)
			fit(f)
		}
	}
	if t := c.Teacher; t != nil {
		if t.Checkpoint != "" {
			add("load "+t.Checkpoint, func(context.Context) error { return r.keepTeacher() })
		} else {
			fit(r.teaching())
		}
	}
	r.prepareSources(add, fit)
	if c.joint() {
		r.fitJointly(add, fit)
	} else {
		for i := range c.members() {
			r.fitMember(i, fit)
		}
	}
	add("measure after", func(ctx context.Context) error {
		spec, weights := r.deployed("")
		return r.measure(ctx, report.After, spec, weights)
	})
	return list
}

// start is the network that hardening begins from, "" for fresh weights.
func (r *run) start(baseline string) string {
	if r.cfg.Train.Start == "scratch" {
		return ""
	}
	return baseline
}

// spec is the network that the config describes.
func (r *run) spec() nn.Spec {
	return nn.Spec{Arch: r.cfg.Model.Name, Options: r.cfg.Model.Value,
		Input: nn.Shape{H: r.train.H, W: r.train.W, C: r.train.C}, Classes: len(r.train.Classes),
		Mean: r.cfg.Input.Mean, Std: r.cfg.Input.Std, Denoiser: r.cfg.Input.Denoiser}
}

// stream draws the random numbers of one purpose of this run.
func (r *run) stream(purpose string) rng.Stream { return rng.New(r.cfg.Seed, purpose) }

// number turns a stream into a seed for what takes one.
func number(s rng.Stream) uint64 { return uint64(s.Key[0]) | uint64(s.Key[1])<<32 }

// network builds a model with given weights, to be evaluated.
func (r *run) network(spec nn.Spec, weights []nn.Weight, rows int) (*nn.Model, error) {
	spec, weights = nn.Deployed(spec, weights)
	m, err := nn.Build(spec, r.dev, rows, r.stream("unused: weights follow"))
	if err != nil {
		return nil, err
	}
	return m, m.SetWeights(weights)
}

func (r *run) loadTeacher() error {
	w, err := r.weightsOf(r.spec(), r.cfg.Distill.Teacher)
	r.state.nets[netTeacher] = w
	return err
}

// weightsOf reads a checkpoint that must hold the config's network, of which auxiliary branches may be missing.
func (r *run) weightsOf(spec nn.Spec, path string) ([]nn.Weight, error) {
	f, err := checkpoints.Read(path)
	if err != nil {
		return nil, err
	}
	if err := f.Finite(); err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	m, err := nn.Build(spec, r.dev, 1, r.stream("unused"))
	if err != nil {
		return nil, err
	}
	weights := m.WithAuxiliary(f.Weights())
	if err := m.SetWeights(weights); err != nil {
		return nil, fmt.Errorf("%q does not hold the config's network: %w", path, err)
	}
	return weights, nil
}

// stopped reports how to go on after an interruption, and leaves other errors as they are.
func (r *run) stopped(p phase, err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if saveErr := r.save(); saveErr != nil {
		return saveErr
	}
	// The run's own config.toml holds what -set and -seed have changed.
	fmt.Fprintf(r.opt.Stderr, "interrupted during %q, and saved; go on with:\n  train -config %s -out %s -resume\n", p.name, filepath.Join(r.dir, "config.toml"), r.dir)
	return fmt.Errorf("interrupted: %w", err)
}
