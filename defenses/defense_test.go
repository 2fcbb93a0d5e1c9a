package defenses_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// TestRegistered: every defence makes a step with its defaults, the same one on any number of
// threads, and keeps nothing from one step to the next but in the session's state.
func TestRegistered(t *testing.T) {
	names := registry.Names[defenses.Defense]()
	for _, want := range []string{"adp", "alp", "ard", "awp", "crown_ibp", "denoise", "ensemble_at", "fgsm_rs", "free_at", "friendly", "gaussian", "ibp", "mart", "mtl_ibp", "natural", "pgd_at", "rslad", "trades", "union"} {
		if !slices.Contains(names, want) {
			t.Errorf("defence %q is not registered", want)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			d, err := registry.New[defenses.Defense](name)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
			if (d.Share() > 0) != (d.Attack() != nil) {
				t.Errorf("a share of %v with the attack %v", d.Share(), d.Attack())
			}
			var want []float32
			for _, threads := range []int{1, 2, 5} {
				m := model(t, threads, 1, nn.MLP{Hidden: []int{12}})
				if defenses.TrainsMembers(d) {
					m = stacked(t, threads)
				}
				if defenses.Suits(d, m) != nil {
					m = denoised(t, threads)
				}
				s := session(m, 3)
				if defenses.NeedsTeacher(d) {
					s.Teacher = model(t, threads, 2, nn.MLP{Hidden: []int{12}})
				}
				if defenses.NeedsSources(d) {
					s.Sources = []*nn.Model{model(t, threads, 3, nn.MLP{Hidden: []int{9}})}
				}
				got := step(t, d, s, batch(1))
				if got.Rows != rows || got.CleanRows+got.AdversarialRows != defenses.Rows(d, rows) || !(got.Loss > 0) || math.IsInf(got.Loss, 0) ||
					got.CleanCorrect > got.CleanRows || got.AdversarialCorrect > got.AdversarialRows {
					t.Errorf("metrics %+v", got)
				}
				if want == nil {
					want = gradient(m)
				}
				if !slices.Equal(gradient(m), want) {
					t.Errorf("%d threads: another gradient", threads)
				}
				s.Step = 4
				step(t, d, s, batch(2))
				s.Step = 3
				clear(s.State)
				if step(t, d, s, batch(1)); !slices.Equal(gradient(m), want) {
					t.Error("the same step gives another gradient after another one")
				}
			}
		})
	}
}

func TestNatural(t *testing.T) {
	b, m := batch(1), model(t, 2, 1, nn.MLP{Hidden: []int{12}})
	got := step(t, &defenses.Natural{}, session(m, 0), b)
	g := gradient(m)
	if !slices.Equal(g, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})) {
		t.Error("the gradient is not that of the clean batch")
	}
	if got.CleanRows != rows || got.AdversarialRows != 0 || got.Gradients != 0 {
		t.Errorf("metrics %+v", got)
	}
}

// TestMix: the first rows are attacked, the share rounded; the others keep every bit.
func TestMix(t *testing.T) {
	for _, c := range []struct {
		share configs.Number
		want  int
	}{{0.5, 5}, {0.74, 7}, {0.75, 8}, {1, 10}, {0.1, 1}, {0.04, 0}} {
		d, calls := painting(c.share)
		m, b := model(t, 2, 1, nn.MLP{Hidden: []int{12}}), batch(1)
		before := slices.Clone(b.X)
		got := step(t, d, session(m, 6), b)
		g := gradient(m)
		if got.AdversarialRows != c.want || got.CleanRows != rows-c.want || got.Rows != rows {
			t.Errorf("share %v: metrics %+v, want %d adversarial rows", c.share, got, c.want)
		}
		if !slices.Equal(b.X, before) {
			t.Errorf("share %v: the batch itself was changed", c.share)
		}
		if want := byHand(t, m, paintedBatch(b, c.want), b.Labels, nn.CrossEntropy{}); !slices.Equal(g, want) {
			t.Errorf("share %v: the gradient is not that of the mixed batch", c.share)
		}
		if c.want > 0 && slices.Equal(g, byHand(t, m, paintedBatch(b, c.want-1), b.Labels, nn.CrossEntropy{})) {
			t.Errorf("share %v: one row less gives the same gradient: the test shows nothing", c.share)
		}
		if c.want == 0 {
			if len(*calls) != 0 {
				t.Errorf("share %v: the attack ran on nothing", c.share)
			}
			continue
		}
		call := (*calls)[0]
		if len(*calls) != 1 || !slices.Equal(call.labels, b.Labels[:c.want]) || !slices.Equal(call.index, b.Index[:c.want]) || call.draw.Restart != 6 {
			t.Errorf("share %v: the attack was asked for %+v", c.share, *calls)
		}
		if got.Gradients != 3*c.want || got.ZeroGradients != 2 || got.BadGradients != 1 {
			t.Errorf("share %v: counts %+v", c.share, got)
		}
	}
}

