package job

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
)

// announce says what is about to run.
func (r *run) announce(phases []phase) {
	for _, s := range r.warnings() {
		fmt.Fprintln(r.opt.Stderr, "warning:", s)
	}
	if r.initial != nil && r.state.Phase == 0 {
		for _, line := range r.initial.text() {
			fmt.Fprintln(r.opt.Stderr, "init:", line)
		}
	}
	if r.opt.Quiet || r.opt.Brief {
		return
	}
	w := r.opt.Stdout
	spec := r.spec()
	held := "held out"
	if r.validation {
		held = "for validation"
	}
	fmt.Fprintf(w, "%s on %s: %s, %d training images (%d %s), %d test images, %v\n", r.cfg.Name, r.dev.Name(), spec.Name(),
		r.train.Len(), r.cfg.Data.HeldOut, held, r.test.Len(), spec.Input)
	fmt.Fprintf(w, "defence %s: %.3g %% of each minibatch adversarial, %v; folder %s\n", r.cfg.Defense.Name, 100*r.cfg.share(), r.cfg.threatText(), r.dir)
	for _, line := range r.tuned {
		fmt.Fprintln(w, line)
	}
	if r.state.Phase > 0 || r.state.Step > 0 {
		if r.state.Phase == len(phases) {
			fmt.Fprintln(w, "this run is finished; its report follows again")
			return
		}
		fmt.Fprintf(w, "resuming at %q, step %d\n", phases[r.state.Phase].name, r.state.Step)
	}
}

// estimate is a line of the plan.
type estimate struct {
	stage string
	steps int
	flops float64
	time  time.Duration
}

// speed is what one example costs on this machine, measured on a small batch.
type speed struct {
	attackFLOP, updateFLOP, forwardFLOP float64
	attack, update, forward             time.Duration
	rows                                int // of an update
	attackBytes, updateBytes            int // that an attack step and an update compute in; 0 where not known
}

// Plan prints the stages of a run with FLOPs and with time and memory estimated from a short
// measurement on this machine, and changes nothing.
func Plan(cfg *Config, opt Options) error {
	r, err := newRun(cfg, opt)
	if err != nil {
		return err
	}
	err = r.checkNetwork()
	if err == nil {
		err = r.tune()
	}
	if err != nil {
		return &UsageError{err} // a run would say the same
	}
	for _, s := range r.warnings() {
		fmt.Fprintln(opt.Stderr, "warning:", s)
	}
	s, err := r.measureSpeed()
	if err != nil {
		return err
	}
	var list []estimate
	fit := func(name string, stage Stage, d defenses.Defense) {
		steps := stage.steps(r.train.Len())
		rows := float64(steps * stage.Batch)
		attack, update := defenses.Work(d)
		list = append(list, estimate{name, steps, rows * (update*s.updateFLOP + attack*s.attackFLOP),
			time.Duration(rows * (update*float64(s.update) + attack*float64(s.attack)))})
	}
	evaluate := func(name string, members int) {
		n := 0.0
		for _, a := range cfg.Eval.Attacks {
			n += float64(a.Value.Gradients()*a.Value.Restarts()) * float64(r.test.Len())
		}
		n += float64(len(cfg.Eval.CurveEps)*cfg.Eval.CurveN*r.curveAttack().Gradients()) + 1
		n *= float64(members)
		list = append(list, estimate{name, 0, n * s.attackFLOP, time.Duration(n * float64(s.attack))})
	}
	if cfg.Init == "" {
		fit("warm-up", cfg.Warmup, &defenses.Natural{})
	}
	evaluate("measure before (at most)", 1)
	if cfg.Distill != nil && cfg.Distill.Teacher == "" {
		fit("teacher", cfg.Train.Stage, cfg.Defense.Value)
	}
	if cfg.Teacher != nil && cfg.Teacher.Checkpoint == "" {
		fit("teacher (at the student's size)", cfg.Train.Stage, cfg.Teacher.Defense.Value)
	}
	for _, p := range r.phases() { // at the size of the first
		if f := p.fitting; f != nil && f.net != netBaseline && f.net != netTeacher {
			fit(f.title, f.stage, f.defense)
		}
	}
	evaluate("measure after (at most)", cfg.members())
	return r.printPlan(list, s)
}

