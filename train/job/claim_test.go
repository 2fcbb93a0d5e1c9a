package job

import (
	"context"
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
