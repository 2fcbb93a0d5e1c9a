package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rampart/attacks"
	"rampart/data"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/train/report"
)

// fitting is one network's training.
type fitting struct {
	title string
	net   string // under which the state keeps the result
	// member numbers the network among those with other random numbers.
	member  int
	spec    nn.Spec
	deploy  nn.Spec // of the same weights, where training needs another head than that which is deployed
	stage   Stage
	epsilon nn.Schedule
	steps   nn.Schedule // of the attack
	average nn.Averaging
	tuning  nn.Tuning
	// attackBN is Training.AttackBN.
	attackBN string
	defense  defenses.Defense
	start    string // network to begin with, "" for fresh weights
	teacher  string
	// temperature divides the logits in the loss, in a distillation.
	temperature float32
	hardening   bool
}

func (r *run) natural(title, net string, member int) fitting {
	return fitting{title: title, net: net, member: member, spec: r.spec(), stage: r.cfg.Warmup,
		epsilon: &nn.Constant{}, steps: &nn.Constant{}, tuning: nn.Tuning{Segments: r.cfg.Train.CheckpointSegments},
		attackBN: r.cfg.Train.AttackBN, defense: &defenses.Natural{}}
}

func (r *run) hardening(title, net string, member int, start string) fitting {
	return fitting{title: title, net: net, member: member, spec: r.cfg.Train.hardened(r.spec()), stage: r.cfg.Train.Stage, epsilon: r.cfg.Train.EpsilonSchedule.Value,
		steps: r.cfg.Train.StepsSchedule.Value, average: r.cfg.Train.Average.Value, tuning: r.cfg.Train.tuning(), attackBN: r.cfg.Train.AttackBN,
		defense: r.cfg.Defense.Value, start: start, hardening: true}
}

// trainer is a fitting at work.
type trainer struct {
	fitting
	r        *run
	model    *nn.Model
	session  *defenses.Session
	loader   *data.Loader
	batch    *data.Batch
	next     *data.Batch // that of nextAt, where it travels to the device ahead
	nextAt   int         // counted in batches; 0 for none, since the first never travels ahead
	progress *report.Progress
	total    int // steps
	replays  int // of each batch
	averaged *nn.Average
	shadow   *nn.Model // holds the averaged weights while they are measured
	fit      *fitState
	open     []defenses.Metrics // of the last steps, which are not settled
	shown    []report.Field     // of the last settled step
	clocked  time.Time          // up to here the state's seconds count
}

