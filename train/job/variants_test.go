package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// logits are those of some test images, for a network given by its spec and weights.
func logits(t *testing.T, spec nn.Spec, weights []nn.Weight) [][]float64 {
	t.Helper()
	const n = 20
	m, err := nn.Build(spec, cpu.New(1), n, rng.New(0, "test"))
	if err == nil {
		err = m.SetWeights(weights)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, test, err := (&bars{Side: 8, Kinds: 4}).Load()
	if err != nil {
		t.Fatal(err)
	}
	b := test.NewBatch(n)
	test.Fill(b, 0)
	x, z, host := m.New(len(b.X)), m.New(n*4), make([]float32, n*4)
	x.Upload(b.X, 0)
	if err := m.Logits(&device.Call{Rows: n, X: x, Logits: z}); err != nil {
		t.Fatal(err)
	}
	z.Download(host, 0)
	rows := make([][]float64, n)
	for i, v := range host {
		rows[i/4] = append(rows[i/4], float64(v))
	}
	return rows
}

func read(t *testing.T, path string) *checkpoints.File {
	t.Helper()
	f, err := checkpoints.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func weightsIn(t *testing.T, path string) []nn.Weight { return read(t, path).Weights() }

// tables checks that both tables are whole.
func tables(t *testing.T, dir string) {
	t.Helper()
	want := []string{"clean", "noise", "FGSM", "PGD-3", "PGD-3 x2", "worst case"}
	for _, stage := range []string{"before", "after"} {
		if got := attackNames(rows(t, dir, stage)); !slices.Equal(got, want) {
			t.Errorf("rows %s: %q", stage, got)
		}
	}
	if after := rows(t, dir, "after"); after[0].Accuracy < 0.7 {
		t.Errorf("clean accuracy after: %v", after[0].Accuracy)
	}
}

// TestEnsemble: members are trained apart and deployed as one, whose logits are what the config says.
func TestEnsemble(t *testing.T) {
	for _, combine := range []string{"logits", "probability"} {
		t.Run(combine, func(t *testing.T) {
			set := []string{"ensemble.members=2", "ensemble.combine=" + combine, "train.epochs=2"}
			dir := trained(t, set...)
			tables(t, dir)
			f := read(t, filepath.Join(dir, "best.safetensors"))
			if _, err := checkpoints.LoadOn(filepath.Join(dir, "best.safetensors"), cpu.New(1), 4); err != nil {
				t.Fatal(err)
			}
			spec := f.Meta.Model.Spec
			if len(spec.Members) != 2 || spec.Combine != nn.Combine(combine) {
				t.Fatalf("the checkpoint holds %v", spec.Name())
			}
			var members [2][][]float64
			var parts [2][]nn.Weight
			for _, w := range f.Weights() {
				i := int(w.Name[len("members.")] - '0')
				w.Name = w.Name[len("members.0."):]
				parts[i] = append(parts[i], w)
			}
			for i := range members {
				members[i] = logits(t, spec.Members[i], parts[i])
			}
			if reflect.DeepEqual(members[0], members[1]) {
				t.Error("both members are the same")
			}
			for r, got := range logits(t, spec, f.Weights()) {
				want := make([]float64, 4)
				for j := range want {
					a, b := members[0][r], members[1][r]
					if want[j] = (a[j] + b[j]) / 2; combine == "probability" {
						want[j] = math.Log((probability(a, j) + probability(b, j)) / 2)
					}
					if math.Abs(got[j]-want[j]) > 1e-5*(1+math.Abs(want[j])) {
						t.Fatalf("row %d: logits %v, by hand %v", r, got, want)
					}
				}
			}
			// The first member is the network of a run without an ensemble.
			if single := trained(t, "train.epochs=2"); !reflect.DeepEqual(parts[0], weightsIn(t, filepath.Join(single, "best.safetensors"))) {
				t.Error("the first member is not the network of a run without an ensemble")
			}
			again := newFolder(t) // stopped in the second member's training, and resumed
			if err := Train(stopAt(16+10+32+16+20), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
				t.Fatal(err)
			}
			same(t, "resumed ensemble", again, dir)
		})
	}
}

func probability(z []float64, j int) float64 {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v - z[j])
	}
	return 1 / sum
}

// TestDistill: with a teacher of its own, and with one from a file.
func TestDistill(t *testing.T) {
	set := []string{"distill.temperature=5"}
	dir := trained(t, set...)
	tables(t, dir)
	if _, err := checkpoints.LoadOn(filepath.Join(dir, "best.safetensors"), cpu.New(1), 4); err != nil {
		t.Fatal(err)
	}
	plain := weightsIn(t, filepath.Join(unbroken(t), "best.safetensors"))
	if reflect.DeepEqual(weightsIn(t, filepath.Join(dir, "best.safetensors")), plain) {
		t.Error("the distilled network is the plain one")
	}
	log := results(t, dir)["log.jsonl"]
	if !strings.Contains(log, `"stage":"teacher"`) || !strings.Contains(log, `"stage":"training"`) {
		t.Errorf("stages are missing in the log:\n%s", log)
	}

	again := newFolder(t) // stopped in the student's training
	if err := Train(stopAt(16+10+48+20), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s, _, err := loadState(again)
	if err != nil {
		t.Fatal(err)
	}
	teacher := s.nets[netTeacher]
	if teacher == nil {
		t.Fatal("the state holds no teacher")
	}
	if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed distillation", again, dir)

	// The same teacher from a file makes the same student.
	file := filepath.Join(t.TempDir(), "teacher.safetensors")
	f := read(t, filepath.Join(dir, "best.safetensors"))
	f.Tensors = nil
	for _, w := range teacher {
		f.Tensors = append(f.Tensors, checkpoints.Tensor(w))
	}
	if err := checkpoints.Write(file, f); err != nil {
		t.Fatal(err)
	}
	from := trained(t, append(set, "distill.teacher="+file)...)
	tables(t, from)
	if strings.Contains(results(t, from)["log.jsonl"], `"stage":"teacher"`) {
		t.Error("a teacher was trained though there is one")
	}
	if !reflect.DeepEqual(weightsIn(t, filepath.Join(from, "best.safetensors")), weightsIn(t, filepath.Join(dir, "best.safetensors"))) {
		t.Error("the teacher from a file makes another student")
	}
}

// TestBoth: a distillation with an ensemble.
func TestBoth(t *testing.T) {
	dir := trained(t, "distill.temperature=5", "ensemble.members=2", "train.epochs=2", "eval.curve_eps=[]")
	tables(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "robustness.png")); err == nil {
		t.Error("a curve without epsilons was drawn")
	}
}

