package attacks_test

import (
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/nn"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct{ attack, options, want string }{
		{"pgd", ``, ``},
		{"pgd", `eps = "8/255"`, ``},
		{"pgd", `restarts = 10`, ``},
		{"pgd", "norm = \"l2\"\neps = 3", ``},
		{"pgd", `eps = 0`, `test.toml:3: "attack.eps": 0 must be above 0`},
		{"pgd", `eps = -0.1`, `test.toml:3: "attack.eps": -0.1 must be above 0`},
		{"pgd", `eps = 1.5`, `test.toml:3: "attack.eps": 1.5 is more than the whole range of a pixel in [0,1]: in Linf use a value such as 0.3 or "8/255"`},
		{"noise", `eps = 8`, `test.toml:3: "attack.eps": 8 is more than the whole range of a pixel in [0,1]: in Linf use a value such as 0.3 or "8/255"`},
		{"pgd", "norm = \"l2\"\neps = 500", `test.toml:4: "attack.eps": 500 is larger than any L2 distance between images with pixels in [0,1]`},
		{"pgd", `norm = "linfty"`, `test.toml:3: "attack.norm": unknown norm "linfty": use "linf", "l2" or "l1"`},
		{"pgd", `steps = 0`, `test.toml:3: "attack.steps": 0 must be at least 1`},
		{"pgd", `step_size = 0`, `test.toml:3: "attack.step_size": 0 must be above 0`},
		{"pgd", `restarts = 0`, `test.toml:3: "attack.restarts": 0 must be at least 1`},
		{"noise", `restarts = 0`, `test.toml:3: "attack.restarts": 0 must be at least 1`},
		{"pgd", "restarts = 2\nrandom_start = false", `test.toml:3: "attack.restarts": 2 runs without a random start would all be the same`},
		{"pgd", "norm = \"l1\"\neps = 12\nsparsity = 0.1", ``},
		{"pgd", `sparsity = 0.1`, `test.toml:3: "attack.sparsity": belongs to norm = "l1"`},
		{"fgsm", "norm = \"l1\"\neps = 12\nsparsity = 5", `test.toml:5: "attack.sparsity": 5 must lie between 0 and 1: it is a share of the pixels`},
		{"pgd", `target = "nearest"`, `test.toml:3: "attack.target": unknown target "nearest": use "random", "next", "least_likely", or "" for an untargeted attack`},
		{"fgsm", `target = "Next"`, `test.toml:3: "attack.target": unknown target "Next": use "random", "next", "least_likely", or "" for an untargeted attack`},
		{"pgd", `loss = "cross-entropy"`, `test.toml:3: "attack.loss": unknown loss "cross-entropy": did you mean "cross_entropy"? known: cross_entropy, dlr, logit_difference, margin, targeted_dlr`},
		{"pgd", "loss = \"dlr\"", ``},
		{"pgd", "loss = \"targeted_dlr\"\ntarget = \"next\"", ``},
		{"pgd", "loss = \"targeted_dlr\"", `test.toml:3: "attack.loss": "targeted_dlr" leads from the label to a target class: set target to "random", "next" or "least_likely"`},
		{"fgsm", "loss = \"logit_difference\"", `test.toml:3: "attack.loss": "logit_difference" leads from the label to a target class: set target to "random", "next" or "least_likely"`},
		{"fgsm", `step_size = 0.1`, `test.toml:3: "attack.step_size": belongs to random_start = true: without it FGSM's step is eps`},
		{"fgsm", "random_start = true\nstep_size = -1", `test.toml:4: "attack.step_size": -1 must not be negative`},
		{"fgsm", `steps = 4`, `test.toml:3: unknown key "attack.steps": the keys here are name, norm, eps, sparsity, random_start, step_size, target, loss`},
		{"mifgsm", "norm = \"l2\"\neps = 2\nnormalise = \"l2\"\ndecay = 0", ``},
		{"mifgsm", "norm = \"l1\"\neps = 2", `test.toml:3: "attack.norm": MI-FGSM knows "linf" and "l2"`},
		{"mifgsm", `steps = 0`, `test.toml:3: "attack.steps": 0 must be at least 1`},
		{"mifgsm", `step_size = -1`, `test.toml:3: "attack.step_size": -1 must not be negative`},
		{"mifgsm", "restarts = 2\nrandom_start = true", ``},
		{"mifgsm", `restarts = 2`, `test.toml:3: "attack.restarts": 2 runs without a random start would all be the same`},
		{"mifgsm", `decay = -1`, `test.toml:3: "attack.decay": -1 must not be negative`},
		{"mifgsm", `normalise = "linf"`, `test.toml:3: "attack.normalise": unknown norm "linf": use "l1" or "l2"`},
		{"rfgsm", "norm = \"l2\"\neps = 2", `test.toml:3: "attack.norm": R+FGSM is a method of "linf": elsewhere use fgsm with random_start = true`},
		{"rfgsm", "eps = 0.1\nalpha = 0.1", `test.toml:4: "attack.alpha": 0.1 must lie between 0 and eps 0.1: the gradient's step is the rest`},
		{"rfgsm", `restarts = 0`, `test.toml:3: "attack.restarts": 0 must be at least 1`},
		{"cw", "norm = \"linf\"\neps = 0.3", `test.toml:3: "attack.norm": CW is a method of "l2"`},
		{"cw", `binary_search_steps = 0`, `test.toml:3: "attack.binary_search_steps": 0 must be at least 1`},
		{"cw", `steps = 0`, `test.toml:3: "attack.steps": 0 must be at least 1`},
		{"cw", `step_size = 0`, `test.toml:3: "attack.step_size": 0 must be above 0`},
		{"cw", `initial_const = 0`, `test.toml:3: "attack.initial_const": 0 must be above 0`},
		{"cw", `confidence = -1`, `test.toml:3: "attack.confidence": -1 must not be negative`},
		{"cw", `target = "far"`, `test.toml:3: "attack.target": unknown target "far": use "random", "next", "least_likely", or "" for an untargeted attack`},
		{"ead", `beta = -1`, `test.toml:3: "attack.beta": -1 must not be negative`},
		{"ead", `rule = "l2"`, `test.toml:3: "attack.rule": unknown decision rule "l2": use "en" or "l1"`},
		{"deepfool", "norm = \"l1\"\neps = 2", `test.toml:3: "attack.norm": DeepFool knows "linf" and "l2"`},
		{"deepfool", `steps = 0`, `test.toml:3: "attack.steps": 0 must be at least 1`},
		{"deepfool", `overshoot = -1`, `test.toml:3: "attack.overshoot": -1 must not be negative`},
		{"deepfool", `candidates = 1`, `test.toml:3: "attack.candidates": 1 must be at least 2: the label and one other`},
		{"hopskipjump", "norm = \"l1\"\neps = 2", `test.toml:3: "attack.norm": HopSkipJump knows "linf" and "l2"`},
		{"hopskipjump", `max_queries = 0`, `test.toml:3: "attack.max_queries": 0 must be at least 1`},
		{"hopskipjump", `stepsize_search = "linear"`, `test.toml:3: "attack.stepsize_search": unknown search "linear": use "geometric_progression" or "grid_search"`},
		{"hopskipjump", `gamma = 0`, `test.toml:3: "attack.gamma": 0 must be above 0`},
		{"noise", `distribution = "normal"`, `test.toml:3: "attack.distribution": unknown distribution "normal": use "uniform" or "gaussian"`},
		{"noise", `step_size = 1`, `test.toml:3: unknown key "attack.step_size": the keys here are name, norm, eps, distribution, restarts`},
		{"apgd", "loss = \"dlr\"", ``},
		{"apgd", "targets = 3", ``},
		{"apgd_t", "loss = \"logit_difference\"", ``},
		{"apgd", "norm = \"l1\"\neps = 10\nlarge_eps = true", ``},
		{"apgd", `steps = 0`, `test.toml:3: "attack.steps": 0 must be at least 1`},
		{"apgd", `eot = 0`, `test.toml:3: "attack.eot": 0 must be at least 1`},
		{"apgd", `targets = -1`, `test.toml:3: "attack.targets": -1 must be at least 0`},
		{"apgd", `rho = 0`, `test.toml:3: "attack.rho": 0 must lie above 0, and be at most 1`},
		{"apgd", `momentum = 1.5`, `test.toml:3: "attack.momentum": 1.5 must lie above 0, and be at most 1: it is the share of the new step`},
		{"apgd", `large_eps = true`, `test.toml:3: "attack.large_eps": belongs to norm = "l1"`},
		{"apgd", "norm = \"l1\"\nlarge_eps = true\nsteps = 3", `test.toml:4: "attack.large_eps": 3 steps cannot be shared among three balls: use at least 4`},
		{"apgd", "loss = \"targeted_dlr\"", `test.toml:3: "attack.loss": "targeted_dlr" leads from the label to a target class: set targets to how many classes to aim at, such as 9`},
		{"apgd_t", `targets = 0`, `test.toml:1: "attack.loss": "targeted_dlr" leads from the label to a target class: set targets to how many classes to aim at, such as 9`},
		{"fab", `targets = 0`, `test.toml:3: "attack.targets": 0 must be at least 1`},
		{"fab_t", `eta = 0.9`, `test.toml:3: "attack.eta": 0.9 must be at least 1: a step ends at the boundary or beyond`},
		{"fab_t", `beta = 1`, `test.toml:3: "attack.beta": 1 must lie between 0 and 1`},
		{"fab", `alpha_max = 2`, `test.toml:3: "attack.alpha_max": 2 must lie between 0 and 1`},
		{"square", `n_queries = 0`, `test.toml:3: "attack.n_queries": 0 must be at least 1`},
		{"square", `p_init = 1.2`, `test.toml:3: "attack.p_init": 1.2 must lie above 0, and be at most 1: it is a share of the pixels`},
		{"square", `loss = "dlr"`, `test.toml:3: "attack.loss": unknown loss "dlr": use "margin" or "cross_entropy"`},
		{"square", `target = "worst"`, `test.toml:3: "attack.target": unknown target "worst": use "random", "next", "least_likely", or "" for an untargeted attack`},
		{"autoattack", `version = "standart"`, `test.toml:3: "attack.version": unknown version "standart": did you mean "standard"? known: custom, fast, plus, rand, standard`},
		{"autoattack", `attacks = ["square"]`, `test.toml:3: "attack.attacks": belongs to version = "custom", and is a list of apgd_ce, apgd_dlr, apgd_t, fab, fab_t, square`},
		{"autoattack", `version = "custom"`, `test.toml:1: "attack.attacks": belongs to version = "custom", and is a list of apgd_ce, apgd_dlr, apgd_t, fab, fab_t, square`},
		{"autoattack", "version = \"custom\"\nattacks = [\"square\", \"pgd\"]", `test.toml:4: "attack.attacks": unknown part of AutoAttack "pgd": known: apgd_ce, apgd_dlr, apgd_t, fab, fab_t, square`},
		{"autoattack", "version = \"fast\"\nsteps = 10", `test.toml:4: "attack.steps": 10 are too few: use at least 4, for version = "fast" at least 20`},
		{"autoattack", `n_queries = 9`, `test.toml:3: "attack.n_queries": 9 must be at least 10`},
	} {
		_, err := decoded(c.attack, c.options)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s with %q:\n got %s\nwant %s", c.attack, c.options, got, c.want)
		}
	}
}

