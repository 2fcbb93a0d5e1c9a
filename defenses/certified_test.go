package defenses_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestGaussian: a step's rows are the images plus noise that depends on example, step and draw alone.
func TestGaussian(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	s := session(m, 6)
	got := step(t, &defenses.Gaussian{Sigma: 0.5, Draws: 2}, s, b)
	g := gradient(m)
	x, labels, noise := make([]float32, 0, 2*rows*pixels), []int32{}, make([]float32, pixels)
	for draw := range 2 {
		for r := range rows {
			s.Noise.Normal(noise, 0, 0.5, b.Index[r], 6, uint32(draw))
			for i, v := range noise {
				x = append(x, b.X[r*pixels+i]+v)
			}
		}
		labels = append(labels, b.Labels...)
	}
	if slices.Max(x) < 1.2 || slices.Min(x) > -0.2 {
		t.Errorf("noise is cut: values between %v and %v", slices.Min(x), slices.Max(x))
	}
	if want := byHand(t, m, x, labels, nn.CrossEntropy{}); !slices.Equal(g, want) {
		t.Error("the gradient is not that of the noisy rows")
	}
	if got.Rows != rows || got.CleanRows != 2*rows || got.AdversarialRows != 0 {
		t.Errorf("metrics %+v", got)
	}
}

// TestIBPSchedule: clean images first, then both move linearly to their values.
func TestIBPSchedule(t *testing.T) {
	d := &defenses.IBP{Epsilon: 0.4, Kappa: 0.5, Warmup: 0.1, Ramp: 0.4}
	for _, c := range []struct{ at, epsilon, kappa float64 }{{0, 0, 1}, {0.1, 0, 1}, {0.2, 0.1, 0.875}, {0.3, 0.2, 0.75}, {0.5, 0.4, 0.5}, {1, 0.4, 0.5}} {
		epsilon, kappa := d.At(c.at)
		if math.Abs(epsilon-c.epsilon)+math.Abs(kappa-c.kappa) > 1e-12 {
			t.Errorf("at %v: eps %v, kappa %v, want %v, %v", c.at, epsilon, kappa, c.epsilon, c.kappa)
		}
	}
	if epsilon, kappa := (&defenses.IBP{Epsilon: 0.4, Kappa: 0.5}).At(0); epsilon != 0.4 || kappa != 0.5 {
		t.Errorf("without a ramp: eps %v, kappa %v", epsilon, kappa)
	}
}

// addBounds adds to the gradient that of the mean loss of the worst logits within epsilon, behind what is before
// the network, if anything is.
func addBounds(t *testing.T, m *nn.Model, b *data.Batch, epsilon float64, before func(image []float32)) {
	t.Helper()
	bounds, err := nn.NewBounds(m, rows)
	if err != nil {
		t.Fatal(err)
	}
	bounds.Before = before
	box := make([]float32, 2*rows*pixels)
	bounds.Box(box, b.X, epsilon)
	c := &device.Call{Rows: rows, X: m.New(len(box)), Labels: b.Labels, Loss: nn.WorstCase{}, Scale: 1.0 / rows, Value: m.New(rows)}
	c.X.Upload(box, 0)
	if err := bounds.AddGrad(c); err != nil {
		t.Fatal(err)
	}
}

// TestIBP: the gradient is kappa times that of the clean images and 1-kappa times that of the bounds;
// with an eps of almost nothing both are the clean one.
func TestIBP(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	step(t, &defenses.IBP{Epsilon: 1e-6, Kappa: 0.25}, session(m, 0), b)
	if d := farthest(gradient(m), byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})); d > 1e-3 {
		t.Errorf("almost without a box the gradient is %v from the clean one", d)
	}
	s := session(m, 0)
	s.EpsilonScale = 0.5
	got := step(t, &defenses.IBP{Epsilon: 0.2, Kappa: 0.25}, s, b)
	g := gradient(m)
	clean := byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})
	addBounds(t, m, b, 0.1, nil)
	both := gradient(m)
	for i, v := range clean {
		both[i] = 0.25*v + 0.75*(both[i]-v)
	}
	if d := farthest(g, both); d > 1e-6 {
		t.Errorf("the gradient is %v from its parts", d)
	}
	if got.Rows != rows || got.CleanRows != rows || got.AdversarialRows != 0 {
		t.Errorf("metrics %+v", got)
	}
}