// TestMetrics counts by hand what a step reports.
func TestMetrics(t *testing.T) {
	d, _ := painting(0.4)
	m, b := model(t, 2, 3, nn.MLP{Hidden: []int{12}}), batch(5)
	got := step(t, d, session(m, 0), b)
	x, z, v := m.New(rows*pixels), m.New(rows*classes), m.New(rows)
	x.Upload(paintedBatch(b, 4), 0)
	if err := m.InputGrad(&device.Call{Rows: rows, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1, Logits: z, Value: v}); err != nil {
		t.Fatal(err)
	}
	logits, values := make([]float32, rows*classes), make([]float32, rows)
	z.Download(logits, 0)
	v.Download(values, 0)
	var want defenses.Metrics
	for r, y := range b.Labels {
		want.Loss += float64(values[r])
		if device.Argmax(logits[r*classes:(r+1)*classes]) == int(y) {
			if r < 4 {
				want.AdversarialCorrect++
			} else {
				want.CleanCorrect++
			}
		}
	}
	if math.Abs(got.Loss-want.Loss) > 1e-5 || got.AdversarialCorrect != want.AdversarialCorrect || got.CleanCorrect != want.CleanCorrect {
		t.Errorf("got %+v, want %+v", got, want)
	}
	sum := got
	sum.Add(got)
	if sum.Loss != 2*got.Loss || sum.Rows != 2*rows || sum.CleanRows != 12 || sum.AdversarialRows != 8 || sum.Gradients != 24 || sum.ZeroGradients != 4 || sum.BadGradients != 2 ||
		sum.CleanCorrect != 2*got.CleanCorrect || sum.AdversarialCorrect != 2*got.AdversarialCorrect {
		t.Errorf("twice %+v is %+v", got, sum)
	}
}

// TestEpsilonSchedule: the attack gets the scaled epsilon, and does not run at 0.
func TestEpsilonSchedule(t *testing.T) {
	d, calls := painting(0.5)
	m, b := model(t, 2, 1, nn.MLP{Hidden: []int{12}}), batch(1)
	s := session(m, 0)
	s.EpsilonScale = 0
	got := step(t, d, s, b)
	g := gradient(m)
	if len(*calls) != 0 || got.Gradients != 0 || got.AdversarialRows != 5 {
		t.Errorf("at epsilon 0: %d calls, metrics %+v", len(*calls), got)
	}
	if !slices.Equal(g, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})) {
		t.Error("at epsilon 0 the gradient is not that of the clean batch")
	}
	s.EpsilonScale = 0.25
	step(t, d, s, b)
	if len(*calls) != 1 || math.Abs((*calls)[0].epsilon-0.1) > 1e-12 {
		t.Errorf("at a quarter of 0.4 the attack got %+v", *calls)
	}
	if e := float64(d.Attack().Threat().Epsilon); e != 0.4 {
		t.Errorf("the defence's own epsilon has become %v", e)
	}
}

