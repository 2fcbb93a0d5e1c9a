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
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// probing is a defence of these tests: it notes how it is called, and from a step on trains on wrong
// labels, so that accuracy falls.
type probing struct {
	defenses.Natural
	M    int     `toml:"replays"`
	Drop float64 `toml:"guard"`
	Bad  int     `toml:"bad"` // first step with wrong labels
}

type called struct {
	step                     int
	first                    uint32 // example of the batch
	progress, epsilon, steps float64
}

var calls []called

func (d *probing) Validate() error { return nil }
func (d *probing) Replays() int    { return d.M }
func (d *probing) Guard() float64  { return d.Drop }
func (d *probing) Step(s *defenses.Session, b *data.Batch) (defenses.Metrics, error) {
	calls = append(calls, called{s.Step, b.Index[0], s.Progress, s.EpsilonScale, s.StepsScale})
	if s.Step >= d.Bad {
		wrong := *b
		wrong.Labels = slices.Clone(b.Labels)
		for i := range wrong.Labels {
			wrong.Labels[i] = (wrong.Labels[i] + 1) % 4
		}
		b = &wrong
	}
	return d.Natural.Step(s, b)
}

func init() {
	registry.Register[defenses.Defense]("probing", func() defenses.Defense { return &probing{M: 1, Bad: math.MaxInt} })
}

// TestReplays: each batch comes as often as the defence says, in as many steps as ever, and sessions
// know their place in the training.
func TestReplays(t *testing.T) {
	calls = nil
	trained(t, "defense.name=probing", "defense.replays=3", "train.steps_schedule.warmup=0.5")
	seen := map[uint32]int{}
	for i, c := range calls {
		if c.step != i || c.progress != float64(i)/48 || c.steps != min(2*c.progress, 1) || c.epsilon != min(c.progress/0.3, 1) {
			t.Fatalf("call %d is %+v", i, c)
		}
		if i%3 > 0 && c.first != calls[i-1].first {
			t.Errorf("step %d: another batch than that of step %d", i, i-1)
		}
		seen[c.first]++
	}
	if len(calls) != 48 || len(seen) != 16 {
		t.Errorf("%d steps on %d batches, want 48 on 16", len(calls), len(seen))
	}
	for first, n := range seen {
		if n != 3 {
			t.Errorf("the batch of example %d came %d times", first, n)
		}
	}
}

