package defenses_test

import (
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
)

var hidden = nn.MLP{Hidden: []int{12}}

// pairedByHand is the gradient of a loss on adversarial rows and the clean ones below them.
func pairedByHand(t *testing.T, m *nn.Model, adv []float32, b *data.Batch, soft []float32, loss device.Loss) []float32 {
	t.Helper()
	x, s := m.New(2*rows*pixels), m.New(2*rows*classes)
	x.Upload(slices.Concat(adv, b.X), 0)
	s.Upload(slices.Concat(soft, soft), 0)
	if err := m.ParamGrad(&device.Call{Rows: 2 * rows, X: x, Labels: slices.Concat(b.Labels, b.Labels), Soft: s, Loss: loss, Scale: 1. / rows}); err != nil {
		t.Fatal(err)
	}
	return gradient(m)
}

// logitsOf are a network's for a batch, in evaluation.
func logitsOf(t *testing.T, m *nn.Model, b *data.Batch) []float32 {
	t.Helper()
	x, z, host := m.New(len(b.X)), m.New(rows*classes), make([]float32, rows*classes)
	x.Upload(b.X, 0)
	if err := m.Logits(&device.Call{Rows: rows, X: x, Logits: z}); err != nil {
		t.Fatal(err)
	}
	z.Download(host, 0)
	return host
}

// iterate runs a loop on a batch by hand, at the random numbers of a session's step.
func iterate(t *testing.T, m *nn.Model, b *data.Batch, s *defenses.Session, loss device.Loss, soft []float32, l device.Loop) []float32 {
	t.Helper()
	x, z, host := m.New(len(b.X)), m.New(rows*classes), make([]float32, len(b.X))
	x.Upload(b.X, 0)
	z.Upload(soft, 0)
	l.Adv, l.Example, l.Noise, l.Restart = m.New(len(b.X)), b.Index, s.Noise, uint32(s.Step)
	if _, err := m.Iterate(&device.Call{Rows: rows, X: x, Labels: b.Labels, Soft: z, Loss: loss, Scale: 1}, &l); err != nil {
		t.Fatal(err)
	}
	l.Adv.Download(host, 0)
	return host
}

func pgd(t *testing.T, set func(a *attacks.PGD)) configs.Choice[attacks.Attack] {
	t.Helper()
	c, err := configs.Choose[attacks.Attack]("pgd")
	if err != nil {
		t.Fatal(err)
	}
	a := c.Value.(*attacks.PGD)
	a.Steps, a.StepSize, a.Epsilon, a.RandomStart, a.EarlyStop, a.KeepBest = 3, 0.04, 0.1, false, false, false
	set(a)
	return c
}

// TestPairs: what each defence of paired rows asks for, attack and loss, is what its paper says.
func TestPairs(t *testing.T) {
	near := device.Loop{Steps: 3, StepSize: 0.04, Epsilon: 0.1, Start: device.FromNormal, StartStd: 0.001}
	uniform, clean := near, near
	uniform.Start, uniform.StartStd = device.FromUniform, 0
	clean.Start, clean.StartStd = device.FromClean, 0
	plain, random := pgd(t, func(*attacks.PGD) {}), pgd(t, func(a *attacks.PGD) { a.RandomStart = true })
	for _, c := range []struct {
		name     string
		defence  defenses.Defense
		loss     device.Loss
		attack   device.Loss // of the inner maximisation
		loop     device.Loop
		fromSelf bool // soft targets of the attack are the network's own, not the teacher's
	}{
		{"trades", &defenses.TRADES{Beta: 3, With: plain}, nn.TRADES{Beta: 3}, nn.Distill{}, near, true},
		{"trades, smoothed", &defenses.TRADES{Beta: 1, With: random, Smoothing: defenses.Smoothing{Label: 0.25}}, nn.TRADES{Beta: 1, Smoothing: 0.25}, nn.Distill{}, uniform, true},
		{"mart", &defenses.MART{Beta: 5, With: plain}, nn.MART{Beta: 5}, nn.CrossEntropy{}, near, false},
		{"alp", &defenses.ALP{Weight: 0.5, With: random}, nn.LogitPairing{Weight: 0.5}, nn.CrossEntropy{}, uniform, false},
		{"alp, smoothed", &defenses.ALP{Weight: 2, With: plain, Smoothing: defenses.Smoothing{Label: 0.25}}, nn.LogitPairing{Weight: 2, Smoothing: 0.25}, nn.CrossEntropy{}, clean, false},
		{"mixed loss", &defenses.PGDAT{Adversarial: 0.25, Mix: "loss", With: plain}, nn.Mixed{Adversarial: 0.25}, nn.CrossEntropy{}, clean, false},
		{"ard", &defenses.ARD{Alpha: 0.75, Temperature: 4, With: random}, nn.ARD{Alpha: 0.75, Temperature: 4}, nn.CrossEntropy{}, uniform, false},
		{"rslad", &defenses.RSLAD{Alpha: 0.75, With: plain}, nn.RSLAD{Alpha: 0.75}, nn.Distill{}, near, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, teacher, b := model(t, 2, 1, hidden), model(t, 2, 5, hidden), batch(1)
			s := session(m, 6)
			if defenses.NeedsTeacher(c.defence) {
				s.Teacher = teacher
			}
			got := step(t, c.defence, s, b)
			g := gradient(m)
			soft := logitsOf(t, teacher, b)
			inner := soft
			if c.fromSelf {
				inner = logitsOf(t, m, b)
			}
			adv := iterate(t, m, b, s, c.attack, inner, c.loop)
			if !slices.Equal(g, pairedByHand(t, m, adv, b, soft, c.loss)) {
				t.Error("the gradient is not that of the loss on the attack's examples")
			}
			if got.Rows != rows || got.AdversarialRows != rows || got.CleanRows != rows || got.Gradients != 3*rows {
				t.Errorf("metrics %+v", got)
			}
			if slices.Equal(g, pairedByHand(t, m, b.X, b, soft, c.loss)) {
				t.Error("clean rows give the same gradient: the test shows nothing")
			}
		})
	}
}