// TestCheck: in L2 the largest sensible epsilon hangs on the images' size.
func TestCheck(t *testing.T) {
	a, err := decoded("pgd", "norm = \"l2\"\neps = 6")
	if err != nil {
		t.Fatal(err)
	}
	want := "PGD-40: L2 eps 6 reaches every image from every other: the distance of black and white in 6x6x1 is 6"
	if err := attacks.Check(a, nn.Shape{H: 6, W: 6, C: 1}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := attacks.Run(build(t, spec(), 1, 4), a, bars(t, 4, 1), noise, never, nil); err == nil || err.Error() != want {
		t.Errorf("Run: got %v, want %s", err, want)
	}
	if err := attacks.Check(a, nn.Shape{H: 28, W: 28, C: 1}); err != nil {
		t.Error(err)
	}
	if err := attacks.Check(&attacks.PGD{}, nn.Shape{H: 6, W: 6, C: 1}); err == nil || !strings.HasPrefix(err.Error(), "PGD-0") {
		t.Errorf("a PGD without options: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	short := pgd(t, func(a *attacks.PGD) { a.Steps = 3 })
	want := []string{"PGD-3: 3 steps of 0.01 reach 0.03, less than eps 0.3: the attack cannot use its whole budget"}
	if got := short.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// 30 x 0.01 is below 0.3 in floating point, and not meant to be.
	for _, steps := range []int{30, 40} {
		if got := pgd(t, func(a *attacks.PGD) { a.Steps = steps }).Warnings(); len(got) > 0 {
			t.Errorf("%d steps: unexpected %q", steps, got)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct{ attack, options, want string }{
		{"noise", "", "noise"}, {"noise", `distribution = "gaussian"`, "Gaussian noise"}, {"fgsm", "", "FGSM"}, {"fgsm", "random_start = true", "FGSM-RS"}, {"fgsm", `target = "next"`, "FGSM targeted"}, {"fgsm", `loss = "margin"`, "FGSM margin"},
		{"rfgsm", "restarts = 3", "R+FGSM x3"}, {"rfgsm", `loss = "dlr"`, "R+FGSM dlr"}, {"mifgsm", `target = "next"`, "MI-FGSM-10 targeted"}, {"mifgsm", "random_start = true\nrestarts = 4", "MI-FGSM-10 x4"}, {"cw", "", "CW"}, {"ead", `rule = "l1"`, "EAD-L1"},
		{"deepfool", "", "DeepFool-50"}, {"hopskipjump", "", "HopSkipJump-25000"}, {"hopskipjump", "target = \"next\"", "HopSkipJump-25000 targeted"},
		{"pgd", "", "PGD-40"}, {"pgd", "steps = 100\nrestarts = 10", "PGD-100 x10"}, {"pgd", "steps = 7\nloss = \"margin\"\ntarget = \"random\"", "PGD-7 margin targeted"},
		{"apgd", "", "APGD-CE"}, {"apgd", "loss = \"dlr\"\nrestarts = 5\neot = 20", "APGD-DLR eot 20 x5"}, {"apgd_t", "", "APGD-T"},
		{"apgd_t", "targets = 3\nsteps = 20\nloss = \"margin\"", "APGD-T margin 20 steps 3 targets"}, {"fab", "", "FAB"}, {"fab_t", "restarts = 5\ntargets = 4", "FAB-T 4 targets x5"},
		{"square", "", "Square"}, {"square", "n_queries = 100\nloss = \"cross_entropy\"\ntarget = \"next\"\nrestarts = 2", "Square 100 queries cross_entropy targeted x2"},
		{"autoattack", "", "AutoAttack standard"}, {"autoattack", "version = \"fast\"", "AutoAttack fast (upper bound)"},
		{"autoattack", "version = \"custom\"\nattacks = [\"fab_t\", \"square\"]\nn_queries = 50\nsteps = 20", "AutoAttack custom (fab_t, square), 20 steps, 50 queries"},
	} {
		a, err := decoded(c.attack, c.options)
		if err != nil {
			t.Error(err)
		} else if got := a.Label(); got != c.want {
			t.Errorf("%s with %q: label %q, want %q", c.attack, c.options, got, c.want)
		}
	}
}

// TestCheckClasses: a loss that is not defined for so few classes is refused before anything runs.
func TestCheckClasses(t *testing.T) {
	for _, c := range []struct {
		attack, options string
		classes         int
		want            string
	}{
		{"pgd", `loss = "dlr"`, 3, ""},
		{"apgd_t", "", 4, ""},
		{"apgd_t", "", 3, `APGD-T: loss "targeted_dlr" needs at least 4 classes, the network has 3: use "cross_entropy" or "margin"`},
		{"autoattack", "", 4, ""},
		{"autoattack", "", 3, `AutoAttack standard: the loss of apgd_t needs at least 4 classes, the network has 3: use version = "custom" with attacks = ["apgd_ce", "fab_t", "square"]`},
		{"autoattack", `version = "rand"`, 2, `AutoAttack rand: the loss of apgd_dlr needs at least 3 classes, the network has 2: use version = "custom" with attacks = ["apgd_ce", "fab_t", "square"]`},
		{"pgd", `loss = "dlr"`, 2, `PGD-40 dlr: loss "dlr" needs at least 3 classes, the network has 2: use "cross_entropy" or "margin"`},
		{"fgsm", "loss = \"targeted_dlr\"\ntarget = \"next\"", 3, `FGSM targeted_dlr targeted: loss "targeted_dlr" needs at least 4 classes, the network has 3: use "cross_entropy" or "margin"`},
	} {
		a, err := decoded(c.attack, c.options)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := attacks.CheckClasses(a, c.classes); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s with %q on %d classes:\n got %s\nwant %s", c.attack, c.options, c.classes, got, c.want)
		}
	}
	s := spec()
	s.Classes = 2
	a := pgd(t, func(a *attacks.PGD) { a.Loss = "dlr" })
	if _, err := attacks.Run(build(t, s, 1, 4), a, bars(t, 4, 1), noise, never, nil); err == nil || !strings.Contains(err.Error(), "needs at least 3 classes") {
		t.Errorf("Run: got %v", err)
	}
}
