package job

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestJoint: members that are trained together are deployed as the config combines them, and an
// interrupted run goes on to the same bits.
func TestJoint(t *testing.T) {
	set := []string{"defense.name=adp", "ensemble.members=2", "ensemble.combine=probability", "train.epochs=2", "train.eps_schedule.warmup=0"}
	dir := trained(t, set...)
	tables(t, dir)
	f := read(t, filepath.Join(dir, "best.safetensors"))
	if spec := f.Meta.Model.Spec; len(spec.Members) != 2 || spec.Combine != "probability" || spec.Classes != 4 {
		t.Errorf("deployed: %+v", spec)
	}
	// Diversity is what the second weight asks for: without it other networks come out.
	plain := trained(t, append(set, "defense.alpha=0", "defense.beta=0")...)
	if reflect.DeepEqual(f.Weights(), weightsIn(t, filepath.Join(plain, "best.safetensors"))) {
		t.Error("alpha and beta change nothing")
	}
	again := newFolder(t)
	if err := Train(stopAt(16+10+16+20), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed", again, dir)
	tables(t, trained(t, append(set, "train.start=scratch", "train.epochs=6")...))
	for want, bad := range map[string][]string{
		`"adp" trains the members of an ensemble: add a table [ensemble]`: {"defense.name=adp"},
		`are not averaged`: append(set, "train.average.name=ema"),
		`member 2 has a defence or a training of its own`:                                {"defense.name=adp", `ensemble={member=[{}, {defense={name="natural"}}]}`},
		`member 2: the defence "adp" trains all members jointly`:                         {`ensemble={member=[{}, {defense={name="adp"}}]}`},
		`"adp" has a loss of its own, which leaves no place for a teacher's soft labels`: append(set, "distill.temperature=2"),
	} {
		if _, err := Load("tiny.toml", bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
