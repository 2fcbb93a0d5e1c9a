package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	"rampart/attacks"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/cuda"
	"rampart/nn/device"
	"rampart/nn/kernel"
)

// Benchmark is what Bench measures.
type Benchmark struct {
	CPU     string `json:"cpu"`
	Device  string `json:"device"`
	GPUs    string `json:"gpus,omitempty"` // what this machine has, with memory and driver; "" on the processor
	Kernels string `json:"kernels"`
	Threads int    `json:"threads"`
	Batch   int    `json:"batch"`
	// PeakGFLOPS is the measured fused multiply-add rate of all threads, BandwidthGBs what they copy
	// from and to memory together, both directions counted.
	// Both are 0 on a GPU.
	PeakGFLOPS   float64      `json:"peak_gflops"`
	BandwidthGBs float64      `json:"bandwidth_gb_s"`
	Stages       []BenchStage `json:"stages"`
	Ops          []BenchOp    `json:"ops,omitempty"`
}

// BenchStage is one part of training. Its work counts zeros and padding like other values.
type BenchStage struct {
	Name       string  `json:"name"`
	Seconds    float64 `json:"seconds"` // median
	ImagesPerS float64 `json:"images_per_s"`
	GFLOPS     float64 `json:"gflops"`
	Share      float64 `json:"share_of_peak"`
}

// BenchOp is one instruction of a program.
type BenchOp struct {
	Stage   string  `json:"stage"`
	Op      string  `json:"op"`
	Seconds float64 `json:"seconds"` // of all threads together, for one batch
	GFLOPS  float64 `json:"gflops"`  // of one thread
}

// BenchOptions say what Bench measures.
type BenchOptions struct {
	Repeats   int // of each stage; the median counts
	JSON, Ops bool
	// Checkpoint, where not empty, gives the weights: zeros in activations make no difference to
	// dense kernels, but a fair comparison uses the network that is trained.
	Checkpoint string
}