// measureSpeed times the network's own programs, as they are made for the training's batches.
func (r *run) measureSpeed() (speed, error) {
	full := defenses.Rows(r.cfg.Defense.Value, r.cfg.Train.Batch)
	rows := min(128, full, r.train.Len())
	m, err := nn.BuildTuned(r.cfg.Train.hardened(r.spec()), r.dev, full, r.stream("init 0"), r.cfg.Train.tuning())
	if err != nil {
		return speed{}, &UsageError{err}
	}
	b := r.train.NewBatch(rows)
	r.train.Fill(b, 0)
	x, adv := m.New(len(b.X)), m.New(len(b.X))
	x.Upload(b.X, 0)
	call := &device.Call{Rows: rows, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1 / float32(rows), Logits: m.New(rows * m.Classes())}
	loop := &device.Loop{Steps: 4, Epsilon: 0.1, StepSize: 0.05, Example: b.Index, Adv: adv}
	perRow := func(times int, f func() error) time.Duration {
		best := time.Duration(math.MaxInt64)
		for range 3 {
			begun := time.Now()
			err = errors.Join(err, f())
			best = min(best, time.Since(begun))
		}
		return best / time.Duration(rows*times)
	}
	s := speed{rows: full}
	s.attackBytes, s.updateBytes = m.Memory()
	s.attack = perRow(loop.Steps, func() error { _, err := m.Iterate(call, loop); return err })
	s.forward = perRow(1, func() error { return m.Logits(call) })
	s.update = perRow(1, func() error {
		if err := m.ParamGrad(call); err != nil {
			return err
		}
		return errors.Join(m.Update(r.cfg.Train.Optimizer.Value.Rule(), r.cfg.Train.Optimizer.Value.Rate()), m.Settle())
	})
	p := m.Programs()
	s.forwardFLOP, s.attackFLOP, s.updateFLOP = nn.FLOPs(p[0]), nn.FLOPs(p[1]), nn.FLOPs(p[2])
	return s, err
}

func (r *run) printPlan(list []estimate, s speed) error {
	w := r.opt.Stdout
	spec, _ := r.deployed("")
	fmt.Fprintf(w, "%s on %s: %s, threat model %v, %.3g %% of each minibatch adversarial\n", r.cfg.Name, r.dev.Name(), spec.Name(), r.cfg.threatText(), 100*r.cfg.share())
	t := tablewriter.NewTable(w, tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: []tw.Align{tw.AlignLeft, tw.AlignRight, tw.AlignRight, tw.AlignRight}}),
		tablewriter.WithHeaderAutoFormat(tw.Off))
	t.Header("stage", "steps", "TFLOP", "time")
	var total estimate
	for _, e := range list {
		steps := ""
		if e.steps > 0 {
			steps = fmt.Sprint(e.steps)
		}
		if err := t.Append(e.stage, steps, fmt.Sprintf("%.1f", e.flops/1e12), e.time.Round(time.Second).String()); err != nil {
			return err
		}
		total.flops += e.flops
		total.time += e.time
	}
	t.Footer("total", "", fmt.Sprintf("%.1f", total.flops/1e12), total.time.Round(time.Second).String())
	if err := t.Render(); err != nil {
		return err
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fmt.Fprintf(w, "memory: about %d MB (measured after a training step and an attack step). Times are from a short measurement here and now;\ntables stop early on examples that are broken, so they usually take less.\n", mem.Sys>>20)
	if s.updateBytes > 0 {
		fmt.Fprintf(w, "activations: %.1f MB in an attack step and %.1f MB in an update of %d rows, in the same memory\n", float64(s.attackBytes)/1e6, float64(s.updateBytes)/1e6, s.rows)
	}
	return nil
}
