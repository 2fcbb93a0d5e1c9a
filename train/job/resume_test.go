package job

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// TestAutoAttackResumes: an evaluation that is stopped again and again in the midst of AutoAttack goes on
// to the same report, parts and all.
func TestAutoAttackResumes(t *testing.T) {
	eval := EvalOptions{Checkpoint: filepath.Join(unbroken(t), "best.safetensors")}
	set := []string{"eval.protocol=none", "eval.batch=7", "eval.curve_eps=[]", `eval.attack=[{name="autoattack", eps=0.1, steps=4, n_queries=10}, {name="fab_t", eps=0.1, steps=3, targets=2}]`}
	whole, stopped := newFolder(t), newFolder(t)
	if err := Eval(context.Background(), load(t, set...), eval, quiet(whole)); err != nil {
		t.Fatal(err)
	}
	o, parts := quiet(stopped), map[int]bool{}
	for k := 0; ; k++ {
		// Ever later, for the figure of losses asks a hundred times in one go.
		err := Eval(stopAt(5+4*k), load(t, set...), eval, o)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || k > 100 {
			t.Fatal(err)
		}
		o.Resume = true
		s, _, err := loadState(stopped)
		if err != nil {
			t.Fatal(err)
		}
		if s.Partial != nil {
			parts[s.Partial.Part] = true
		}
	}
	if len(parts) < 3 {
		t.Errorf("it was stopped in %d of AutoAttack's parts: the test shows little", len(parts))
	}
	same(t, "stopped in AutoAttack", stopped, whole)
}
