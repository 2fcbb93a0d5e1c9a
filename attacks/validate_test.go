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
		{"hopskipjump", `gamma = 0`, `test.toml:3: "attack.gamma": 0 must be above 0`},
		{"noise", `distribution = "normal"`, `test.toml:3: "attack.distribution": unknown distribution "normal": use "uniform" or "gaussian"`},
		{"noise", `step_size = 1`, `test.toml:3: unknown key "attack.step_size": the keys here are name, norm, eps, distribution, restarts`},
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
		{"noise", "", "noise"}, {"noise", `distribution = "gaussian"`, "Gaussian noise"}, {"fgsm", "", "FGSM"}, {"fgsm", "random_start = true", "FGSM-RS"}, {"fgsm", `target = "next"`, "FGSM targeted"},
		{"rfgsm", "restarts = 3", "R+FGSM x3"}, {"mifgsm", `target = "next"`, "MI-FGSM-10 targeted"}, {"cw", "", "CW"}, {"ead", `rule = "l1"`, "EAD-L1"},
		{"deepfool", "", "DeepFool-50"}, {"hopskipjump", "", "HopSkipJump-25000"},
		{"pgd", "", "PGD-40"}, {"pgd", "steps = 100\nrestarts = 10", "PGD-100 x10"}, {"pgd", "steps = 7\nloss = \"margin\"\ntarget = \"random\"", "PGD-7 margin targeted"},
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
		{"pgd", `loss = "dlr"`, 2, `PGD-40 dlr: loss "dlr" needs at least 3 classes, the network has 2: use "cross_entropy" or "margin"`},
		{"fgsm", "loss = \"targeted_dlr\"\ntarget = \"next\"", 3, `FGSM targeted: loss "targeted_dlr" needs at least 4 classes, the network has 3: use "cross_entropy" or "margin"`},
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