// Bench times the programs of a config's network and a whole training step on real images.
func Bench(cfg *Config, opt Options, b BenchOptions) error {
	r, err := newRun(cfg, opt)
	if err != nil {
		return err
	}
	r.state = newState()
	batch := cfg.Train.Batch
	m, err := nn.BuildTuned(cfg.Train.hardened(r.spec()), r.dev, defenses.Rows(cfg.Defense.Value, batch), r.stream("init 0"), cfg.Train.tuning())
	if err != nil {
		return &UsageError{err}
	}
	if b.Checkpoint != "" {
		w, err := r.weightsOf(m.Spec, b.Checkpoint)
		if err != nil {
			return err
		}
		if err := m.SetWeights(w); err != nil {
			return err
		}
	}
	threads := r.opt.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	out := &Benchmark{CPU: cpuName(), Device: r.dev.Name(), Kernels: kernel.Current(), Threads: threads, Batch: batch}
	if _, ok := r.dev.(*cpu.Device); ok {
		out.PeakGFLOPS, out.BandwidthGBs = peak(threads)/1e9, bandwidth(threads)/1e9
	} else {
		out.GPUs = cuda.Found()
	}
	if err := r.benchStages(m, out, b); err != nil {
		return err
	}
	if b.JSON {
		e := json.NewEncoder(opt.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(out)
	}
	return out.print(r)
}

// benchStages times each program and the whole step.
func (r *run) benchStages(m *nn.Model, out *Benchmark, b BenchOptions) error {
	rows := out.Batch
	loader, err := data.NewLoader(r.train, rows, 1)
	if err != nil {
		return err
	}
	batch := loader.NewBatch()
	loader.Batch(0, batch)
	size := r.train.Size()
	x, adv, grad := m.New(rows*size), m.New(rows*size), m.New(rows*size)
	x.Upload(batch.X, 0)
	call := &device.Call{Rows: rows, X: x, Labels: batch.Labels, Loss: nn.CrossEntropy{}, Scale: 1 / float32(rows), Logits: m.New(rows * m.Classes())}
	gradCall := *call
	gradCall.InputGrad = grad
	one := make([]float32, 1)
	attack := benchAttack(r.cfg)
	loop := func() error {
		_, err := attack.Perturb(m, &attacks.Batch{X: x, Labels: batch.Labels, Index: batch.Index}, adv, attacks.Draw{Stream: r.stream("bench")})
		return err
	}
	train, steps, err := r.benchTraining(m, loader)
	if err != nil {
		return err
	}
	p := m.Programs()
	forward, input, param := nn.FLOPs(p[0]), nn.FLOPs(p[1]), nn.FLOPs(p[2])
	attackWork, updateWork := defenses.Work(r.cfg.Defense.Value)
	stepWork := updateWork*param + attackWork*input
	for _, s := range []struct {
		name    string
		work    float64 // of an image
		images  float64
		program int // -1 is none
		run     func() error
	}{
		{"forward", forward, 1, 0, func() error { return m.Logits(call) }},
		{"input gradient", input, 1, 1, func() error { return m.InputGrad(&gradCall) }},
		{"parameter gradient", param, 1, 2, func() error { return m.ParamGrad(call) }},
		{"attack step", input, float64(attack.Gradients()), -1, loop},
		{"training step", stepWork, float64(steps), -1, train},
	} {
		run := func() error {
			err := s.run()
			x.Download(one, 0) // waits for a device that works on its own
			return err
		}
		seconds, err := median(b.Repeats, run)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		images := float64(rows) * s.images / seconds
		gflops := s.work * images / 1e9
		stage := BenchStage{Name: s.name, Seconds: seconds / s.images, ImagesPerS: images, GFLOPS: gflops}
		if out.PeakGFLOPS > 0 {
			stage.Share = gflops / out.PeakGFLOPS
		}
		out.Stages = append(out.Stages, stage)
		if b.Ops && s.program >= 0 {
			if err := out.profile(m, s.name, s.program, b.Repeats, s.run); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostBenchSteps bounds the steps of training that are timed together.
const mostBenchSteps = 10

// benchTraining returns what makes some steps of training, and how many: one, or where the device works on its own as
// many as follow each other without a wait, the next batch on its way beside them.
func (r *run) benchTraining(m *nn.Model, loader *data.Loader) (train func() error, steps int, err error) {
	session := defenses.NewSession(m, r.cfg.Train.Batch)
	if err := normalise(session, r.cfg.Train.AttackBN); err != nil {
		return nil, 0, err
	}
	session.Noise, session.Later = r.stream("bench"), true
	if r.cfg.Teacher != nil {
		if session.Teacher, err = nn.Build(r.teacherSpec(), r.dev, r.cfg.Train.Batch, r.stream("bench")); err != nil {
			return nil, 0, err
		}
	}
	batch, next := loader.NewBatch(), loader.NewBatch()
	loader.Batch(0, batch)
	loader.Batch(0, next)
	if steps = 1; session.Distant() {
		steps = min(r.cfg.Train.LogEvery, mostBenchSteps)
	}
	return func() error {
		var open []defenses.Metrics
		for range steps {
			if session.Distant() {
				session.Ahead(next)
			}
			metrics, err := r.cfg.Defense.Value.Step(session, batch)
			if err == nil {
				// A rate of 0 leaves the weights as they are: every repetition does the same work.
				err = m.Update(r.cfg.Train.Optimizer.Value.Rule(), 0)
			}
			if err != nil {
				return err
			}
			open, batch, next = append(open, metrics), next, batch
		}
		return errors.Join(session.Settle(open), m.Settle())
	}, steps, nil
}

// benchAttack is the training attack as it runs in training, else a PGD step's.
func benchAttack(cfg *Config) attacks.Attack {
	if a := cfg.Defense.Value.Attack(); a != nil && a.Gradients() > 0 {
		return a
	}
	return choose[attacks.Attack]("pgd").Value
}

func (out *Benchmark) profile(m *nn.Model, stage string, program, repeats int, run func() error) error {
	times, err := m.Profile(program, func() error {
		for range repeats {
			if err := run(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, in := range m.Programs()[program].Instrs {
		seconds := times[i].Seconds() / float64(repeats)
		op := BenchOp{Stage: stage, Op: strings.TrimPrefix(fmt.Sprintf("%T", in.Op), "device."), Seconds: seconds}
		if work := nn.OpFLOPs(in.Op); work > 0 && seconds > 0 {
			op.GFLOPS = work * float64(out.Batch) / seconds / 1e9
		}
		out.Ops = append(out.Ops, op)
	}
	return nil
}

// median times a function after one run that warms up.
func median(repeats int, run func() error) (float64, error) {
	if err := run(); err != nil {
		return 0, err
	}
	var list []float64
	for range repeats {
		begun := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		list = append(list, time.Since(begun).Seconds())
	}
	slices.Sort(list)
	return list[len(list)/2], nil
}

// peak is the multiply-add rate of all threads at once, in FLOP/s.
func peak(threads int) float64 {
	rates := make([]float64, threads)
	var wg sync.WaitGroup
	for i := range rates {
		wg.Go(func() { rates[i] = kernel.PeakFLOPS() })
	}
	wg.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum
}

// bandwidth copies memory that no cache holds, in bytes/s read and written.
func bandwidth(threads int) float64 {
	const n = 32 << 20 // float32 values for each thread
	best := 0.0
	bufs := make([][2][]float32, threads)
	for i := range bufs {
		bufs[i] = [2][]float32{make([]float32, n/threads), make([]float32, n/threads)}
	}
	for range 4 {
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range bufs {
			wg.Go(func() { copy(bufs[i][0], bufs[i][1]) })
		}
		wg.Wait()
		best = max(best, 8*float64(n)/time.Since(begun).Seconds())
	}
	return best
}

// cpuName is what the system calls its processor.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// ofPeak is a percentage, nothing where it is not known.
func ofPeak(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func (out *Benchmark) print(r *run) error {
	w := r.opt.Stdout
	if out.PeakGFLOPS > 0 {
		fmt.Fprintf(w, "%s, %s kernels, %d threads: peak %.1f GFLOP/s, memory %.1f GB/s; %s, batch %d\n",
			out.CPU, out.Kernels, out.Threads, out.PeakGFLOPS, out.BandwidthGBs, r.spec().Name(), out.Batch)
	} else {
		fmt.Fprintf(w, "found: %s\n%s; %s, batch %d\n", out.GPUs, out.Device, r.spec().Name(), out.Batch)
	}
	right := tablewriter.WithRowAlignmentConfig(tw.CellAlignment{Global: tw.AlignRight, PerColumn: []tw.Align{tw.AlignLeft}})
	t := tablewriter.NewTable(w, right, tablewriter.WithHeaderAutoFormat(tw.Off))
	t.Header("stage", "ms", "images/s", "GFLOP/s", "of peak")
	for _, s := range out.Stages {
		if err := t.Append(s.Name, fmt.Sprintf("%.2f", 1000*s.Seconds), fmt.Sprintf("%.0f", s.ImagesPerS), fmt.Sprintf("%.1f", s.GFLOPS), ofPeak(s.Share)); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil || len(out.Ops) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nby op, threads added up")
	t = tablewriter.NewTable(w, right, tablewriter.WithHeaderAutoFormat(tw.Off))
	t.Header("stage", "op", "ms", "GFLOP/s of a thread")
	for _, o := range out.Ops {
		if err := t.Append(o.Stage, o.Op, fmt.Sprintf("%.3f", 1000*o.Seconds), fmt.Sprintf("%.1f", o.GFLOPS)); err != nil {
			return err
		}
	}
	return t.Render()
}