// TestGuard: a fall of the probe's accuracy ends the training with the best weights, also where the
// run is killed just then.
func TestGuard(t *testing.T) {
	set := []string{"defense.name=probing", "defense.guard=0.2", "defense.bad=16", "probe.attack.eps=0.01", "probe.attack.step_size=0.005", "train.schedule.name=constant"}
	calls = nil
	dir := trained(t, set...)
	if len(calls) != 32 {
		t.Errorf("%d steps, want 32: those before the fall, and the epoch of it", len(calls))
	}
	s, _, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Fit.Stopped || s.Fit.BestStep != 16 || s.StepsBefore != 16+32 {
		t.Errorf("the state says %+v after %d steps", s.Fit, s.StepsBefore)
	}
	if len(s.Warnings) == 0 || !strings.Contains(s.Warnings[len(s.Warnings)-1], "stopped at step 32 by the defence's guard (20 points)") {
		t.Errorf("warnings %q", s.Warnings)
	}
	best, last := weightsIn(t, filepath.Join(dir, "best.safetensors")), weightsIn(t, filepath.Join(dir, "last.safetensors"))
	if !reflect.DeepEqual(best, last) {
		t.Error("the last network is not the best one")
	}
	again := newFolder(t)
	if err := Train(stopAt(16+10+32+1), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed after the guard", again, dir)

	calls = nil
	trained(t, append(set, "defense.guard=0")...)
	if len(calls) != 48 {
		t.Errorf("without a guard: %d steps", len(calls))
	}
}

const tinyAttack = `{ name = "pgd", eps = 0.1, step_size = 0.04, steps = 3 }`

// TestResumeDefences: a run that is stopped in its training goes on to the same bits, whatever its
// defence and its average keep.
func TestResumeDefences(t *testing.T) {
	for name, set := range map[string][]string{
		"free_at":              {"defense.name=free_at", "defense.eps=0.1", "defense.step_size=0.05", "defense.replays=3"},
		"awp, ema":             {"defense.name=awp", "defense.base.name=trades", "defense.base.attack=" + tinyAttack, "train.average.name=ema", "train.average.decay=0.8", "train.average.start=0.2"},
		"mart, swa":            {"defense.name=mart", "train.average.name=swa", "train.average.start=0.3", "train.average.every=5"},
		"friendly, curriculum": {"defense.name=friendly", "train.steps_schedule.warmup=0.7"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, again := trained(t, set...), newFolder(t)
			for i, stop := range []int{16 + 10 + 21, 10, 1 << 30} {
				o := quiet(again)
				if i > 0 {
					o = resumed(o)
				}
				if err := Train(stopAt(stop), load(t, set...), o); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			same(t, "resumed", again, dir)
		})
	}
}

// TestTeacher: a student of a hardened teacher of another architecture, trained here or from a file.
func TestTeacher(t *testing.T) {
	set := []string{"defense.name=rslad", "teacher.model.name=mlp", "teacher.model.hidden=[24]", "teacher.defense.attack=" + tinyAttack, "train.epochs=2"}
	dir := trained(t, set...)
	tables(t, dir)
	file := filepath.Join(dir, "teacher.safetensors")
	f := read(t, file)
	if m, ok := f.Meta.Model.Spec.Options.(*nn.MLP); !ok || !slices.Equal(m.Hidden, []int{24}) {
		t.Fatalf("the teacher is %+v", f.Meta.Model.Spec)
	}
	student := weightsIn(t, filepath.Join(dir, "best.safetensors"))
	from := trained(t, "defense.name=rslad", "teacher.checkpoint="+file, "train.epochs=2")
	if !reflect.DeepEqual(weightsIn(t, filepath.Join(from, "best.safetensors")), student) {
		t.Error("the teacher from a file makes another student")
	}
	if _, err := os.Stat(filepath.Join(from, "teacher.safetensors")); err == nil {
		t.Error("a teacher was trained though there is one")
	}
	if text := results(t, dir)["report.json"]; !strings.Contains(text, "taught by a hardened mlp") {
		t.Errorf("the report says nothing of the teacher:\n%s", text)
	}
	again := newFolder(t) // stopped in the student's training
	if err := Train(stopAt(16+10+32+20), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed", again, dir)

	// Another teacher makes another student.
	w := f.Weights()
	for i := range w[0].Data {
		w[0].Data[i] = -w[0].Data[i]
	}
	f.Tensors = nil
	for _, w := range w {
		f.Tensors = append(f.Tensors, checkpoints.Tensor(w))
	}
	other := filepath.Join(t.TempDir(), "other.safetensors")
	if err := checkpoints.Write(other, f); err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(weightsIn(t, filepath.Join(trained(t, "defense.name=rslad", "teacher.checkpoint="+other, "train.epochs=2"), "best.safetensors")), student) {
		t.Error("another teacher makes the same student")
	}
	err := Train(context.Background(), load(t, "defense.name=ard", "teacher.checkpoint="+file, "data.source.side=9"), quiet(newFolder(t)))
	if want := fmt.Sprintf(`the teacher %q takes 8x8x1 images of 4 classes, the data set "bars" has 9x9x1 of 4`, file); err == nil || err.Error() != want {
		t.Errorf("a teacher of other images: %v", err)
	}
}

// TestTeachingErrors: what does not go together is said before anything runs.
func TestTeachingErrors(t *testing.T) {
	for _, c := range []struct {
		set  []string
		want string
	}{
		{[]string{"defense.name=ard"}, `"defense.name": "ard" learns from a hardened teacher: add a table [teacher]`},
		{[]string{"defense.name=awp", "defense.base.name=rslad"}, `"awp" learns from a hardened teacher`},
		{[]string{"teacher.model.name=mlp"}, `the defence "pgd_at" learns from no teacher: choose "ard" or "rslad", or [distill]`},
		{[]string{"defense.name=ard", "teacher.defense.name=rslad"}, `"rslad" needs a teacher itself`},
		{[]string{"defense.name=ard", "teacher.defense.name=ensemble_at"}, `"teacher.defense.name": "ensemble_at" trains on other networks or several at once`},
		{[]string{"defense.name=ard", "teacher.defense.name=adp"}, `"teacher.defense.name": "adp" trains on other networks or several at once`},
		{[]string{"defense.name=ard", "teacher.checkpoint=none.safetensors"}, `checkpoint "none.safetensors" cannot be read`},
		{[]string{"defense.name=ard", "teacher.checkpoint=tiny.toml", "teacher.model.name=mlp"}, `the checkpoint says what network it holds`},
		{[]string{"defense.name=trades", "distill.temperature=5"}, `"distill": the defence "trades" has a loss of its own`},
		{[]string{"defense.label_smoothing=0.1", "distill.temperature=5"}, `has a loss of its own`},
		{[]string{"train.average.name=mean"}, `unknown weight average "mean"`},
		{[]string{"train.average.name=ema", "train.average.decay=1"}, `"train.average.decay": 1 must lie between 0 and 1`},
	} {
		if _, err := Load("tiny.toml", c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.set, err)
		}
	}
}

// TestUnionRun: a union of threat models runs through, and is named in the report.
func TestUnionRun(t *testing.T) {
	list := fmt.Sprintf("defense.attack=[%s, %s]", tinyAttack, `{ name = "fgsm", norm = "l2", eps = 0.5 }`)
	dir := trained(t, "defense.name=union", "defense.combine=average", list, "train.epochs=1")
	if text := results(t, dir)["report.json"]; !strings.Contains(text, "Linf, eps 0.1 and L2, eps 0.5") {
		t.Errorf("the report does not name the union:\n%s", text)
	}
	err := Train(context.Background(), load(t, "defense.name=union", strings.Replace(list, "eps = 0.5", "eps = 9", 1)), quiet(newFolder(t)))
	if err == nil || !strings.Contains(err.Error(), "defense.attack: FGSM: L2 eps 9 reaches every image") {
		t.Errorf("a second threat model that is none: %v", err)
	}
}

// TestScheduleWarnings: a schedule that scales nothing is called a mistake.
func TestScheduleWarnings(t *testing.T) {
	const steps, eps = "train.steps_schedule: the training attack has no steps to scale", "train.eps_schedule: the defence attacks nothing"
	for _, c := range []struct {
		set  []string
		want []string
	}{
		{[]string{"train.steps_schedule.warmup=0.5"}, nil},
		{[]string{"defense.attack.name=fgsm", "defense.attack.random_start=true", "train.steps_schedule.name=cyclic"}, []string{steps}},
		{[]string{"defense.name=natural", "train.steps_schedule.warmup=0.5"}, []string{steps, eps}},
		{[]string{"defense.name=natural", "train.eps_schedule.warmup=0"}, nil},
	} {
		if got := load(t, c.set...).Warnings(); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.set, got)
		}
	}
}
