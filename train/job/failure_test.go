package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rampart/defenses"
	"rampart/nn"
	"rampart/train/report"
)

// TestDiverged: a learning rate that is absurd ends a run with an error that names the weight, and
// loses nothing that was there.
func TestDiverged(t *testing.T) {
	t.Run("in the warm-up", func(t *testing.T) {
		dir := newFolder(t)
		err := Train(context.Background(), load(t, "warmup.optimizer.name=sgd", "warmup.optimizer.lr=1e30"), quiet(dir))
		if err == nil || !strings.Contains(err.Error(), `warm-up: step 2: the gradient of "fc1.weight" is not finite`) || !strings.HasSuffix(err.Error(), "the last good state is in "+dir) {
			t.Fatal(err)
		}
		if s, _, err := loadState(dir); err != nil || s.Phase != 0 || s.Step != 0 {
			t.Errorf("the state: %+v, %v", s, err)
		}
	})
	t.Run("at a probe", func(t *testing.T) {
		err := Train(context.Background(), load(t, "warmup.optimizer.name=sgd", "warmup.optimizer.lr=1e30", "warmup.epochs=0", "warmup.steps=1"), quiet(newFolder(t)))
		if err == nil || !strings.Contains(err.Error(), "warm-up: clean: a logit of class") || !strings.Contains(err.Error(), "the network's weights have diverged") {
			t.Error(err)
		}
	})
	t.Run("in training", func(t *testing.T) {
		dir := newFolder(t)
		err := Train(context.Background(), load(t, "train.optimizer.name=sgd", "train.optimizer.lr=1e30"), quiet(dir))
		if err == nil || !strings.Contains(err.Error(), `the gradient of "fc1.weight" is not finite`) {
			t.Fatal(err)
		}
		s, _, err := loadState(dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, weights := range s.nets {
			for _, w := range weights {
				for _, v := range w.Data {
					if d := float64(v); math.IsNaN(d) || math.IsInf(d, 0) {
						t.Fatalf("the state holds %v in %s of %s", v, w.Name, name)
					}
				}
			}
		}
		if len(s.Outcomes[report.Before]) != 5 || s.nets[netBaseline] == nil {
			t.Error("what was measured before is lost")
		}
		const baseline = "baseline.safetensors"
		if !reflect.DeepEqual(weightsIn(t, filepath.Join(dir, baseline)), weightsIn(t, filepath.Join(unbroken(t), baseline))) {
			t.Error("baseline.safetensors is lost")
		}
	})
}

// TestFailingWrite: where the state cannot be written, the run ends and all that was there is
// there still; once there is room it goes on.
func TestFailingWrite(t *testing.T) {
	dir := newFolder(t)
	path := filepath.Join(dir, stateFile)
	kept := filepath.Join(t.TempDir(), "state")
	var before map[string]string
	err := Train(at(func(n int) error {
		if n != 42 {
			return nil
		}
		before = snapshot(t, dir)
		if err := os.Rename(path, kept); err != nil {
			return err
		}
		return os.MkdirAll(filepath.Join(path, "in the way"), 0o777) // no file can replace it
	}), load(t), quiet(dir))
	if err == nil || !strings.Contains(err.Error(), `cannot write "`+path+`", what was there is untouched`) {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(path), os.Rename(kept, path)); err != nil {
		t.Fatal(err)
	}
	after := snapshot(t, dir)
	for name, text := range before {
		if filepath.Base(name) == "log.jsonl" {
			if !strings.HasPrefix(after[name], text) {
				t.Error("lines of the log are lost")
			}
		} else if after[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("files: %v, before: %v", sortedKeys(after), sortedKeys(before))
	}
	if err := Train(context.Background(), load(t), resumed(quiet(dir))); err != nil {
		t.Fatal(err)
	}
	same(t, "after a failed write", dir, unbroken(t))
}

func TestUnwritable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t), quiet(filepath.Join(parent, "run"))); err == nil || !strings.Contains(err.Error(), "cannot make the run's folder") {
		t.Errorf("got %v", err)
	}
}

