package defenses_test

import (
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
)

func random(a *attacks.PGD) { a.RandomStart = true }

// TestOnlyCorrect: examples that are wrong already stay as they are, the others are attacked as ever.
func TestOnlyCorrect(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	z := logitsOf(t, m, b)
	right := 0
	for r := range rows {
		if r%3 > 0 {
			b.Labels[r] = int32(device.Argmax(z[r*classes : (r+1)*classes]))
		}
	}
	s := session(m, 6)
	want := iterate(t, m, b, s, nn.CrossEntropy{}, z, device.Loop{Steps: 3, StepSize: 0.04, Epsilon: 0.1, Start: device.FromUniform})
	for r := range rows {
		if device.Argmax(z[r*classes:(r+1)*classes]) != int(b.Labels[r]) || r >= 8 {
			copy(want[r*pixels:(r+1)*pixels], b.X[r*pixels:(r+1)*pixels])
		} else {
			right++
		}
	}
	if right < 3 || right > 7 {
		t.Fatalf("%d of %d are right: the test shows little", right, rows)
	}
	got := step(t, &defenses.PGDAT{Adversarial: 0.8, Mix: "share", OnlyCorrect: true, With: pgd(t, random)}, s, b)
	if g := gradient(m); !slices.Equal(g, byHand(t, m, want, b.Labels, nn.CrossEntropy{})) {
		t.Error("the gradient is not that of a batch where only what is right was attacked")
	}
	if got.Gradients != 3*right || got.AdversarialRows != 8 {
		t.Errorf("metrics %+v, %d examples are right", got, right)
	}
}

// TestSmoothing: the option reaches the loss.
func TestSmoothing(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	smooth := defenses.Smoothing{Label: 0.25}
	step(t, &defenses.Natural{Smoothing: smooth}, session(m, 0), b)
	if g := gradient(m); !slices.Equal(g, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{Smoothing: 0.25})) {
		t.Error("natural training is not smoothed")
	}
	d, _ := painting(0.5)
	d.Smoothing = smooth
	step(t, d, session(m, 0), b)
	if g := gradient(m); !slices.Equal(g, byHand(t, m, paintedBatch(b, 5), b.Labels, nn.CrossEntropy{Smoothing: 0.25})) {
		t.Error("adversarial training is not smoothed")
	}
}

// TestFast: FGSM-RS takes the gradient at its uniform start as it was drawn, outside of [0,1] too, and cuts
// what a step of 1.25 eps from there gives (Wong et al. 2020, algorithm 3 and the authors' MNIST code).
func TestFast(t *testing.T) {
	const eps = 0.3
	m, b := model(t, 2, 1, hidden), batch(1)
	fast, err := configs.Choose[defenses.Defense]("fgsm_rs")
	if err != nil {
		t.Fatal(err)
	}
	s := session(m, 3)
	got := step(t, fast.Value, s, b)
	g := gradient(m)
	delta, moved, outside := make([]float32, rows*pixels), make([]float32, rows*pixels), 0
	for r := range rows {
		s.Noise.Uniform(delta[r*pixels:][:pixels], -eps, eps, b.Index[r], 3, 0)
	}
	for i, v := range b.X {
		if moved[i] = v + delta[i]; moved[i] < 0 || moved[i] > 1 {
			outside++
		}
	}
	if outside == 0 {
		t.Error("no start leaves [0,1]: the test shows little")
	}
	c := device.Call{Rows: rows, X: m.New(len(moved)), InputGrad: m.New(len(moved)), Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1}
	c.X.Upload(moved, 0)
	if err := m.InputGrad(&c); err != nil {
		t.Fatal(err)
	}
	c.InputGrad.Download(moved, 0)
	adv := slices.Clone(b.X)
	for i, v := range moved {
		move := float64(delta[i])
		if v != 0 {
			move += math.Copysign(1.25*eps, float64(v))
		}
		adv[i] = float32(min(max(float64(adv[i])+min(max(move, -eps), eps), 0), 1))
	}
	if d := farthest(g, byHand(t, m, adv, b.Labels, nn.CrossEntropy{})); d > 1e-5 {
		t.Errorf("the gradient is %v from that on its examples", d)
	}
	if got.AdversarialRows != rows || got.Gradients != rows || got.ZeroGradients != 0 {
		t.Errorf("metrics %+v", got)
	}
	// Only its own attack is made so: pgd_at's begins where attacks do, within [0,1].
	choice, err := configs.Choose[attacks.Attack]("fgsm")
	if err != nil {
		t.Fatal(err)
	}
	choice.Value.(*attacks.FGSM).RandomStart = true
	step(t, &defenses.PGDAT{Adversarial: 1, Mix: "share", With: choice}, s, b)
	if slices.Equal(gradient(m), g) {
		t.Error("pgd_at with the same attack makes the same step")
	}
}