// TestInit: a checkpoint takes the warm-up's place.
func TestInit(t *testing.T) {
	file := filepath.Join(unbroken(t), "baseline.safetensors")
	dir := trained(t, "init="+file, "warmup.epochs=0")
	tables(t, dir)
	if !reflect.DeepEqual(weightsIn(t, filepath.Join(dir, "baseline.safetensors")), weightsIn(t, file)) {
		t.Error("the baseline is not the checkpoint")
	}
	if got, want := rows(t, dir, "before"), rows(t, unbroken(t), "before"); !reflect.DeepEqual(got, want) {
		t.Errorf("before: %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(weightsIn(t, filepath.Join(dir, "best.safetensors")), weightsIn(t, filepath.Join(unbroken(t), "best.safetensors"))) {
		t.Error("from the same baseline training goes another way")
	}
	if log := results(t, dir)["log.jsonl"]; strings.Contains(log, "warm-up") {
		t.Error("there was a warm-up")
	}
	_, err := Load("tiny.toml", []string{"init=none.safetensors"})
	if err == nil || err.Error() != `-set init=none.safetensors: "init": checkpoint "none.safetensors" cannot be read: no such file or directory` {
		t.Errorf("a checkpoint that is not there: %v", err)
	}
	for set, want := range map[string]string{
		"model.hidden=[17]": `"fc1.weight" has shape [16 64] where the network needs [17 64]`,
		"model.hidden=[]":   "does not hold the config's network",
	} {
		err := Train(context.Background(), load(t, "init="+file, set), quiet(newFolder(t)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", set, err)
		}
	}
	_, err = Load("tiny.toml", []string{"warmup.epochs=0"})
	if err == nil || !strings.Contains(err.Error(), `"warmup.epochs": a warm-up is needed`) {
		t.Errorf("no warm-up: %v", err)
	}
}

// TestEval: a checkpoint measured on its own has the rows of the run's table.
func TestEval(t *testing.T) {
	best := filepath.Join(unbroken(t), "best.safetensors")
	dir := newFolder(t)
	var said strings.Builder
	o := quiet(dir)
	o.Threads, o.Stdout = 3, &said
	// How the network was trained is the checkpoint's to say, not the config's that measures it.
	if err := Eval(context.Background(), load(t, "eval.batch=7", "defense.adversarial=1"), EvalOptions{Checkpoint: best}, o); err != nil {
		t.Fatal(err)
	}
	if got, want := rows(t, dir, "after"), rows(t, unbroken(t), "after"); !reflect.DeepEqual(got, want) {
		t.Errorf("rows %+v, want %+v", got, want)
	}
	for _, want := range []string{"PGD-3 x2", "worst case", "trained against Linf, eps 0.1", "50 % of each minibatch adversarial"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the table says nothing of %q:\n%s", want, said.String())
		}
	}
	if files := sortedKeys(snapshot(t, dir)); len(files) != 8 { // three reports, four figures and the state
		t.Errorf("files: %q", files)
	}
	if err := Eval(context.Background(), load(t), EvalOptions{Checkpoint: best}, o); err == nil || err.Error() != fmt.Sprintf("%q is not empty: add -resume to go on with the run in it, or choose another -out", dir) {
		t.Errorf("into the same folder: %v", err)
	}
	h := at(func(int) error { return nil })
	if err := Eval(h, load(t, "eval.batch=7"), EvalOptions{Checkpoint: best}, quiet("")); err != nil || h.n < 4*9 { // four attacks on nine batches
		t.Errorf("asked only %d times whether to stop, %v", h.n, err)
	}
	if err := Eval(stopAt(3), load(t), EvalOptions{Checkpoint: best}, quiet("")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	cut := filepath.Join(t.TempDir(), "cut.safetensors")
	text, err := os.ReadFile(best)
	if err == nil {
		err = os.WriteFile(cut, text[:len(text)-9], 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set, path, want string
		usage           bool
	}{
		{"data.source.side=9", best, `takes 8x8x1 images, the data set "bars" has 9x9x1`, true},
		{"data.source.kinds=3", best, `knows the classes bar 0, bar 1, bar 2, bar 3, the data set "bars" has bar 0, bar 1, bar 2`, true},
		{"seed=1", "none.safetensors", "none.safetensors", true},
		{"seed=1", cut, cut, false},
		{"seed=1", filepath.Join(unbroken(t), stateFile), "not a checkpoint", false},
	} {
		out := newFolder(t)
		err := Eval(context.Background(), load(t, c.set), EvalOptions{Checkpoint: c.path}, quiet(out))
		usage := (*UsageError)(nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &usage) != c.usage {
			t.Errorf("%s, %s: %v", c.set, c.path, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a folder was made", c.set)
		}
	}
}