// TestDamagedState: a state that was cut off is named, and left as it is.
func TestDamagedState(t *testing.T) {
	dir := newFolder(t)
	if err := Train(stopAt(30), load(t), quiet(dir)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	path := filepath.Join(dir, stateFile)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, text[:len(text)/2], 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	if err := Train(context.Background(), load(t), resumed(quiet(dir))); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if !reflect.DeepEqual(snapshot(t, dir), before) {
		t.Error("the folder has changed")
	}
}

// TestCollapse: a loss that stays at that of guessing is said, once, on the terminal, in the log
// and in the report.
func TestCollapse(t *testing.T) {
	dir := newFolder(t)
	var said strings.Builder
	o := quiet(dir)
	o.Quiet, o.Stdout = false, &said
	if err := Train(context.Background(), load(t, "model.hidden=[]", "train.start=scratch", "train.epochs=0", "train.steps=230", "train.batch=8", "train.log_every=5",
		"train.optimizer.name=sgd", "train.optimizer.lr=1e-9", "train.save_every=0", "defense.attack.eps=0.4", "defense.attack.step_size=0.2"), o); err != nil {
		t.Fatal(err)
	}
	want := "training: at step 200 the loss is still"
	for name, text := range map[string]string{"output": said.String(), "log": results(t, dir)["log.jsonl"], "report": results(t, dir)["report.json"]} {
		if n := strings.Count(text, want); n != 1 {
			t.Errorf("%s: the collapse is told %d times", name, n)
		}
	}
	if strings.Contains(results(t, unbroken(t))["log.jsonl"], "collapsed") {
		t.Error("a sound run is said to have collapsed")
	}
}

// newWatched is a trainer with enough around it to warn.
func newWatched(t *testing.T) *trainer {
	t.Helper()
	l, err := openLog(filepath.Join(t.TempDir(), "log.jsonl"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close() })
	r, err := newRun(load(t), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	r.state, r.log = newState(), l
	m, err := nn.Build(r.spec(), r.dev, 4, r.stream("test"))
	if err != nil {
		t.Fatal(err)
	}
	return &trainer{fitting: fitting{title: "training"}, r: r, model: m, fit: &r.state.Fit, progress: report.NewProgress(io.Discard, true, "", 1)}
}

func TestWatchOverfitting(t *testing.T) {
	for _, c := range []struct {
		name                string
		best, trainAtBest   float64
		probe, train        float64
		warned, toldAlready bool
	}{
		{"the probe falls, training rises", 0.6, 0.5, 0.45, 0.9, true, false},
		{"as above, and told", 0.6, 0.5, 0.45, 0.9, false, true},
		{"both fall", 0.6, 0.5, 0.45, 0.4, false, false},
		{"the probe falls a little", 0.6, 0.5, 0.55, 0.9, false, false},
		{"both rise", 0.6, 0.5, 0.7, 0.9, false, false},
		{"natural training", 0.6, math.NaN(), 0, math.NaN(), false, false},
		{"the first probe", -1, 0, 0, 0.9, false, false},
	} {
		w := newWatched(t)
		*w.fit = fitState{BestRobust: c.best, TrainRobustAtBest: num(c.trainAtBest), OverfitTold: c.toldAlready}
		if !math.IsNaN(c.train) {
			w.fit.Epoch = defenses.Metrics{AdversarialRows: 1000, AdversarialCorrect: int(1000 * c.train)}
		}
		w.watchOverfitting(96, c.probe)
		if got := len(w.r.state.Warnings) == 1; got != c.warned {
			t.Errorf("%s: warnings %q", c.name, w.r.state.Warnings)
		}
		if c.warned {
			want := "training: catastrophic overfitting: held-out robust accuracy fell from 60.0 to 45.0 % while that on training examples rose to 90.0 %"
			if !strings.HasPrefix(w.r.state.Warnings[0], want) {
				t.Errorf("%s: %q", c.name, w.r.state.Warnings[0])
			}
			text, err := os.ReadFile(w.r.log.f.Name())
			if err != nil || !strings.Contains(string(text), `"step":96`) {
				t.Errorf("%s: the log has %q, %v", c.name, text, err)
			}
		}
	}
}

func TestWatchCollapse(t *testing.T) {
	guessing := math.Log(4)
	for _, c := range []struct {
		name   string
		step   int
		loss   float64
		right  int // of 100
		warned bool
	}{
		{"guessing", 200, guessing, 25, true},
		{"worse than guessing", 900, 2 * guessing, 20, true},
		{"early", 199, guessing, 25, false},
		{"learning", 200, 0.9 * guessing, 25, false},
		{"soft targets", 200, guessing, 90, false},
	} {
		w := newWatched(t)
		w.fit.Window = defenses.Metrics{Rows: 100, Loss: 100 * c.loss, CleanRows: 50, CleanCorrect: c.right / 2, AdversarialRows: 50, AdversarialCorrect: c.right - c.right/2}
		for range 2 {
			w.watchCollapse(c.step)
		}
		if got := len(w.r.state.Warnings); got != map[bool]int{true: 1}[c.warned] {
			t.Errorf("%s: warnings %q", c.name, w.r.state.Warnings)
		}
	}
}

// TestMemory: steps do not make the heap grow.
func TestMemory(t *testing.T) {
	heap := map[int]uint64{}
	err := Train(at(func(n int) error {
		if n == 50 || n == 250 {
			runtime.GC()
			runtime.GC() // finalisers
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[n] = m.HeapAlloc
		}
		if n > 250 {
			return context.Canceled
		}
		return nil
	}), load(t, "warmup.epochs=20", "train.log_every=1000", "train.save_every=3"), quiet(newFolder(t)))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if heap[250] > heap[50]+64<<10 {
		t.Errorf("the heap grew from %d to %d bytes in 200 steps", heap[50], heap[250])
	}
}

// TestLog: lines come in order and once, and natural training has no epsilon.
func TestLog(t *testing.T) {
	text := results(t, unbroken(t))["log.jsonl"]
	lines := strings.Split(strings.TrimSpace(text), "\n")
	// 16 warm-up and 48 training steps: a line at every fifth and at the end, and one of each probe.
	if want := 4 + 1 + 10 + 3; len(lines) != want {
		t.Errorf("%d lines, want %d:\n%s", len(lines), want, text)
	}
	sorted := slices.Sorted(slices.Values(lines))
	if len(slices.Compact(sorted)) != len(lines) {
		t.Error("lines are there twice")
	}
	for _, line := range lines {
		natural, measured := strings.Contains(line, `"stage":"warm-up"`), strings.Contains(line, `"held_out_clean"`)
		if has := strings.Contains(line, `"epsilon"`); has != (!natural && !measured) {
			t.Errorf("epsilon: %s", line)
		}
	}
	if want := fmt.Sprintf(`"epsilon":%v`, 0.1); !strings.Contains(lines[len(lines)-2], want) {
		t.Errorf("the last step's epsilon: %s", lines[len(lines)-2])
	}
}