// TestFriendly: tau rises with progress, and each example stops by it.
func TestFriendly(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	z := logitsOf(t, m, b)
	for r := range rows {
		b.Labels[r] = int32(device.Argmax(z[r*classes : (r+1)*classes]))
	}
	d := &defenses.Friendly{TauFinal: 2, With: pgd(t, func(a *attacks.PGD) { a.Steps, a.Epsilon = 8, 0.3 })}
	var all [][]float32
	for i, progress := range []float64{0, 0.34, 0.99} {
		s := session(m, 2)
		s.Progress = progress
		step(t, d, s, b)
		got := gradient(m)
		adv := iterate(t, m, b, s, nn.CrossEntropy{}, z, device.Loop{Steps: 8, StepSize: 0.04, Epsilon: 0.3, EarlyStop: true, Tau: i})
		if !slices.Equal(got, byHand(t, m, adv, b.Labels, nn.CrossEntropy{})) {
			t.Errorf("progress %v: tau is not %d", progress, i)
		}
		all = append(all, adv)
	}
	if slices.Equal(all[0], all[1]) || slices.Equal(all[1], all[2]) {
		t.Error("tau makes no difference: the test shows nothing")
	}
}

// TestCurriculum: the training attack's steps grow, and never fall below one.
func TestCurriculum(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	for _, c := range []struct {
		scale float64
		want  int
	}{{0, 1}, {0.1, 1}, {0.5, 4}, {0.7, 6}, {1, 8}} {
		at := func(scale float64, steps int) []float32 {
			s := session(m, 2)
			s.StepsScale = scale
			d := &defenses.TRADES{Beta: 6, With: pgd(t, func(a *attacks.PGD) { a.Steps, a.StepSize = steps, 0.01 })}
			if got := step(t, d, s, b); got.Gradients != c.want*rows {
				t.Errorf("scale %v of %d steps: %d gradients", scale, steps, got.Gradients)
			}
			return gradient(m)
		}
		if !slices.Equal(at(c.scale, 8), at(1, c.want)) {
			t.Errorf("a curriculum at %v of 8 steps is not %d steps", c.scale, c.want)
		}
	}
	// An attack without steps keeps none.
	s, noise := session(m, 0), configs.Choice[attacks.Attack]{Name: "noise", Value: &attacks.Noise{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, Runs: 1}}
	s.StepsScale = 0.5
	if got := step(t, &defenses.PGDAT{Adversarial: 1, Mix: "share", With: noise}, s, b); got.Gradients != 0 {
		t.Errorf("noise takes %d gradients", got.Gradients)
	}
}

// TestUnion: the strongest of each example's versions, or all of them.
func TestUnion(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	linf, l2 := pgd(t, random), pgd(t, func(a *attacks.PGD) { a.Norm, a.Epsilon, a.StepSize = attacks.L2, 0.36, 0.15 })
	s := session(m, 4)
	versions := [][]float32{
		iterate(t, m, b, s, nn.CrossEntropy{}, nil, device.Loop{Steps: 3, StepSize: 0.04, Epsilon: 0.1, Start: device.FromUniform}),
		iterate(t, m, b, s, nn.CrossEntropy{}, nil, device.Loop{Steps: 3, StepSize: 0.15, Epsilon: 0.36, Norm: device.L2}),
	}
	average := &defenses.Union{Combine: "average", With: []configs.Choice[attacks.Attack]{linf, l2}}
	got := step(t, average, s, b)
	if got.Rows != 2*rows || got.AdversarialRows != 2*rows || got.CleanRows != 0 || got.Gradients != 6*rows {
		t.Errorf("average: metrics %+v", got)
	}
	g := gradient(m)
	if !slices.Equal(g, byHand(t, m, slices.Concat(versions...), slices.Concat(b.Labels, b.Labels), nn.CrossEntropy{})) {
		t.Error("average: the gradient is not that of all versions")
	}
	worst, picked := slices.Clone(versions[0]), 0
	var losses [2][]float32
	for i, v := range versions {
		x, value := m.New(len(v)), m.New(rows)
		x.Upload(v, 0)
		if err := m.InputGrad(&device.Call{Rows: rows, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1, Value: value}); err != nil {
			t.Fatal(err)
		}
		losses[i] = make([]float32, rows)
		value.Download(losses[i], 0)
	}
	for r := range rows {
		if losses[1][r] > losses[0][r] {
			copy(worst[r*pixels:(r+1)*pixels], versions[1][r*pixels:])
			picked++
		}
	}
	if picked == 0 || picked == rows {
		t.Fatalf("the second attack is stronger on %d of %d: the test shows little", picked, rows)
	}
	strongest := &defenses.Union{Combine: "max", With: []configs.Choice[attacks.Attack]{linf, l2}}
	if got := step(t, strongest, s, b); got.Rows != rows || got.AdversarialRows != rows {
		t.Errorf("max: metrics %+v", got)
	}
	if g := gradient(m); !slices.Equal(g, byHand(t, m, worst, b.Labels, nn.CrossEntropy{})) {
		t.Error("max: the gradient is not that of the strongest versions")
	}
	if got := defenses.ThreatModel(strongest); got != "Linf, eps 0.1 and L2, eps 0.36" {
		t.Errorf("threat model %q", got)
	}
}

