package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rampart/configs"
)

// TestWhole: a run ends with all of its files, and with tables that make sense.
func TestWhole(t *testing.T) {
	dir := unbroken(t)
	for _, name := range []string{"best.safetensors", "last.safetensors", "baseline.safetensors", stateFile, "config.toml",
		"log.jsonl", "report.md", "report.json", "report.html", "curves.png", "robustness.png", "examples.png",
		"losses.png", "confusion.png", "attacks.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 15 {
		t.Errorf("%d files: %v %v", len(entries), entries, err)
	}
	before, after := rows(t, dir, "before"), rows(t, dir, "after")
	want := []string{"clean", "noise", "FGSM", "PGD-3", "PGD-3 x2", "worst case"}
	if got := attackNames(before); !slices.Equal(got, want) {
		t.Errorf("rows before: %q", got)
	}
	if got := attackNames(after); !slices.Equal(got, want) {
		t.Errorf("rows after: %q", got)
	}
	for i, r := range slices.Concat(before, after) {
		if r.N != 60 || r.Accuracy < 0 || r.Accuracy > 1 || r.Cumulative != strings.Contains(r.Attack, "x2") && r.Attack != "worst case" && r.Cumulative {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	last := len(want) - 1
	if before[0].Accuracy < 0.8 || after[0].Accuracy < 0.9 {
		t.Errorf("clean accuracy before %v, after %v", before[0].Accuracy, after[0].Accuracy)
	}
	if after[last].Accuracy <= before[last].Accuracy+0.1 {
		t.Errorf("worst case before %v, after %v", before[last].Accuracy, after[last].Accuracy)
	}
}

// TestThreads: same seed, same bits, on any number of threads; another seed, other bits.
func TestThreads(t *testing.T) {
	for _, threads := range []int{1, 5} {
		dir := newFolder(t)
		o := quiet(dir)
		o.Threads = threads
		if err := Train(context.Background(), load(t), o); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprint(threads, " threads"), dir, unbroken(t))
	}
	if results(t, trained(t, "seed=8"))["best.safetensors"] == results(t, unbroken(t))["best.safetensors"] {
		t.Error("another seed gives the same network")
	}
}

// questions is how often an unbroken run asks whether to stop.
func questions(t *testing.T) int {
	t.Helper()
	h := at(func(int) error { return nil })
	if err := Train(h, load(t), quiet(newFolder(t))); err != nil {
		t.Fatal(err)
	}
	if h.n < 64 {
		t.Fatalf("a run asks only %d times whether to stop", h.n)
	}
	return h.n
}

// TestInterrupted: a run that is stopped anywhere, and goes on, ends with the same bits.
func TestInterrupted(t *testing.T) {
	total := questions(t)
	var points []int
	for i := range 9 {
		points = append(points, 1+i*(total-1)/8)
	}
	for _, n := range append(points, 2, 9, 18, total-2) {
		dir := newFolder(t)
		var said strings.Builder
		o := quiet(dir)
		o.Stderr = &said
		err := Train(stopAt(n), load(t), o)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at question %d of %d: %v", n, total, err)
		}
		if want := "go on with:\n  train -config " + filepath.Join(dir, "config.toml") + " -out " + dir + " -resume\n"; !strings.HasSuffix(said.String(), want) {
			t.Errorf("stopped at question %d, it said %q", n, said.String())
		}
		if err := Train(context.Background(), load(t), resumed(quiet(dir))); err != nil {
			t.Fatalf("resumed after question %d: %v", n, err)
		}
		same(t, fmt.Sprintf("stopped at question %d of %d", n, total), dir, unbroken(t))
	}
}

// TestInterruptedOften: the same where a run is stopped again and again.
func TestInterruptedOften(t *testing.T) {
	dir := newFolder(t)
	o := quiet(dir)
	for k := 0; ; k++ {
		err := Train(stopAt(4+k%11+4*k), load(t), o)
		o.Resume = true
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || k > 100 {
			t.Fatal(err)
		}
	}
	same(t, "stopped often", dir, unbroken(t))
}

// TestDeadline: time that runs out saves like an interruption.
func TestDeadline(t *testing.T) {
	dir := newFolder(t)
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	if err := Train(ctx, load(t), quiet(dir)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t), resumed(quiet(dir))); err != nil {
		t.Fatal(err)
	}
	same(t, "after a deadline", dir, unbroken(t))
}

