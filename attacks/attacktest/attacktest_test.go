package attacktest

import (
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

const n = 200

func testSet(t *testing.T) *data.Dataset {
	t.Helper()
	d, err := Strokes(n, 2)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func network(t *testing.T, eps float32, steps int) *nn.Model {
	t.Helper()
	m, err := Trained(64, eps, steps)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t *testing.T, v attacks.Victim, a attacks.Attack) *attacks.Result {
	t.Helper()
	r, err := attacks.Run(v, a, testSet(t), rng.New(3, "attack"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pgd(eps float64) *attacks.PGD {
	a := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 1}, Steps: 40, StepSize: 0.1, RandomStart: true, Runs: 1, Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
	return a.At(eps).(*attacks.PGD)
}

// right is the share, in percent, that survives.
func right(t *testing.T, v attacks.Victim, a attacks.Attack) int {
	t.Helper()
	return run(t, v, a).Correct(testSet(t)) * 100 / n
}

// TestFGSMTrained: a network that knows how to answer FGSM, and PGD not at all.
func TestFGSMTrained(t *testing.T) {
	m := network(t, FGSMEpsilon, 1)
	fgsm := &attacks.FGSM{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: FGSMEpsilon}, Loss: "cross_entropy"}
	one, many := right(t, m, fgsm), right(t, m, pgd(FGSMEpsilon))
	t.Logf("FGSM %d %%, PGD %d %%", one, many)
	if one < 98 || many > 1 {
		t.Errorf("FGSM leaves %d %%, PGD %d %%", one, many)
	}
}

// TestHonest: a network trained with PGD withstands PGD, and nothing is hidden.
func TestHonest(t *testing.T) {
	m := network(t, 0.2, 3)
	plain, trained := right(t, network(t, 0, 0), pgd(0.2)), right(t, m, pgd(0.2))
	t.Logf("plain %d %%, trained with PGD %d %%", plain, trained)
	if plain > 40 || trained < 90 {
		t.Errorf("under PGD the plain network is right in %d %%, the trained one in %d %%", plain, trained)
	}
}

// TestMasked: each sham resists an attack that the network behind it does not, as long as the attack
// falls for it.
func TestMasked(t *testing.T) {
	m, eps := network(t, 0, 0), 0.2
	attack := pgd(eps)
	bare := right(t, m, attack)
	eot := &attacks.Expectation{Samples: 10}
	eot.Attack.Name, eot.Attack.Value = "pgd", attack
	for name, c := range map[string]struct {
		sham           attacks.Victim
		gain           int // in percent, over the bare network
		remedy         attacks.Victim
		remedied       attacks.Attack
		zero, unstable bool
	}{
		"quantised":     {Quantised(m, 3), 40, StraightThrough(m, 3), attack, true, false},
		"probabilities": {Probabilities(m, 1e4), 40, m, attack, true, false},
		"clamped":       {Clamped(m), 20, m, attack, false, false},
		"random shift":  {RandomShift(m, 2), 0, RandomShift(m, 2), eot, false, true},
	} {
		res := run(t, c.sham, attack)
		sham, remedied := res.Correct(testSet(t))*100/n, right(t, c.remedy, c.remedied)
		zero := float64(res.Counts.Zero) / float64(res.Counts.Gradients)
		t.Logf("%s: bare %d %%, sham %d %%, with the remedy %d %%, zero gradients %.2f", name, bare, sham, remedied, zero)
		if sham < bare+c.gain || remedied > sham-c.gain/2 {
			t.Errorf("%s: bare %d %%, sham %d %%, with the remedy %d %%", name, bare, sham, remedied)
		}
		if c.zero != (zero > 0.9) {
			t.Errorf("%s: a share of %.2f of zero gradients", name, zero)
		}
		if stable := slices.Equal(answers(t, c.sham, 1), answers(t, c.sham, 2)); stable == c.unstable {
			t.Errorf("%s: two answers to the same question agree: %v", name, stable)
		}
	}
}

func answers(t *testing.T, v attacks.Victim, noise uint64) []float32 {
	t.Helper()
	rows := v.Rows()
	d := testSet(t)
	b := d.NewBatch(rows)
	d.Fill(b, 0)
	x, z := v.New(rows*d.Size()), v.New(rows*Classes)
	x.Upload(b.X, 0)
	if err := v.Logits(&device.Call{Rows: rows, X: x, Logits: z, Noise: noise, Example: b.Index}); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, rows*Classes)
	z.Download(out, 0)
	return out
}
