package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cuda"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
)

// late is a device whose updates are judged only when it is asked, as a GPU's are.
type late struct {
	device.Device
	bad     int            // the step whose gradient is not finite
	after   func(step int) // called by each update
	pending error
}

func (d *late) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	if step == d.bad {
		params.List[0].Grad.Upload([]float32{float32(math.Inf(1))}, 0)
	}
	if d.pending == nil {
		d.pending = d.Device.Update(rule, params, lr, step)
	}
	d.after(step)
	return nil
}

func (d *late) Settle(*device.Parameters) error {
	err := d.pending
	d.pending = nil
	return err
}

// TestLate: a step that is found not finite later on is reported at the next line of the log, by its own number.
// An interruption before that keeps nothing.
func TestLate(t *testing.T) {
	for _, test := range []struct {
		name             string
		every, stop, ran int
	}{{"at a line of the log", 5, 0, 5}, {"at an interruption", 1000, 4, 4}} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			dir := t.TempDir()
			l, err := openLog(filepath.Join(dir, "log.jsonl"), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			r, err := newRun(load(t, fmt.Sprint("train.log_every=", test.every)), quiet(dir))
			if err != nil {
				t.Fatal(err)
			}
			ran := 0
			r.state, r.log, r.dir = newState(), l, dir
			r.dev = &late{Device: r.dev, bad: 3, after: func(step int) {
				if ran = step; step == test.stop {
					cancel()
				}
			}}
			err = r.fit(ctx, r.natural("warm-up", netBaseline, 0))
			if err == nil || errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "step 3: the gradient of ") || !strings.HasSuffix(err.Error(), "the last good state is in "+dir) {
				t.Errorf("error %v", err)
			}
			if ran != test.ran {
				t.Errorf("%d steps, want %d", ran, test.ran)
			}
			if r.state.current != nil || r.state.Step != 0 {
				t.Errorf("the state keeps a network of step %d", r.state.Step)
			}
		})
	}
}

// gpu is an emulated one; patient waits for each step's figures, as the processor does.
type (
	gpu struct {
		*cuda.Device
		after func(step int)
	}
	patient struct {
		device.Device
		gpu gpu
	}
)

func (g gpu) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	defer g.after(step)
	return g.Device.Update(rule, params, lr, step)
}

func (p patient) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	return errors.Join(p.gpu.Update(rule, params, lr, step), p.gpu.Settle(params))
}

// TestLater: figures that come back once for each line of the log are those that are waited for, and an
// interruption between lines changes no bit of them.
func TestLater(t *testing.T) {
	var states []*state
	var logs []string
	seconds := regexp.MustCompile(`"seconds":[^,]*,`)
	for _, test := range []struct {
		waits bool
		stops []int
	}{{true, []int{8}}, {false, []int{8}}, {false, []int{2, 5, 8}}} {
		r := newReplay(t)
		r.cfg.Train.LogEvery = 3
		d, err := cuda.New(ptx.NewMachine(1), 0)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "log.jsonl")
		if r.log, err = openLog(path, 0, 0); err != nil {
			t.Fatal(err)
		}
		r.state = newState()
		for _, stop := range test.stops {
			ctx, cancel := context.WithCancel(context.Background())
			g := gpu{d, func(step int) {
				if step == stop {
					cancel()
				}
			}}
			r.dev = g
			if test.waits {
				r.dev = patient{g, g}
			}
			if err := r.fit(ctx, r.hardening("training", "net", 0, "")); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			cancel()
		}
		r.log.close()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		states, logs = append(states, r.state), append(logs, seconds.ReplaceAllString(string(text), ""))
	}
	want := states[1]
	if !reflect.DeepEqual(states[2].current, want.current) || states[2].Fit.Window != want.Fit.Window || logs[1] != logs[2] || strings.Count(logs[1], "\n") != 2 {
		t.Errorf("interruptions change the figures: %+v and %s, not %+v and %s", states[2].Fit.Window, logs[2], want.Fit.Window, logs[1])
	}
	a, b := states[0].Fit.Window, want.Fit.Window
	if math.Abs(a.Loss-b.Loss) > 1e-9 || b.Loss == 0 || a.Gradients == 0 || !reflect.DeepEqual(states[0].current, want.current) {
		t.Errorf("the figures are %+v, want %+v", b, a)
	}
	if a.Loss = b.Loss; a != b {
		t.Errorf("the figures are %+v, want %+v", b, a)
	}
}

// TestBenchLater: the steps that are timed on a GPU follow each other without a wait, as in training.
func TestBenchLater(t *testing.T) {
	r := newReplay(t)
	machine := ptx.NewMachine(1)
	var err error
	if r.dev, err = cuda.New(machine, 0); err != nil {
		t.Fatal(err)
	}
	r.state = newState()
	batch := r.cfg.Train.Batch
	m, err := nn.Build(r.spec(), r.dev, defenses.Rows(r.cfg.Defense.Value, batch), r.stream("weights"))
	if err != nil {
		t.Fatal(err)
	}
	loader, err := data.NewLoader(r.train, batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	train, steps, err := r.benchTraining(m, loader)
	if err != nil || steps != min(r.cfg.Train.LogEvery, mostBenchSteps) || steps < 5 {
		t.Fatalf("%d steps, %v", steps, err)
	}
	before, updates := m.Weights(), 0
	for range 2 {
		waits := machine.Synchronized
		if err := train(); err != nil {
			t.Fatal(err)
		}
		if waits = machine.Synchronized - waits; waits > 3 { // for what attacks counted, the steps' figures, and the updates
			t.Errorf("%d waits in %d steps", waits, steps)
		}
		if _, updates = m.OptimizerState(); updates%steps != 0 || updates == 0 {
			t.Errorf("%d updates in repetitions of %d", updates, steps)
		}
	}
	if !reflect.DeepEqual(m.Weights(), before) {
		t.Error("what is timed changes the weights")
	}
}
