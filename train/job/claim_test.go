package job

import (
	"context"
	"math"
	"strings"
	"testing"

	"rampart/attacks"
)

// TestClaim: the tables are about eval.norm and eval.eps where they are set, the checkpoint tells what it
// was trained against, and the report tells both.
func TestClaim(t *testing.T) {
	c := load(t, "defense.attack.eps=0.2", "eval.norm=linf", "eval.eps=0.1")
	if got, want := c.threat(), (attacks.Threat{Norm: attacks.Linf, Epsilon: 0.1}); got != want {
		t.Errorf("the tables are about %v, want %v", got, want)
	}
	if got, want := c.hardened(), (attacks.Threat{Norm: attacks.Linf, Epsilon: 0.2}); got != want {
		t.Errorf("trained against %v, want %v", got, want)
	}
	if got, want := c.threatText(), "trained against Linf, eps 0.2, attacked in Linf, eps 0.1"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got, want := load(t, "eval.norm=linf", "eval.eps=0.1").threatText(), load(t).threatText(); got != want {
		t.Errorf("the same threat model is called %q, want %q", got, want)
	}
	var said strings.Builder
	o := quiet(newFolder(t))
	o.Quiet, o.Stdout = false, &said
	if err := Train(context.Background(), load(t, "train.epochs=1", "defense.attack.eps=0.2", "eval.norm=linf", "eval.eps=0.1", "eval.protocol=standard"), o); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "AutoAttack standard, cumulative") && strings.Contains(line, "Linf  0.1") {
			return
		}
	}
	t.Errorf("AutoAttack is not at the claim's epsilon:\n%s", said.String())
}

// TestUnderClaim: attacks of the tables and of the probe that name no threat model take the claim's.
func TestUnderClaim(t *testing.T) {
	l2 := attacks.Threat{Norm: attacks.L2, Epsilon: 1.5}
	tenth := attacks.Threat{Norm: attacks.Linf, Epsilon: 0.1}
	for _, c := range []struct {
		set          []string
		probe, table attacks.Threat
		step         float64 // of the table's first PGD
	}{
		{[]string{"eval.norm=linf", "eval.eps=0.1"}, tenth, tenth, 0.01 / 3},
		{[]string{"defense.attack.eps=0.1"}, tenth, tenth, 0.01 / 3},
		{[]string{"eval.norm=l2", "eval.eps=1.5"}, l2, l2, 0.05},
		{[]string{"eval.norm=linf", "eval.eps=0.1", `eval.attack=[{name="pgd", step_size=0.02}]`}, tenth, tenth, 0.02},
		{[]string{"eval.norm=linf", "eval.eps=0.1", `eval.attack=[{name="pgd", eps=0.3}]`, "probe.attack.eps=0.2"},
			attacks.Threat{Norm: attacks.Linf, Epsilon: 0.2}, attacks.Threat{Norm: attacks.Linf, Epsilon: 0.3}, 0.01},
	} {
		set := append([]string{"eval.attack=[{name=\"pgd\"}]"}, c.set...)
		cfg, err := Load("trades", append([]string{"defense.attack.eps=0.3"}, set...))
		if err != nil {
			t.Fatal(err)
		}
		pgd := cfg.Eval.Attacks[0].Value.(*attacks.PGD)
		if math.Abs(float64(pgd.StepSize)-c.step) > 1e-9 || pgd.Threat() != c.table || cfg.Probe.Attack.Value.Threat() != c.probe {
			t.Errorf("%v: the probe is for %v, the table's attack for %v with steps of %v; want %v, %v, %v", c.set,
				cfg.Probe.Attack.Value.Threat(), pgd.Threat(), float64(pgd.StepSize), c.probe, c.table, c.step)
		}
		if again, err := clone(cfg); err != nil || encoded(again) != encoded(cfg) {
			t.Errorf("%v: read again it is another config: %v", c.set, err)
		}
	}
	cw := load(t, `eval.attack=[{name="cw", steps=2}]`).Eval.Attacks[0].Value
	if got := cw.Threat().Norm; got != attacks.L2 {
		t.Errorf("an attack that knows L2 alone is put under %v", got)
	}
	own, err := LoadComparison([]string{"compare_quick"}, []string{"compare.eps=0.1", `eval.attack=[{name="pgd"}]`})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := LoadComparison([]string{"trades", "mart"}, []string{"compare.norm=linf", "compare.eps=0.1", `eval.attack=[{name="pgd"}]`})
	if err != nil {
		t.Fatal(err)
	}
	fashion, err := LoadComparison([]string{"compare_fashion"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Comparison{own, listed, fashion} {
		if got := c.attacks()[0].Threat(); got != tenth {
			t.Errorf("a comparison under %v attacks within %v", tenth, got)
		}
	}
	if got, want := listed.strategies[0].cfg.Eval.Attacks[0].Value.Threat(), listed.strategies[0].cfg.threat(); got != want {
		t.Errorf("the strategy's own attack lies within %v, want %v", got, want)
	}
}