// TestOwnLoss: what cannot learn from soft labels says so, also below AWP.
func TestOwnLoss(t *testing.T) {
	smooth := defenses.Smoothing{Label: 0.1}
	wrap := func(d defenses.Defense) defenses.Defense {
		return &defenses.AWP{Gamma: 0.01, Base: configs.Choice[defenses.Defense]{Name: "base", Value: d}}
	}
	for _, c := range []struct {
		d    defenses.Defense
		want bool
	}{
		{&defenses.Natural{}, false}, {&defenses.Natural{Smoothing: smooth}, true}, {&defenses.PGDAT{Adversarial: 0.5, Mix: "share"}, false},
		{&defenses.PGDAT{Adversarial: 0.5, Mix: "loss"}, true}, {&defenses.PGDAT{Adversarial: 1, Mix: "loss"}, false}, {&defenses.FGSMRS{}, false},
		{&defenses.TRADES{}, true}, {&defenses.ARD{}, true}, {wrap(&defenses.TRADES{}), true}, {wrap(&defenses.Natural{}), false},
	} {
		if got := defenses.HasOwnLoss(c.d); got != c.want {
			t.Errorf("%T%+v: %v", c.d, c.d, got)
		}
	}
	for _, c := range []struct {
		d             defenses.Defense
		rows, replays int
		guard         float64
		student       bool
	}{
		{wrap(&defenses.TRADES{}), 20, 1, 0, false}, {wrap(&defenses.FreeAT{M: 3}), 10, 3, 0, false},
		{wrap(&defenses.FGSMRS{Drop: 0.2}), 10, 1, 0.2, false}, {wrap(&defenses.RSLAD{}), 20, 1, 0, true}, {&defenses.Natural{}, 10, 1, 0, false},
	} {
		if r, p, g, s := defenses.Rows(c.d, 10), defenses.Replays(c.d), defenses.Guard(c.d), defenses.NeedsTeacher(c.d); r != c.rows || p != c.replays || g != c.guard || s != c.student {
			t.Errorf("%T: %d rows, %d replays, guard %v, student %v", c.d, r, p, g, s)
		}
	}
}

// TestWork: what a plan multiplies with.
func TestWork(t *testing.T) {
	five := pgd(t, func(a *attacks.PGD) { a.Steps = 5 })
	base := func(d defenses.Defense) configs.Choice[defenses.Defense] {
		return configs.Choice[defenses.Defense]{Name: "base", Value: d}
	}
	for _, c := range []struct {
		d              defenses.Defense
		attack, update float64
	}{
		{&defenses.Natural{}, 0, 1},
		{&defenses.PGDAT{Adversarial: 0.5, Mix: "share", With: five}, 2.5, 1},
		{&defenses.PGDAT{Adversarial: 0.5, Mix: "loss", With: five}, 5, 2},
		{&defenses.TRADES{With: five}, 5, 2},
		{&defenses.AWP{Base: base(&defenses.TRADES{With: five})}, 5, 4},
		{&defenses.FreeAT{M: 8}, 0, 1},
		{&defenses.Union{Combine: "max", With: []configs.Choice[attacks.Attack]{five, five}}, 10, 1},
		{&defenses.Union{Combine: "average", With: []configs.Choice[attacks.Attack]{five, five}}, 10, 2},
	} {
		if a, u := defenses.Work(c.d); a != c.attack || u != c.update {
			t.Errorf("%T: %v gradients in the image and %v rows, want %v and %v", c.d, a, u, c.attack, c.update)
		}
	}
}