// TestNoiseBySteps: an example meets new noise at each step, and the same at the same step. One
// signed step that is shorter than epsilon leaves the random start visible.
func TestNoiseBySteps(t *testing.T) {
	choice, err := configs.Choose[attacks.Attack]("pgd")
	if err != nil {
		t.Fatal(err)
	}
	pgd := choice.Value.(*attacks.PGD)
	pgd.Steps, pgd.StepSize, pgd.Epsilon = 1, 0.01, 0.2
	for name, c := range map[string]struct {
		d   defenses.Defense
		net nn.MLP
	}{
		"random start": {&defenses.PGDAT{Adversarial: 0.5, With: choice}, nn.MLP{Hidden: []int{12}}},
		"dropout":      {&defenses.Natural{}, nn.MLP{Hidden: []int{12}, Dropout: 0.4}},
	} {
		m, b := model(t, 2, 1, c.net), batch(1)
		at := func(n int) []float32 { step(t, c.d, session(m, n), b); return gradient(m) }
		first := at(8)
		if !slices.Equal(first, at(8)) {
			t.Errorf("%s: the same step twice gives two gradients", name)
		}
		if slices.Equal(first, at(9)) {
			t.Errorf("%s: two steps give the same gradient", name)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`name = "pgd_at"`, ``},
		{`name = "natural"`, ``},
		{"name = \"pgd_at\"\nadversarial = 1", ``},
		{"name = \"pgd_at\"\nadversarial = 0", `t.toml:3: "defense.adversarial": 0 must be a share above 0 and at most 1 (for none, choose the defence "natural")`},
		{"name = \"pgd_at\"\nadversarial = 1.5", `t.toml:3: "defense.adversarial": 1.5 must be a share above 0 and at most 1 (for none, choose the defence "natural")`},
		{"name = \"pgd_at\"\nattack.restarts = 2", `t.toml:3: "defense.attack.restarts": 2 restarts: training makes one run of its attack on each example`},
		{"name = \"pgd_at\"\nattack.eps = 2", `t.toml:3: "defense.attack.eps": 2 is more than the whole range of a pixel in [0,1]: in Linf use a value such as 0.3 or "8/255"`},
		{"name = \"pgd_at\"\nattack.name = \"pdg\"", `t.toml:3: "defense.attack.name": unknown attack "pdg": did you mean "pgd"? known: ` + strings.Join(registry.Names[attacks.Attack](), ", ")},
		{"name = \"natural\"\nadversarial = 0.5", `t.toml:3: unknown key "defense.adversarial": the keys here are name, label_smoothing`},
		{"name = \"pgd_at\"\nmix = \"half\"", `t.toml:3: "defense.mix": unknown mix "half": use "share" (of each minibatch) or "loss" (a weighted sum over all of it)`},
		{"name = \"pgd_at\"\nlabel_smoothing = 1", `t.toml:3: "defense.label_smoothing": 1 must lie in [0,1)`},
		{"name = \"pgd_at\"\nattack.name = \"deepfool\"", `t.toml:3: "defense.attack.name": "deepfool" looks for the nearest adversarial example, be it beyond eps: train against an attack within eps, such as "pgd"`},
		{"name = \"pgd_at\"\nattack = { name = \"eot\", attack = { name = \"cw\" } }", `t.toml:3: "defense.attack.name": "eot" looks for the nearest adversarial example, be it beyond eps: train against an attack within eps, such as "pgd"`},
		{"name = \"pgd_at\"\nattack = { name = \"transfer\", checkpoint = \"c\", attack = { name = \"cw\" } }", `t.toml:3: "defense.attack.name": "transfer" looks for the nearest adversarial example, be it beyond eps: train against an attack within eps, such as "pgd"`},
		{"name = \"pgd_at\"\nattack = { name = \"hopskipjump\", target = \"next\" }", `t.toml:3: "defense.attack.name": "hopskipjump" looks for the nearest adversarial example, be it beyond eps: train against an attack within eps, such as "pgd"`},
		{"name = \"pgd_at\"\nattack = { name = \"eot\", samples = 2 }", ``},
		{`name = "trades"`, ``},
		{"name = \"trades\"\nbeta = 0", `t.toml:3: "defense.beta": 0 must be above 0`},
		{"name = \"trades\"\nattack.loss = \"margin\"", `t.toml:3: "defense.attack.loss": "margin": this defence ascends a loss of its own, leave the option out`},
		{"name = \"trades\"\nattack.target = \"next\"", `t.toml:3: "defense.attack.target": "next": this defence ascends a loss without a target, leave the option out`},
		{"name = \"rslad\"\nattack.name = \"noise\"", `t.toml:3: "defense.attack.name": this defence ascends a loss of its own: choose the attack "pgd" or "fgsm"`},
		{"name = \"mart\"\nbeta = -1", `t.toml:3: "defense.beta": -1 must be above 0`},
		{"name = \"alp\"\nattack.restarts = 3", `t.toml:3: "defense.attack.restarts": 3 restarts: training makes one run of its attack on each example`},
		{"name = \"fgsm_rs\"\nguard = 1", `t.toml:3: "defense.guard": 1 is no fall of an accuracy: it must lie in [0,1), 0 for no guard`},
		{"name = \"fgsm_rs\"\nattack.random_start = false", `t.toml:3: "defense.attack": fast training is that against "fgsm" with random_start = true: for other attacks choose the defence "pgd_at"`},
		{"name = \"free_at\"\nreplays = 0", `t.toml:3: "defense.replays": 0 must be at least 1`},
		{"name = \"free_at\"\nnorm = \"l2\"\neps = 2", ``},
		{"name = \"free_at\"\nnorm = \"l1\"\neps = 10", `t.toml:3: "defense.norm": free training knows "linf" and "l2"`},
		{"name = \"free_at\"\nstep_size = -1", `t.toml:3: "defense.step_size": -1 must not be negative (0 means eps)`},
		{"name = \"friendly\"\ntau = 3", `t.toml:1: "defense.tau_final": 2 is less than tau = 3, and tau only rises`},
		{"name = \"friendly\"\nattack.keep_best = true", `t.toml:3: "defense.attack.early_stop": friendly training has its own early stop: leave out early_stop and keep_best`},
		{"name = \"friendly\"\nattack.name = \"fgsm\"", `t.toml:3: "defense.attack.name": friendly training stops the steps of "pgd", and needs it`},
		{"name = \"awp\"\nbase.name = \"trades\"\nbase.beta = 2", ``},
		{"name = \"awp\"\nbase.name = \"awp\"", `t.toml:3: "defense.base.name": weights are perturbed once: choose another defence than "awp"`},
		{"name = \"awp\"\nwarmup = 1", `t.toml:3: "defense.warmup": 1 is not a share of the steps below 1`},
		{"name = \"ard\"\nalpha = 0", `t.toml:3: "defense.alpha": 0 must be above 0 and at most 1`},
		{"name = \"ard\"\ntemperature = 0", `t.toml:3: "defense.temperature": 0 must be above 0`},
		{"name = \"union\"\ncombine = \"min\"", `t.toml:3: "defense.combine": unknown combination "min": use "max" or "average"`},
		{"name = \"union\"\n[[defense.attack]]\nname = \"pgd\"", `t.toml:3: "defense.attack": a union has at least two [[defense.attack]] tables, not 1`},
		{`name = "pgdat"`, `t.toml:2: "defense.name": unknown defence "pgdat": did you mean "pgd_at"? known: adp, alp, ard, awp, crown_ibp, denoise, ensemble_at, fgsm_rs, free_at, friendly, gaussian, ibp, mart, mtl_ibp, natural, pgd_at, rslad, trades, union`},
	} {
		var into struct {
			Defense configs.Choice[defenses.Defense] `toml:"defense"`
		}
		got := ""
		if err := configs.Decode(&configs.File{Path: "t.toml", Data: []byte("[defense]\n" + c.text)}, nil, &into); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
	if err := (&defenses.PGDAT{Adversarial: 1, Mix: "share"}).Validate(); err == nil || !strings.Contains(err.Error(), "[defense.attack] table is needed") {
		t.Errorf("without an attack: %v", err)
	}
}

// TestBadBatch: what does not fit is an error, not a crash.
func TestBadBatch(t *testing.T) {
	d, _ := painting(0.5)
	m := model(t, 1, 1, nn.MLP{})
	s := defenses.NewSession(m, 4)
	if _, err := d.Step(s, batch(1)); err == nil || err.Error() != "a batch of 10 in a session for 4" {
		t.Errorf("a large batch: %v", err)
	}
	b := batch(1)
	b.Labels[3] = classes
	if _, err := (&defenses.Natural{}).Step(session(m, 0), b); err == nil || !strings.Contains(err.Error(), "label 4") {
		t.Errorf("an unknown label: %v", err)
	}
}
