package audit

import (
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/defenses/transform"
)

// TestAdaptiveTransforms: check 17 asks for an attack that knows the transformations, and for one in
// expectation where they are random.
func TestAdaptiveTransforms(t *testing.T) {
	threat := attacks.Threat{Norm: attacks.Linf, Epsilon: 0.3}
	pgd := &attacks.PGD{Bound: attacks.Bound(threat), Steps: 5, Runs: 1, Loss: "cross_entropy"}
	naive, draw, eot := transform.NewNaive(pgd), transform.NewOneDraw(pgd), attacks.InExpectation(pgd, 5)
	transfer := &attacks.Transfer{Nested: attacks.Nested{Attack: attacks.Chosen(pgd)}}
	noise := &attacks.Noise{Bound: attacks.Bound(threat), Runs: 1}
	for _, c := range []struct {
		name    string
		before  *Before
		ran     []attacks.Attack
		verdict Verdict
		text    string
	}{
		{"plain", nil, []attacks.Attack{pgd}, Pass, "a plain network"},
		{"known", &Before{Label: "JPEG", Substituted: true}, []attacks.Attack{naive, pgd}, Pass, "through JPEG with the identity"},
		{"true gradient", &Before{Label: "a filter"}, []attacks.Attack{pgd}, Pass, "gradients through a filter"},
		{"naive alone", &Before{Label: "JPEG", Substituted: true}, []attacks.Attack{noise, naive, transfer}, Fail, "missing gradients through JPEG"},
		{"random", &Before{Label: "resize", Random: true, Draws: 5}, []attacks.Attack{naive, draw, eot}, Pass, "expectation"},
		{"random, one draw", &Before{Label: "resize", Random: true, Draws: 5}, []attacks.Attack{naive, draw, pgd}, Fail, "missing expectation"},
		{"random, naive", &Before{Label: "resize", Random: true, Draws: 5}, []attacks.Attack{naive, draw}, Fail, "missing gradients through resize, expectation"},
	} {
		e := &examination{Subject: &Subject{Threat: threat, Before: c.before}}
		for _, a := range c.ran {
			e.Results = append(e.Results, &attacks.Result{Attack: a})
		}
		f, err := adaptive(e)
		if err != nil || f.Verdict != c.verdict || !strings.Contains(f.Text, c.text) {
			t.Errorf("%s: %v %q, %v", c.name, f.Verdict, f.Text, err)
		}
	}
}