// TestMTLIBP: the gradient is 1-alpha times that of the adversarial examples of adversarial training, and alpha times
// that of the bounds around the clean images.
func TestMTLIBP(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	attack := func() configs.Choice[attacks.Attack] {
		c, err := configs.Choose[attacks.Attack]("pgd")
		if err != nil {
			t.Fatal(err)
		}
		pgd := c.Value.(*attacks.PGD)
		pgd.Epsilon, pgd.StepSize, pgd.Steps, pgd.EarlyStop, pgd.KeepBest = 0.2, 0.1, 3, false, false
		return c
	}
	adversarial := step(t, &defenses.PGDAT{Adversarial: 1, Mix: "share", With: attack()}, session(m, 0), b)
	want := gradient(m)
	addBounds(t, m, b, 0.1, nil)
	for i, both := range gradient(m) {
		want[i] = 0.75*want[i] + 0.25*(both-want[i])
	}
	s := session(m, 0)
	got := step(t, &defenses.MTLIBP{Alpha: 0.25, Epsilon: 0.1, With: attack()}, s, b)
	if d := farthest(gradient(m), want); d > 1e-6 {
		t.Errorf("the gradient is %v from its parts", d)
	}
	if got.AdversarialRows != rows || got.CleanRows != 0 || got.Gradients != adversarial.Gradients || got.Gradients == 0 {
		t.Errorf("metrics %+v, those of adversarial training %+v", got, adversarial)
	}
	s = session(m, 0)
	s.EpsilonScale = 0 // both at once: the clean loss twice
	step(t, &defenses.MTLIBP{Alpha: 0.25, Epsilon: 0.1, With: attack()}, s, b)
	if d := farthest(gradient(m), byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})); d > 1e-5 {
		t.Errorf("at an epsilon of 0 the gradient is %v from the clean one", d)
	}
}

// TestCROWNIBP: beta falls with the ramp; the gradient is that of the clean images and of the mixed bounds,
// and with nothing but intervals that of IBP.
func TestCROWNIBP(t *testing.T) {
	d := &defenses.CROWNIBP{IBP: defenses.IBP{Epsilon: 0.2, Kappa: 0.25, Warmup: 0.1, Ramp: 0.4}, Beta: 0.2}
	for at, want := range map[float64]float64{0: 1, 0.1: 1, 0.3: 0.6, 0.5: 0.2, 1: 0.2} {
		if got := d.BetaAt(at); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: beta %v, want %v", at, got, want)
		}
	}
	var before []float32
	for _, threads := range []int{1, 3} {
		m, b := model(t, threads, 1, hidden), batch(1)
		s := session(m, 0)
		s.Progress, s.EpsilonScale = 0.3, 0.5
		got := step(t, d, s, b)
		g := gradient(m)
		if before != nil && !slices.Equal(g, before) {
			t.Error("another number of threads gives another gradient")
		}
		before = g
		clean := byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})
		crown, err := nn.NewCrown(m, rows)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := crown.AddGrad(b.X, b.Labels, 0.05, 0.6, 1.0/rows)
		if err != nil {
			t.Fatal(err)
		}
		both := gradient(m)
		for i, v := range clean {
			both[i] = 0.625*v + 0.375*(both[i]-v)
		}
		if d := farthest(g, both); d > 1e-6 {
			t.Errorf("the gradient is %v from its parts", d)
		}
		if got.Rows != rows || !(got.Loss > 0.375*loss) {
			t.Errorf("metrics %+v, the worst case alone has a loss of %v", got, loss)
		}
	}
	m, b := model(t, 2, 1, hidden), batch(1)
	s := session(m, 0)
	s.Progress = 1
	step(t, &d.IBP, s, b)
	want := gradient(m)
	if step(t, &defenses.CROWNIBP{IBP: d.IBP}, s, b); !slices.Equal(gradient(m), want) {
		t.Error("with beta 0 the step is not that of ibp")
	}
	in := nn.Shape{H: 5, W: 5, C: 1}
	pooled, err := nn.Build(nn.Spec{Arch: "custom", Options: &nn.Custom{List: []nn.Layer{{Type: "maxpool", Kernel: 2}, {Type: "dense"}}}, Input: in, Classes: classes}, cpu.New(1), rows, rng.New(1, "init"))
	if err != nil {
		t.Fatal(err)
	}
	if err := defenses.Suits(d, pooled); err == nil || !strings.Contains(err.Error(), "maxpool") {
		t.Errorf("a network with max pooling: error %v", err)
	}
	if err := defenses.Suits(&d.IBP, pooled); err != nil {
		t.Errorf("IBP of it: %v", err)
	}
}

func TestCertifiedOptions(t *testing.T) {
	for want, d := range map[string]defenses.Defense{
		"beta":      &defenses.CROWNIBP{IBP: defenses.IBP{Epsilon: 0.1}, Beta: 2},
		"sigma":     &defenses.Gaussian{Draws: 1},
		"draws":     &defenses.Gaussian{Sigma: 1},
		"eps":       &defenses.IBP{Epsilon: 1.5},
		"alpha":     &defenses.MTLIBP{Alpha: 1, Epsilon: 0.1},
		"attack":    &defenses.MTLIBP{Alpha: 0.1, Epsilon: 0.1},
		"kappa":     &defenses.IBP{Epsilon: 0.1, Kappa: 1},
		"warmup":    &defenses.IBP{Epsilon: 0.1, Warmup: 1},
		"base.name": &defenses.AWP{Gamma: 0.01, Base: configs.Choice[defenses.Defense]{Name: "ibp", Value: &defenses.IBP{Epsilon: 0.1}}},
		"bounds":    &defenses.AWP{Gamma: 0.01, Base: configs.Choice[defenses.Defense]{Name: "crown_ibp", Value: &defenses.CROWNIBP{IBP: defenses.IBP{Epsilon: 0.1}}}},
		"ramp":      &defenses.IBP{Epsilon: 0.1, Warmup: 0.6, Ramp: 0.5},
	} {
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one of %q", d, err, want)
		}
	}
}
