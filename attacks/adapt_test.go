package attacks_test

import (
	"testing"

	"rampart/attacks"
	"rampart/nn/registry"
)

// TestInExpectation: of every registered attack, what takes gradients of the victim takes them over
// several draws and does not stop at a success; others are left alone, and nothing is changed in place.
func TestInExpectation(t *testing.T) {
	for _, name := range registry.Names[attacks.Attack]() {
		a, err := registry.New[attacks.Attack](name)
		if err != nil {
			t.Fatal(err)
		}
		label := a.Label()
		got := attacks.InExpectation(a, 7)
		if a.Label() != label {
			t.Errorf("%s: the attack itself has become %q", name, a.Label())
		}
		averaging, averages := got.(attacks.Averaging)
		_, sourced := a.(attacks.Sourced)
		switch {
		case name == "autoattack":
			if got.(*attacks.AutoAttack).Version != "rand" || a.(*attacks.AutoAttack).Version != "standard" {
				t.Errorf("AutoAttack becomes %q", got.Label())
			}
		case a.Gradients() == 0 || sourced:
			if got != a {
				t.Errorf("%s becomes %q", name, got.Label())
			}
		case !averages || averaging.Draws() < 7:
			t.Errorf("%s becomes %q, without an expectation", name, got.Label())
		}
		if attacks.InExpectation(got, 5) != got && name != "autoattack" {
			t.Errorf("%s: an expectation of the expectation", name)
		}
		if chosen := attacks.Chosen(a); chosen.Value != a || chosen.Name == "" {
			t.Errorf("%s: chosen as %q", name, chosen.Name)
		}
	}
	p := &attacks.PGD{EarlyStop: true, KeepBest: true, Steps: 5, Runs: 1}
	if q := attacks.Persistent(p).(*attacks.PGD); q.EarlyStop || q.KeepBest || !p.EarlyStop || q.Steps != 5 {
		t.Errorf("%+v of %+v", q, p)
	}
	e := attacks.InExpectation(p, 3).(*attacks.Expectation)
	if inner := e.Attack.Value.(*attacks.PGD); e.Samples != 3 || e.Attack.Name != "pgd" || inner.EarlyStop {
		t.Errorf("%+v", e)
	}
}
