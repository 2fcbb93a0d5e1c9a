package attacks_test

import (
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
)

// TestAutoAttackParts: each version has the attacks, the order and the budgets of the authors'.
func TestAutoAttackParts(t *testing.T) {
	for _, c := range []struct {
		options string
		classes int
		want    []string
	}{
		{"", 10, []string{"APGD-CE", "APGD-T", "FAB-T", "Square"}},
		{"", 4, []string{"APGD-CE", "APGD-T 3 targets", "FAB-T 3 targets", "Square"}},
		{"norm = \"l1\"\neps = 12", 10, []string{"APGD-CE x5", "APGD-T 5 targets", "FAB-T", "Square"}},
		{`version = "plus"`, 100, []string{"APGD-CE x5", "APGD-DLR x5", "FAB x5", "Square", "APGD-T", "FAB-T"}},
		{`version = "rand"`, 10, []string{"APGD-CE eot 20", "APGD-DLR eot 20"}},
		{`version = "fast"`, 10, []string{"APGD-CE 20 steps", "APGD-T 20 steps 3 targets", "APGD-T 3 targets", "Square 500 queries"}},
		{"version = \"custom\"\nattacks = [\"square\", \"apgd_dlr\"]", 3, []string{"Square", "APGD-DLR"}},
	} {
		a, err := decoded("autoattack", c.options)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := a.(attacks.Sequence).Parts(c.classes)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range parts {
			got = append(got, p.Label())
			if p.Threat() != a.Threat() {
				t.Errorf("%q: %s has threat %v, want %v", c.options, p.Label(), p.Threat(), a.Threat())
			}
			if err := p.Validate(); err != nil {
				t.Errorf("%q: %s: %v", c.options, p.Label(), err)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.options, got, c.want)
		}
	}
}

// TestAutoAttackIsTheWorstCase: an example is broken where any part would break it alone, and each
// part works on the survivors of those before it only.
func TestAutoAttackIsTheWorstCase(t *testing.T) {
	d, m := bars(t, 80, 5), trained(t, 2, 32)
	for _, norm := range []string{"eps = 0.13", "norm = \"l2\"\neps = 0.55", "norm = \"l1\"\neps = 2.5"} {
		a, err := decoded("autoattack", "version = \"custom\"\nattacks = [\"square\", \"fab_t\", \"apgd_ce\", \"apgd_t\"]\nsteps = 12\nn_queries = 40\n"+norm)
		if err != nil {
			t.Fatal(err)
		}
		res := run(t, m, a, d)
		broken := make([]bool, d.Len())
		clean, err := attacks.Clean(m, d)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range clean.Prediction {
			broken[i] = p != int(d.Label(i))
		}
		parts, err := a.(attacks.Sequence).Parts(classes)
		if err != nil {
			t.Fatal(err)
		}
		for k, p := range parts {
			for i, c := range run(t, m, p, d).Prediction {
				broken[i] = broken[i] || c != int(d.Label(i))
			}
			for i, c := range res.Parts[k].Prediction {
				if broken[i] != (c != int(d.Label(i))) {
					t.Errorf("%v, after %s example %d is broken = %v, want %v", a.Threat(), p.Label(), i, !broken[i], broken[i])
				}
			}
		}
		left := res.Correct(d)
		t.Log(a.Threat(), "of", d.Len(), "right:", res.Parts[0].Correct(d), res.Parts[1].Correct(d), res.Parts[2].Correct(d), left)
		if left == 0 || left == res.Parts[0].Correct(d) {
			t.Errorf("%v: %d right in the end: eps shows nothing", a.Threat(), left)
		}
	}
}

// TestAutoAttackProgress: 100 queries weigh four times as much as ten gradients.
func TestAutoAttackProgress(t *testing.T) {
	d, m := bars(t, 40, 5), build(t, spec(32), 2, 32)
	a, err := decoded("autoattack", "version = \"custom\"\nattacks = [\"apgd_ce\", \"square\"]\nsteps = 10\nn_queries = 100\neps = 0.01")
	if err != nil {
		t.Fatal(err)
	}
	var at []int
	if _, err := attacks.Run(m, a, d, noise, never, func(done, total int) {
		if total != 2*d.Len() {
			t.Errorf("a total of %d", total)
		}
		at = append(at, done)
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(at) || !slices.Contains(at, 2*d.Len()/5) || at[len(at)-1] != 2*d.Len() {
		t.Errorf("progress went %v of %d", at, 2*d.Len())
	}
}

// TestSquareFinds: without a gradient Square breaks what noise does not, in each norm, and its
// targeted form reaches its targets.
func TestSquareFinds(t *testing.T) {
	d, m := bars(t, 80, 5), trained(t, 2, 32)
	for _, norm := range []string{"eps = 0.2", "norm = \"l2\"\neps = 0.8", "norm = \"l1\"\neps = 4"} {
		right := map[string]int{}
		for name, options := range map[string]string{"noise": "restarts = 20", "square": "n_queries = 300", "square ce": "n_queries = 300\nloss = \"cross_entropy\""} {
			attack, _, _ := strings.Cut(name, " ")
			a, err := decoded(attack, options+"\n"+norm)
			if err != nil {
				t.Fatal(err)
			}
			right[name] = run(t, m, a, d).Correct(d)
		}
		if right["square"] >= right["noise"]-10 || right["square ce"] >= right["noise"]-10 {
			t.Errorf("%q: of %d right: %v", norm, d.Len(), right)
		}
	}
	a, err := decoded("square", "n_queries = 400\neps = 0.4\ntarget = \"next\"")
	if err != nil {
		t.Fatal(err)
	}
	hits := 0
	for i, p := range run(t, m, a, d).Prediction {
		if p == int(d.Label(i)+1)%classes {
			hits++
		}
	}
	if hits < d.Len()*9/10 {
		t.Errorf("targeted: %d of %d reach the next class", hits, d.Len())
	}
}