// fit trains a network from the state's step on, and leaves it in the state.
func (r *run) fit(ctx context.Context, f fitting) error {
	t, err := r.newTrainer(f)
	if err != nil {
		return err
	}
	rule, epoch := f.stage.Optimizer.Value.Rule(), t.loader.StepsPerEpoch()
	for step := r.state.Step; step < t.total && !t.fit.Stopped; step++ {
		if ctx.Err() != nil {
			if err := t.settle(step); err != nil {
				return t.failed(step, err)
			}
			t.keep(step)
			return ctx.Err()
		}
		at := float64(step) / float64(t.total)
		t.load(step)
		t.prepare(t.session, step)
		metrics, err := f.defense.Step(t.session, t.batch)
		if err = errors.Join(t.loader.Err(), err); err == nil {
			lr := f.stage.Optimizer.Value.Rate() * f.stage.Schedule.Value.At(at)
			if err = t.model.Update(rule, lr); err == nil {
				t.accumulate(step + 1)
				err = t.observe(step, metrics, lr)
			}
		}
		if err != nil {
			return t.failed(step+1, err)
		}
		if end := step + 1; end%epoch == 0 || end == t.total {
			if err := t.probe(end); err != nil {
				return err
			}
		} else if every := r.cfg.Train.SaveEvery; every > 0 && end%every == 0 {
			t.keep(end)
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return t.finish()
}

func (r *run) newTrainer(f fitting) (*trainer, error) {
	t := &trainer{fitting: f, r: r, fit: &r.state.Fit, clocked: time.Now(), replays: defenses.Replays(f.defense), averaged: &nn.Average{}}
	var err error
	if t.model, err = nn.BuildTuned(f.spec, r.dev, defenses.Rows(f.defense, f.stage.Batch), r.stream(fmt.Sprintf("init %d", f.member)), f.tuning); err != nil {
		return nil, &UsageError{err}
	}
	if t.loader, err = data.NewLoader(r.train, f.stage.Batch, number(r.stream("shuffle "+f.net))); err != nil {
		return nil, err
	}
	if err := t.loader.Augment(r.cfg.Data.augmentations(), number(r.stream("augment "+f.net))); err != nil {
		return nil, err
	}
	t.batch = t.loader.NewBatch()
	t.total = f.stage.steps(r.train.Len())
	if t.total == 0 {
		return nil, &UsageError{fmt.Errorf("%s: no steps: a batch of %d and %d training images", f.title, f.stage.Batch, r.train.Len())}
	}
	if t.session, err = t.newSession(t.model); err != nil {
		return nil, err
	}
	t.session.Later = true
	if r.state.Step > 0 {
		err = t.restore()
	} else {
		r.state.Fit = fitState{BestRobust: -1}
		if f.start != "" {
			err = t.model.SetWeights(t.model.WithAuxiliary(r.state.nets[f.start]))
		}
	}
	t.progress = report.NewProgress(r.opt.Stdout, r.opt.Quiet, f.title, t.total)
	t.progress.ImagesPerStep = f.stage.Batch
	return t, err
}

// load readies the batch of a step. Where the device is distant, the next one travels beside this step.
func (t *trainer) load(step int) {
	at := step / t.replays
	if at == t.nextAt && at > 0 {
		t.batch, t.next, t.nextAt = t.next, t.batch, 0
	} else {
		t.loader.Batch(at, t.batch)
	}
	if !t.session.Distant() || at+1 == t.nextAt || (at+1)*t.replays >= t.total {
		return
	}
	if t.next == nil {
		t.next = t.loader.NewBatch()
	}
	t.nextAt = at + 1
	t.loader.Batch(t.nextAt, t.next)
	t.session.Ahead(t.next)
}

// newSession is one for a model of this training.
func (t *trainer) newSession(m *nn.Model) (*defenses.Session, error) {
	s := defenses.NewSession(m, t.stage.Batch)
	s.Noise, s.Dropout = t.r.stream("training attack "+t.net), number(t.r.stream("dropout "+t.net))
	s.Temperature = t.temperature
	if chain := t.behind(); len(chain) > 0 {
		s.Before = transform.New(m, chain, t.r.cfg.Seed)
	}
	var err error
	if err = normalise(s, t.attackBN); err != nil {
		return nil, err
	}
	if defenses.NeedsSources(t.defense) {
		if s.Sources, err = t.r.sourceNetworks(t.stage.Batch); err != nil {
			return nil, err
		}
	}
	if t.teacher == "" {
		return s, nil
	}
	spec := t.r.spec()
	if d := t.r.cfg.Distill; d != nil && d.Teacher == "" {
		spec = t.r.cfg.Train.hardened(spec)
	}
	if t.r.cfg.Teacher != nil {
		spec = t.r.teacherSpec()
	}
	if s.Teacher, err = t.r.network(spec, t.r.state.nets[t.teacher], t.stage.Batch); err != nil {
		return nil, fmt.Errorf("teacher: %w", err)
	}
	return s, nil
}

// normalise lets a session's attacks meet batch normalisations as attack_bn says.
func normalise(s *defenses.Session, attackBN string) (err error) {
	if err := meetsBN(s.Model, attackBN); err != nil {
		return err
	}
	switch {
	case attackBN == "eval":
	case s.Before != nil:
		return &UsageError{fmt.Errorf("train.attack_bn = %q does not go with input.transform: leave one out", attackBN)}
	case attackBN == separate:
		if s.Model.Spec.Auxiliary != "" { // a warm-up has none
			s.Auxiliary = s.Model.Auxiliary()
		}
	default:
		s.OnBatch, err = s.Model.OnBatch()
	}
	return err
}

// prepare sets a session to a step.
func (t *trainer) prepare(s *defenses.Session, step int) {
	s.Step, s.Progress = step, float64(step)/float64(t.total)
	s.EpsilonScale, s.StepsScale = t.epsilon.At(s.Progress), t.steps.At(s.Progress)
}

// probe measures the network on the held-out split, keeps the best weights, and saves.
// An interruption waits for it.
func (t *trainer) probe(step int) error {
	m, err := t.deployable(step)
	if err != nil {
		return err
	}
	v := transform.Behind(m, t.behind(), t.r.cfg.Seed)
	clean, err := attacks.Clean(v, t.r.held)
	if err != nil {
		return err
	}
	robust, err := attacks.Run(v, t.r.cfg.Probe.Attack.Value, t.r.held, t.r.stream("probe"), func() error { return nil }, nil)
	if err != nil {
		return err
	}
	if err := t.r.held.Err(); err != nil {
		return err
	}
	n := float64(t.r.held.Len())
	p := report.NewPoint(t.r.state.StepsBefore+step, t.title)
	p.Clean, p.Robust = float64(clean.Correct(t.r.held))/n, float64(robust.Correct(t.r.held))/n
	t.watchOverfitting(step, p.Robust)
	f := t.fit
	if p.Best = p.Robust > f.BestRobust || p.Robust == f.BestRobust && p.Clean >= f.BestClean; p.Best {
		f.BestRobust, f.BestClean, f.BestStep = p.Robust, p.Clean, step
		f.TrainRobustAtBest = num(share(f.Epoch.AdversarialCorrect, f.Epoch.AdversarialRows))
		t.r.state.nets[t.net] = m.Weights()
	}
	f.LastRobust, f.LastClean = p.Robust, p.Clean
	f.Epoch = defenses.Metrics{}
	t.r.state.addPoint(p)
	t.r.log.write(t.r.state.Phase, step, entry{Stage: t.title, HeldOutClean: num(p.Clean), HeldOutRobust: num(p.Robust), Best: p.Best})
	t.progress.Note(fmt.Sprintf("%s, step %d: held-out clean %.1f %%, %s %.1f %% (n = %d)%s", t.title, step, 100*p.Clean,
		t.r.cfg.Probe.Attack.Value.Label(), 100*p.Robust, t.r.held.Len(), map[bool]string{true: ", best so far"}[p.Best && t.hardening]))
	if guard := defenses.Guard(t.defense); guard > 0 && p.Robust < f.BestRobust-guard {
		if err := t.stop(step, p.Robust); err != nil {
			return err
		}
	}
	t.keep(step)
	return t.r.save()
}

// keep puts the network in training into the state, as it is before a step.
func (t *trainer) keep(step int) {
	s := t.r.state
	s.Step = step
	s.Seconds += time.Since(t.clocked).Seconds()
	t.clocked = time.Now()
	s.capture(t.model)
	s.average, s.Fit.Averaged, s.defense = nil, t.averaged.Taken, map[string][]float32{}
	if t.averaged.Taken > 0 {
		s.average = t.averaged.Weights(t.model)
	}
	for name, values := range t.session.State {
		s.defense[name] = slices.Clone(values)
	}
}

// restore is the opposite of keep.
func (t *trainer) restore() error {
	s := t.r.state
	if err := s.restore(t.model); err != nil {
		return err
	}
	for name, values := range s.defense {
		t.session.State[name] = slices.Clone(values)
	}
	if s.Fit.Averaged == 0 {
		return nil
	}
	return t.averaged.Restore(t.model, s.average, s.Fit.Averaged)
}

// finish hands the trained network over to the phases that follow.
func (t *trainer) finish() error {
	s := t.r.state
	m, err := t.deployable(t.total)
	if err != nil {
		return err
	}
	last := m.Weights()
	if !t.hardening {
		s.nets[t.net] = last // there is nothing to select: it is the undefended network
	}
	s.nets[t.net+" last"] = last
	s.StepsBefore += s.Step
	s.Selected[t.net] = t.r.figures(t.fit)
	s.release()
	note := ""
	if t.hardening {
		note = fmt.Sprintf("best at step %d: held-out clean %.1f %%, robust %.1f %%", t.fit.BestStep, 100*t.fit.BestClean, 100*t.fit.BestRobust)
	}
	t.progress.Done(note)
	return t.r.writeNetworks(t.net)
}
