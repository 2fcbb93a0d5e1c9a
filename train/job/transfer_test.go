package job

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"rampart/attacks"
)

// from is a transfer attack from a checkpoint, in TOML.
func from(path string) string {
	return fmt.Sprintf(`{name="transfer", checkpoint=%q, attack={name="fgsm", eps=0.1}}`, path)
}

// TestSourcesOfAttacks: every attack that makes its examples on another network has it once the run is
// set up, also several that share one; a network for other data is refused there.
func TestSourcesOfAttacks(t *testing.T) {
	path := filepath.Join(unbroken(t), "baseline.safetensors")
	a := from(path)
	cfg := load(t, "defense.attack="+a, "probe.attack="+a, "eval.attack=["+a+", "+a+"]", `ensemble={member=[{}, {defense={name="pgd_at", attack=`+a+`}}]}`)
	r, err := newRun(cfg, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range cfg.placed() {
		if _, ok := p.attack.(attacks.Sourced); ok {
			n++
			if _, err := attacks.Run(mustVictim(t, r, path), p.attack, r.test.Slice(0, 3), r.stream("test"), nil, nil); err != nil {
				t.Errorf("%s: %v", p.where, err)
			}
		}
	}
	if n != 5 {
		t.Errorf("%d attacks of 5", n)
	}
	for want, set := range map[string]string{
		`takes 8x8x1 images, the data set "bars" has 6x6x1`:                                                         "data.source.side=6",
		`knows the classes bar 0, bar 1, bar 2, bar 3, the data set "bars" has bar 0, bar 1, bar 2; its checkpoint`: "data.source.kinds=3",
	} {
		dir := newFolder(t)
		err := Train(context.Background(), load(t, set, "eval.attack=["+a+"]"), quiet(dir))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `eval.attack 1: transfer FGSM cannot transfer from "`+path) {
			t.Errorf("%s: %v", set, err)
		}
		isUsage(t, err)
	}
}

func mustVictim(t *testing.T, r *run, path string) attacks.Victim {
	t.Helper()
	v, err := r.sourceVictim(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRandomSource: a source that draws random numbers is met in expectation, and each draw counts.
func TestRandomSource(t *testing.T) {
	dir := trained(t, "train.steps=1", "train.epochs=0", "eval.protocol=none", `input.transform=[{name="noise", std=0.1}]`)
	path := filepath.Join(dir, "best.safetensors")
	cfg := load(t, "eval.attack=["+from(path)+"]", "eval.eot_samples=3")
	r, err := newRun(cfg, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	some := r.test.Slice(0, 5)
	res, err := attacks.Run(mustVictim(t, r, filepath.Join(dir, "baseline.safetensors")), cfg.Eval.Attacks[0].Value, some, r.stream("test"), nil, nil)
	if err != nil || res.Counts.Gradients != 3*5 {
		t.Errorf("%+v, %v", res.Counts, err)
	}
}

// TestCompareChecksFirst: what a comparison could not measure with is told before the training.
func TestCompareChecksFirst(t *testing.T) {
	c := listing(t, "", "eval.attack=["+from("none.safetensors")+"]")
	out := newFolder(t)
	err := Compare(context.Background(), c, CompareOptions{Options: quiet(out), Jobs: 1})
	if err == nil || !strings.Contains(err.Error(), `eval.attack 1: transfer FGSM cannot transfer from "none.safetensors"`) {
		t.Errorf("got %v", err)
	}
	if taken, err := inUse(filepath.Join(out, "mixed")); err != nil || taken {
		t.Errorf("a network was trained: %v", err)
	}
}
