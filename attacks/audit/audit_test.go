package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/attacks/attacktest"
	"rampart/attacks/audit"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/rng"
)

const n = 40

func trained(t *testing.T, eps float32, steps int) *nn.Model {
	t.Helper()
	m, err := attacktest.Trained(n, eps, steps)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// claim is what a careless evaluation of a victim says: clean accuracy, FGSM and PGD.
func claim(t *testing.T, v attacks.Victim, undefended attacks.Victim, eps float64) *audit.Subject {
	t.Helper()
	d, err := attacktest.Strokes(n, 2)
	if err != nil {
		t.Fatal(err)
	}
	threat := attacks.Threat{Norm: attacks.Linf, Epsilon: number(eps)}
	s := &audit.Subject{Victim: v, Data: d, Threat: threat, Undefended: undefended, N: n, Noise: rng.New(7, "checks"), Record: map[string]string{}}
	for _, f := range []string{audit.FactThreat, audit.FactModel, audit.FactN, audit.FactSeed, audit.FactInterval, audit.FactSelection, audit.FactOptions} {
		s.Record[f] = "known"
	}
	if s.Clean, err = attacks.Clean(v, d); err != nil {
		t.Fatal(err)
	}
	s.Results = append(s.Results, attack(t, v, pgd(threat, 40), d))
	return s
}

func attack(t *testing.T, v attacks.Victim, a attacks.Attack, d *data.Dataset) *attacks.Result {
	t.Helper()
	res, err := attacks.Run(v, a, d, rng.New(8, "evaluation"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

type number = configs.Number

func pgd(threat attacks.Threat, steps int) *attacks.PGD {
	return &attacks.PGD{Bound: attacks.Bound(threat), Steps: steps, StepSize: threat.Epsilon * 2.5 / number(float64(steps)),
		RandomStart: true, Runs: 1, Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
}

// with are the numbers of the checks with a verdict.
func with(list []audit.Finding, v audit.Verdict) (numbers []int) {
	for _, f := range list {
		if f.Verdict == v {
			numbers = append(numbers, f.Number)
		}
	}
	return numbers
}

// TestShams: each defence that only looks like one fails the checks that are made for it.
func TestShams(t *testing.T) {
	plain := trained(t, 0, 0)
	overfit := trained(t, attacktest.FGSMEpsilon, 1)
	for _, c := range []struct {
		name   string
		victim attacks.Victim
		eps    float64
		fails  []int
	}{
		{"quantised inputs", attacktest.Quantised(plain, 4), 0.2, []int{3, 7, 10}},
		{"probabilities of a saturated softmax", attacktest.Probabilities(plain, 20), 0.2, []int{10, 11}},
		{"the differentiated clamp", attacktest.Clamped(plain), 0.2, []int{7}},
		{"random shifts without EOT", attacktest.RandomShift(plain, 2), 0.2, []int{12}},
		{"plain FGSM training", overfit, attacktest.FGSMEpsilon, []int{15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := claim(t, c.victim, plain, c.eps)
			if c.victim == attacks.Victim(overfit) {
				s.Training = &attacks.FGSM{Bound: attacks.Bound(s.Threat), Loss: "cross_entropy"}
			}
			list, err := audit.Run(s)
			if err != nil {
				t.Fatal(err)
			}
			failed := with(list, audit.Fail)
			for _, number := range c.fails {
				if !slices.Contains(failed, number) {
					t.Errorf("check %d has not failed, but %v: %s", number, failed, list[number-1].Text)
				}
			}
			for _, f := range list {
				if f.Verdict == audit.Fail && len(f.Examples) == 0 && f.Number != 10 {
					t.Errorf("check %d fails without an example: %s", f.Number, f.Text)
				}
			}
		})
	}
}

// TestHonest: a network that withstands its attacks by itself fails no check; every check ran.
func TestHonest(t *testing.T) {
	list, err := audit.Run(claim(t, trained(t, 0.2, 3), trained(t, 0, 0), 0.2))
	if err != nil {
		t.Fatal(err)
	}
	if failed := with(list, audit.Fail); failed != nil {
		for _, i := range failed {
			t.Errorf("check %d failed: %s", i, list[i-1].Text)
		}
	}
	if skipped := with(list, audit.Skip); skipped != nil || len(list) != audit.Count() {
		t.Errorf("of %d checks %v were skipped", len(list), skipped)
	}
	for i, f := range list {
		if f.Number != i+1 || f.Name == "" || f.Text == "" {
			t.Errorf("finding %d: %+v", i, f)
		}
	}
}

// TestMissing: what the audit is not given shows as SKIP or FAIL, not as PASS.
func TestMissing(t *testing.T) {
	s := claim(t, trained(t, 0.2, 3), nil, 0.2)
	s.Record = nil
	s.Distilled = true
	list, err := audit.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if skipped := with(list, audit.Skip); !slices.Equal(skipped, []int{8, 14}) {
		t.Errorf("skipped %v, want 8 and 14", skipped)
	}
	for _, number := range []int{16, 17} {
		if list[number-1].Verdict != audit.Fail {
			t.Errorf("check %d: %v", number, list[number-1])
		}
	}
	if text := list[16].Text; !strings.Contains(text, "a margin loss") || !strings.Contains(text, "transfer") {
		t.Errorf("check 17: %s", text)
	}
}

// TestWeakClaim: a claim whose attack is far from its best loses points to check 5.
func TestWeakClaim(t *testing.T) {
	s := claim(t, trained(t, 0.2, 3), trained(t, 0, 0), 0.4)
	weak := pgd(s.Threat, 1)
	weak.StepSize = 0.01
	s.Results = []*attacks.Result{attack(t, s.Victim, weak, s.Data)}
	list, err := audit.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if f := list[4]; f.Verdict != audit.Fail || len(f.Examples) < 3 {
		t.Errorf("check 5: %+v", f)
	}
}

// TestSquareOfASequence: what random search adds within AutoAttack is not credited to the gradients
// before and after it.
func TestSquareOfASequence(t *testing.T) {
	plain := trained(t, 0, 0)
	s := claim(t, attacktest.Quantised(plain, 4), plain, 0.2)
	sequence := &attacks.AutoAttack{Bound: attacks.Bound(s.Threat), Version: "custom", Attacks: []string{"apgd_ce", "square", "apgd_ce"}, Steps: 20, Queries: 300}
	s.Results = append(s.Results, attack(t, s.Victim, sequence, s.Data))
	list, err := audit.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if f := list[6]; f.Verdict != audit.Fail || len(f.Examples) < 3 {
		t.Errorf("check 7: %+v", f)
	}
}

// TestGoesOn: an audit that is stopped goes on where it was, to the same findings.
func TestGoesOn(t *testing.T) {
	want, err := audit.Run(claim(t, trained(t, 0.2, 3), trained(t, 0, 0), 0.2))
	if err != nil {
		t.Fatal(err)
	}
	s := claim(t, trained(t, 0.2, 3), trained(t, 0, 0), 0.2)
	enough := errors.New("enough")
	s.Save = func(list []audit.Finding) error {
		s.Found = slices.Clone(list)
		if len(list)%5 == 0 {
			return enough
		}
		return nil
	}
	stops := 0
	for {
		got, err := audit.Run(s)
		if errors.Is(err, enough) {
			stops++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i].Text != want[i].Text || got[i].Verdict != want[i].Verdict || !slices.Equal(got[i].Examples, want[i].Examples) {
				t.Errorf("check %d: %+v, want %+v", i+1, got[i], want[i])
			}
		}
		break
	}
	if stops != 3 {
		t.Errorf("stopped %d times", stops)
	}
}