// TestFree follows the perturbation over three replays and into the next batch, in both norms.
func TestFree(t *testing.T) {
	for _, norm := range []attacks.Norm{attacks.Linf, attacks.L2} {
		m := model(t, 2, 1, hidden)
		d := &defenses.FreeAT{Bound: attacks.Bound{Norm: norm, Epsilon: 0.3}, StepSize: 0.2, M: 3}
		s, delta := session(m, 0), make([]float64, rows*pixels)
		for n, seed := range []uint64{1, 1, 1, 2} {
			b := batch(seed)
			moved, x, dx := make([]float32, rows*pixels), m.New(rows*pixels), m.New(rows*pixels)
			for i := range moved {
				moved[i] = min(max(b.X[i]+float32(delta[i]), 0), 1)
			}
			s.Step = n
			if got := step(t, d, s, b); got.AdversarialRows != rows || got.Gradients != rows {
				t.Errorf("metrics %+v", got)
			}
			got := gradient(m)
			if d := farthest(got, byHand(t, m, moved, b.Labels, nn.CrossEntropy{})); d > 1e-6 {
				t.Fatalf("%v, replay %d: the gradient is off by %v", norm, n, d)
			}
			x.Upload(moved, 0)
			if err := m.InputGrad(&device.Call{Rows: rows, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1, InputGrad: dx}); err != nil {
				t.Fatal(err)
			}
			grad := make([]float32, rows*pixels)
			dx.Download(grad, 0)
			for r := range rows {
				g, row, sum, size := grad[r*pixels:(r+1)*pixels], delta[r*pixels:(r+1)*pixels], 0.0, 0.0
				for _, v := range g {
					sum += float64(v) * float64(v)
				}
				for i, v := range g {
					if norm == attacks.L2 {
						row[i] += 0.2 * float64(v) / math.Sqrt(sum)
					} else {
						row[i] = min(max(row[i]+math.Copysign(0.2, float64(v)), -0.3), 0.3)
					}
					size += row[i] * row[i]
				}
				if size = math.Sqrt(size); norm == attacks.L2 && size > 0.3 {
					for i := range row {
						row[i] *= 0.3 / size
					}
				}
			}
			for i, v := range s.State["free_at delta"] {
				if math.Abs(float64(v)-delta[i]) > 1e-5 {
					t.Fatalf("%v, replay %d: perturbation[%d] is %v, by hand %v", norm, n, i, v, delta[i])
				}
			}
		}
		clear(s.State)
		s.EpsilonScale = 0
		step(t, d, s, batch(1))
		if g := gradient(m); !slices.Equal(g, byHand(t, m, batch(1).X, batch(1).Labels, nn.CrossEntropy{})) {
			t.Error("at epsilon 0 the batch is not clean")
		}
	}
}

// TestAWP: the base's gradient at perturbed weights, on examples made at the weights as they are;
// the weights keep every bit, and before the end of the warm-up the base is alone.
func TestAWP(t *testing.T) {
	m, b := model(t, 2, 1, hidden), batch(1)
	d, _ := painting(0.5)
	awp := &defenses.AWP{Gamma: 0.1, Warmup: 0.5, Base: configs.Choice[defenses.Defense]{Name: "pgd_at", Value: d}}
	step(t, d, session(m, 0), b)
	plain, before := gradient(m), m.Weights()
	grads := m.Gradients()

	s := session(m, 0)
	s.Progress = 0.49
	step(t, awp, s, b)
	if !slices.Equal(gradient(m), plain) {
		t.Error("in its warm-up AWP is not the base alone")
	}
	s.Progress = 0.5
	got := step(t, awp, s, b)
	g := gradient(m)
	for i, w := range m.Weights() {
		for j, v := range w.Data {
			if math.Float32bits(v) != math.Float32bits(before[i].Data[j]) {
				t.Fatalf("%s[%d] went from %v to %v", w.Name, j, before[i].Data[j], v)
			}
		}
	}
	if got.AdversarialRows != 5 || got.Gradients == 0 {
		t.Errorf("metrics %+v", got)
	}
	moved := model(t, 2, 1, hidden)
	weights := moved.Weights()
	for i, w := range weights {
		if len(w.Shape) < 2 {
			continue
		}
		var ww, gg float64
		for j, v := range w.Data {
			ww, gg = ww+float64(v)*float64(v), gg+float64(grads[i].Data[j])*float64(grads[i].Data[j])
		}
		for j := range w.Data {
			w.Data[j] = float32(float64(w.Data[j]) + 0.1*math.Sqrt(ww)*float64(grads[i].Data[j])/math.Sqrt(gg))
		}
	}
	if err := moved.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	want := byHand(t, moved, paintedBatch(b, 5), b.Labels, nn.CrossEntropy{})
	if d := farthest(g, want); d > 1e-6 {
		t.Errorf("the gradient is off by %v", d)
	}
	if d := farthest(plain, want); d < 1e-3 {
		t.Errorf("the perturbation makes a difference of only %v", d)
	}
	step(t, d, session(m, 0), b)
	if !slices.Equal(gradient(m), plain) {
		t.Error("after AWP the base alone gives another gradient")
	}
}