// TestKilled: a run that is killed without a word goes on from what it saved last.
func TestKilled(t *testing.T) {
	copies := map[int]string{}
	for _, n := range []int{1, 12, 17, 24, 43, 61} {
		copies[n] = newFolder(t)
	}
	dir := newFolder(t)
	if err := Train(at(func(n int) error {
		if to := copies[n]; to != "" {
			return os.CopyFS(to, os.DirFS(dir))
		}
		return nil
	}), load(t), quiet(dir)); err != nil {
		t.Fatal(err)
	}
	for n, dir := range copies {
		// The kill may fall into the writing of a line, or of a file.
		log, err := os.OpenFile(filepath.Join(dir, "log.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(log, `{"phase":0,"stage":"war`)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Train(context.Background(), load(t), resumed(quiet(dir))); err != nil {
			t.Fatalf("killed at question %d: %v", n, err)
		}
		same(t, fmt.Sprint("killed at question ", n), dir, unbroken(t))
	}
}

// TestFinished: the resume of a finished run writes its reports again.
func TestFinished(t *testing.T) {
	dir := newFolder(t)
	if err := os.CopyFS(dir, os.DirFS(unbroken(t))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.md", "report.json", "best.safetensors", "curves.png"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	o := resumed(quiet(dir))
	o.Quiet, o.Stdout = false, &said
	if err := Train(context.Background(), load(t), o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "this run is finished") {
		t.Errorf("it said %q", said.String())
	}
	if got, want := snapshot(t, dir)[filepath.Join(dir, "report.md")], snapshot(t, unbroken(t))[filepath.Join(unbroken(t), "report.md")]; got != want {
		t.Errorf("report.md differs:\n%s\n\n%s", got, want)
	}
	same(t, "resumed at its end", dir, unbroken(t))
}

// TestChangedConfig: a resume under another config says what differs, and touches nothing.
func TestChangedConfig(t *testing.T) {
	dir := newFolder(t)
	if err := Train(stopAt(12), load(t), quiet(dir)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	err := Train(context.Background(), load(t, "seed=9", "train.optimizer.lr=0.5", "eval.n=50"), resumed(quiet(dir)))
	want := fmt.Sprintf(`the run in %q was started under another config:
  eval.n: 60, now 50
  seed: 7, now 9
  train.optimizer.lr: 0.01, now 0.5
resume it with the config of its start (%s), or start a new run`, dir, filepath.Join(dir, "config.toml"))
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	isUsage(t, err)
	if !reflect.DeepEqual(snapshot(t, dir), before) {
		t.Error("the folder has changed")
	}
	shift = 1
	err = Train(context.Background(), load(t), resumed(quiet(dir)))
	shift = 0
	if err == nil || !strings.Contains(err.Error(), "was started on other data") {
		t.Errorf("other data: %v", err)
	}
	isUsage(t, err)
	// The config that the run wrote is the one to resume with.
	again, err := Load(filepath.Join(dir, "config.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Train(context.Background(), again, resumed(quiet(dir))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed with config.toml", dir, unbroken(t))
}

// TestOlderConfig: a run that an earlier version began lacks options that have joined since; at their
// defaults they are no other config.
func TestOlderConfig(t *testing.T) {
	config, err := configs.Encode(load(t))
	if err != nil {
		t.Fatal(err)
	}
	older := strings.Replace(string(config), "deploy_bn = \"adversarial\"\n", "", 1)
	if older == string(config) {
		t.Fatal("the option is not there")
	}
	if today(older) != string(config) {
		t.Errorf("today it reads\n%s\nwant\n%s", today(older), config)
	}
	for _, other := range []string{strings.Replace(older, "seed = 7", "seed = 8", 1), older + "\nbygone = 1\n"} {
		if today(other) == string(config) {
			t.Errorf("taken for the same:\n%s", other)
		}
	}
}

func isUsage(t *testing.T, err error) {
	t.Helper()
	if usage := (*UsageError)(nil); !errors.As(err, &usage) {
		t.Errorf("%v is no usage error", err)
	}
}

func TestFolders(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("tiny.toml", []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t), resumed(quiet(""))); err == nil || !strings.Contains(err.Error(), "nothing to resume") {
		t.Errorf("a resume without a run: %v", err)
	} else {
		isUsage(t, err)
	}
	if _, err := os.Stat("checkpoints"); err == nil {
		t.Error("a refused resume made a folder")
	}
	for _, want := range []string{"tiny", "tiny-2", "tiny-3"} {
		if err := Train(stopAt(3), load(t), quiet("")); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join("checkpoints", want, stateFile)); err != nil {
			t.Error(err)
		}
	}
	before := snapshot(t, "checkpoints")
	err := Train(context.Background(), load(t), quiet("checkpoints/tiny-2"))
	if want := `"checkpoints/tiny-2" is not empty: add -resume to go on with the run in it, or choose another -out`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	isUsage(t, err)
	err = Train(context.Background(), load(t), quiet("tiny.toml"))
	if err == nil || !strings.Contains(err.Error(), "tiny.toml") {
		t.Errorf("-out is a file: %v", err)
	}
	if !reflect.DeepEqual(snapshot(t, "checkpoints"), before) {
		t.Error("refused runs have changed a folder")
	}
	if err := Train(context.Background(), load(t), resumed(quiet(""))); err != nil { // the last one
		t.Fatal(err)
	}
	if _, err := os.Stat("checkpoints/tiny-3/report.md"); err != nil {
		t.Error(err)
	}
}
