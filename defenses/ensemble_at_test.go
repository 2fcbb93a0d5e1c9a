package defenses_test

import (
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/defenses"
	"rampart/nn"
)

// TestEnsembleAT: the examples of a step are those of one network, drawn evenly from the one in
// training and the static ones.
func TestEnsembleAT(t *testing.T) {
	d := &defenses.EnsembleAT{Adversarial: 0.5, With: pgd(t, func(a *attacks.PGD) {
		a.Steps, a.Epsilon, a.StepSize, a.EarlyStop, a.KeepBest = 3, 0.2, 0.1, false, false
	})}
	m := model(t, 1, 1, nn.MLP{Hidden: []int{12}})
	s := session(m, 0)
	if _, err := d.Step(s, batch(1)); err == nil || !strings.Contains(err.Error(), "no pretrained networks") {
		t.Errorf("without sources: %v", err)
	}
	s.Sources = []*nn.Model{model(t, 1, 2, nn.MLP{Hidden: []int{7}}), model(t, 1, 3, nn.MLP{})}
	candidates := append([]*nn.Model{m}, s.Sources...)
	chosen := make([]int, len(candidates))
	const steps = 60
	for i := range steps {
		b := batch(uint64(i))
		s.Step = i
		if got := step(t, d, s, b); got.AdversarialRows != rows/2 || got.CleanRows != rows/2 {
			t.Fatalf("metrics %+v", got)
		}
		got, fits := gradient(m), 0
		for k, c := range candidates {
			x, adv := c.New(len(b.X)), c.New(len(b.X))
			x.Upload(b.X, 0)
			adv.Upload(b.X, 0)
			part := &attacks.Batch{X: x, Labels: b.Labels[:rows/2], Index: b.Index[:rows/2]}
			if _, err := d.With.Value.Perturb(c, part, adv, attacks.Draw{Stream: s.Noise, Restart: uint32(i)}); err != nil {
				t.Fatal(err)
			}
			moved := make([]float32, len(b.X))
			adv.Download(moved, 0)
			if farthest(byHand(t, m, moved, b.Labels, nn.CrossEntropy{}), got) < 1e-6 {
				chosen[k]++
				fits++
			}
		}
		if fits != 1 {
			t.Fatalf("step %d: the examples are those of %d networks", i, fits)
		}
	}
	// Binomial(60, 1/3): fewer than 8 has a probability of 2e-4 for each of three.
	for k, n := range chosen {
		if n < 8 {
			t.Errorf("network %d was drawn %d times in %d steps", k, n, steps)
		}
	}
}
