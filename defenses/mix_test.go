package defenses_test

import (
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// mixedBatch is a batch whose examples have a second label, the first with the given weight.
func mixedBatch(weight float32) *data.Batch {
	b := batch(1)
	b.Mix = &data.Mix{}
	for _, y := range b.Labels {
		b.Mix.Labels, b.Mix.Weight = append(b.Mix.Labels, (y+1)%classes), append(b.Mix.Weight, weight)
	}
	return b
}

// TestMixedLabels: where the labels do not change the attack, a step's gradient and loss are the weighted
// sums of those for either label.
func TestMixedLabels(t *testing.T) {
	const weight = 0.7
	share, _ := painting(0.5)
	loss, _ := painting(0.5)
	loss.Mix, loss.Label = "loss", 0.1
	trades, err := registry.New[defenses.Defense]("trades")
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]defenses.Defense{
		"natural": &defenses.Natural{}, "smoothed": &defenses.Natural{Smoothing: defenses.Smoothing{Label: 0.2}},
		"share": share, "loss": loss, "trades": trades, "alp": &defenses.ALP{Weight: 0.5, With: share.With},
	} {
		if !defenses.TakesMix(d) {
			t.Fatalf("%s takes none", name)
		}
		m, b := model(t, 2, 1, hidden), mixedBatch(weight)
		got := step(t, d, session(m, 3), b)
		g := gradient(m)
		plain := *b
		plain.Mix = nil
		first := step(t, d, session(m, 3), &plain)
		want := gradient(m)
		plain.Labels = b.Mix.Labels
		second := step(t, d, session(m, 3), &plain)
		for i, v := range gradient(m) {
			want[i] = weight*want[i] + (1-weight)*v
		}
		if d := farthest(g, want); d > 1e-6 {
			t.Errorf("%s: the gradient is %v from the weighted sum", name, d)
		}
		if w := weight*first.Loss + (1-weight)*second.Loss; math.Abs(got.Loss-w) > 1e-4*w {
			t.Errorf("%s: loss %v, want %v", name, got.Loss, w)
		}
		if got.CleanCorrect != first.CleanCorrect || got.AdversarialCorrect != first.AdversarialCorrect {
			t.Errorf("%s: metrics %+v, with the first label alone %+v", name, got, first)
		}
	}
}

// TestMixOfOne: with all the weight on one label every defence that takes mixed examples makes the step
// that it makes without.
func TestMixOfOne(t *testing.T) {
	n := 0
	for _, name := range registry.Names[defenses.Defense]() {
		d, err := registry.New[defenses.Defense](name)
		if err != nil {
			t.Fatal(err)
		}
		if !defenses.TakesMix(d) {
			continue
		}
		n++
		m, b := model(t, 2, 1, hidden), mixedBatch(1)
		if defenses.Suits(d, m) != nil {
			m = denoised(t, 2)
		}
		step(t, d, session(m, 3), b)
		g := gradient(m)
		b.Mix = nil
		step(t, d, session(m, 3), b)
		if d := farthest(g, gradient(m)); d > 1e-6 {
			t.Errorf("%s: the gradient is %v from that without a second label", name, d)
		}
	}
	if n < 6 {
		t.Errorf("only %d defences take mixed examples", n)
	}
	for _, name := range []string{"mart", "ibp", "friendly"} {
		if d, _ := registry.New[defenses.Defense](name); defenses.TakesMix(d) {
			t.Errorf("%s takes mixed examples", name)
		}
	}
}

// TestMixAttack: the training attack ascends the mixed cross-entropy, also on a part of the batch.
func TestMixAttack(t *testing.T) {
	const weight, eps = 0.6, 0.1
	for _, only := range []bool{false, true} {
		m, b := model(t, 2, 1, hidden), mixedBatch(weight)
		pgd := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: eps}, Steps: 1, StepSize: eps, Runs: 1, Loss: "cross_entropy"}
		d := &defenses.PGDAT{Adversarial: 1, Mix: "share", OnlyCorrect: only, With: configs.Choice[attacks.Attack]{Name: "pgd", Value: pgd}}
		x := m.New(len(b.X))
		x.Upload(b.X, 0)
		inputGrad := func(labels []int32) []float32 {
			c := device.Call{Rows: rows, X: x, InputGrad: m.New(len(b.X)), Logits: m.New(rows * classes), Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1}
			if err := m.InputGrad(&c); err != nil {
				t.Fatal(err)
			}
			g := make([]float32, len(b.X))
			c.InputGrad.Download(g, 0)
			z := make([]float32, rows*classes)
			c.Logits.Download(z, 0)
			for r, y := range b.Labels {
				if only && device.Argmax(z[r*classes:][:classes]) != int(y) {
					clear(g[r*pixels:][:pixels])
				}
			}
			return g
		}
		one, two := inputGrad(b.Labels), inputGrad(b.Mix.Labels)
		moved, still := slices.Clone(b.X), 0
		for i, v := range one {
			g := weight*v + (1-weight)*two[i]
			if g == 0 {
				still++
				continue
			}
			moved[i] = float32(min(max(float64(moved[i])+math.Copysign(eps, float64(g)), 0), 1))
		}
		if only != (still > 0) || still == len(one) {
			t.Fatalf("only_correct %v: %d of %d pixels stay: the test shows nothing", only, still, len(one))
		}
		step(t, d, session(m, 0), b)
		g := gradient(m)
		want := byHand(t, m, moved, b.Labels, nn.CrossEntropy{})
		for i, v := range byHand(t, m, moved, b.Mix.Labels, nn.CrossEntropy{}) {
			want[i] = weight*want[i] + (1-weight)*v
		}
		if d := farthest(g, want); d > 1e-5 {
			t.Errorf("only_correct %v: the gradient is %v from that of the examples which the mixed loss makes", only, d)
		}
	}
}
