package job

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"rampart/checkpoints"
)

// TestFewClasses: a loss that takes more classes than there are is refused before anything runs,
// wherever it stands.
func TestFewClasses(t *testing.T) {
	for want, set := range map[string]string{
		`eval.attack 1: PGD-40 dlr: loss "dlr" needs at least 3 classes, the network has 2: use "cross_entropy" or "margin"`:       `eval.attack=[{name="pgd", loss="dlr"}]`,
		`probe.attack: APGD-T: loss "targeted_dlr" needs at least 4 classes, the network has 2: use "cross_entropy" or "margin"`:   `probe.attack={name="apgd_t"}`,
		`defense.attack: PGD-40 dlr: loss "dlr" needs at least 3 classes, the network has 2: use "cross_entropy" or "margin"`:      `defense.attack={name="pgd", loss="dlr"}`,
		`eval.protocol = "standard": AutoAttack standard: the loss of apgd_t needs at least 4 classes, the network has 2: use ver`: `eval.protocol=standard`,
	} {
		dir := newFolder(t)
		err := Train(context.Background(), load(t, "data.source.kinds=2", set), quiet(dir))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", set, err, want)
		}
		isUsage(t, err)
		if taken, err := inUse(dir); err != nil || taken {
			t.Errorf("%s: a folder was made", set)
		}
	}
}

// TestDivergedWeights: a checkpoint with a NaN is refused, as what is measured, as what the checks
// compare with, and as what examples come from.
func TestDivergedWeights(t *testing.T) {
	best := filepath.Join(unbroken(t), "best.safetensors")
	f, err := checkpoints.Read(best)
	if err != nil {
		t.Fatal(err)
	}
	f.Tensors[0].Data[3] = float32(math.NaN())
	bad := filepath.Join(t.TempDir(), "diverged.safetensors")
	if err := checkpoints.Write(bad, f); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		set  string
		eval EvalOptions
	}{
		"subject":    {"seed=7", EvalOptions{Checkpoint: bad}},
		"undefended": {"seed=7", EvalOptions{Checkpoint: best, Undefended: bad}},
		"source":     {"eval.attack=[" + from(bad) + "]", EvalOptions{Checkpoint: best}},
		"init":       {"init=" + bad, EvalOptions{}},
	} {
		cfg := load(t, c.set)
		if what == "init" {
			err = Train(context.Background(), cfg, quiet(newFolder(t)))
		} else {
			err = Eval(context.Background(), cfg, c.eval, quiet(""))
		}
		if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "holds 1 values that are NaN or infinite, the first at 3: the training diverged; use an earlier checkpoint") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestEmptyClass: a class without images is told of, in training and test set, and the tables go on
// without it.
func TestEmptyClass(t *testing.T) {
	// Of so few images of 40 classes most have none.
	cfg := load(t, "data.source.kinds=40", "data.limit=64", "eval.n=20", "eval.protocol=none", "train.epochs=1")
	var said strings.Builder
	o := quiet(newFolder(t))
	o.Stderr = &said
	r, err := newRun(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	empty := 0
	seen := map[int32]bool{}
	for i := range r.test.Len() {
		seen[r.test.Label(i)] = true
	}
	empty = 40 - len(seen)
	if empty < 7 {
		t.Fatalf("%d classes of 40 have no test image", empty)
	}
	if err := Train(stopAt(1), cfg, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, want := range []string{`warning: none of the 64 training images is of class "bar `, `: the network cannot learn it` + "\n",
		`warning: none of the 20 test images is of class "bar `, ` more: nothing is measured of it, and averages over classes leave it out` + "\n"} {
		if strings.Count(said.String(), want) != 1 {
			t.Errorf("it said %q, and not %q", said.String(), want)
		}
	}
	said.Reset()
	whole := load(t)
	if err := Train(stopAt(1), whole, Options{Out: newFolder(t), Quiet: true, Threads: 2, Stdout: o.Stdout, Stderr: &said}); !errors.Is(err, context.Canceled) || strings.Contains(said.String(), "warning") {
		t.Errorf("where no class is empty: %v, %q", err, said.String())
	}
}
