package attacks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// AutoAttack is the ensemble of Croce and Hein 2020: attacks without options to tune, each on the
// examples that those before it have left, in the order and with the budgets of the authors'
// implementation.
type AutoAttack struct {
	Bound
	// Version is "standard" (APGD-CE, APGD-T, FAB-T, Square), "plus" (more attacks and restarts),
	// "rand" for a randomised network (APGD-CE and APGD-DLR, 20 gradients a step), "fast" (short
	// attacks first, and fewer targets and queries: it finds less) or "custom".
	Version string `toml:"version"`
	// Attacks are those of version "custom", with the budgets of "standard".
	Attacks []string `toml:"attacks"`
	// Steps are those of each gradient attack, Queries those of Square. The label shows where they
	// are not the authors'.
	Steps   int `toml:"steps"`
	Queries int `toml:"n_queries"`
}

// autoVersions are the attacks of each version, by the names of autoParts.
var autoVersions = map[string][]string{
	"standard": {"apgd_ce", "apgd_t", "fab_t", "square"},
	"plus":     {"apgd_ce x5", "apgd_dlr x5", "fab x5", "square", "apgd_t", "fab_t"},
	"rand":     {"apgd_ce eot", "apgd_dlr eot"},
	"fast":     {"apgd_ce short", "apgd_t short", "apgd_t few", "square short"},
	"custom":   nil,
}

// autoCustom are what a custom version can choose from.
var autoCustom = []string{"apgd_ce", "apgd_dlr", "apgd_t", "fab", "fab_t", "square"}

// Validate implements Attack.
func (a *AutoAttack) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	if _, ok := autoVersions[a.Version]; !ok {
		return registry.Errorf("version", "%w", registry.Unknown("version", a.Version, slices.Sorted(maps.Keys(autoVersions))))
	}
	if custom := a.Version == "custom"; custom != (len(a.Attacks) > 0) {
		return registry.Errorf("attacks", `belongs to version = "custom", and is a list of %s`, strings.Join(autoCustom, ", "))
	}
	for _, name := range a.Attacks {
		if !slices.Contains(autoCustom, name) {
			return registry.Errorf("attacks", "%w", registry.Unknown("part of AutoAttack", name, autoCustom))
		}
	}
	if a.Steps < 20 && a.Version == "fast" || a.Steps < 4 {
		return registry.Errorf("steps", `%d are too few: use at least 4, for version = "fast" at least 20`, a.Steps)
	}
	if a.Queries < 10 {
		return registry.Errorf("n_queries", "%d must be at least 10", a.Queries)
	}
	return nil
}

// Parts implements Sequence.
func (a *AutoAttack) Parts(classes int) ([]Attack, error) {
	names := autoVersions[a.Version]
	if a.Version == "custom" {
		names = a.Attacks
	}
	parts := make([]Attack, len(names))
	for i, name := range names {
		name, change, _ := strings.Cut(name, " ")
		if least := map[string]int{"apgd_t": 4, "apgd_dlr": 3}[name]; classes < least {
			return nil, fmt.Errorf("the loss of %s needs at least %d classes, the network has %d: use version = \"custom\" with attacks = [\"apgd_ce\", \"fab_t\", \"square\"]", name, least, classes)
		}
		parts[i] = a.part(name, change, classes-1)
	}
	return parts, nil
}

// part makes one of the attacks; change says in what it differs from the standard version.
func (a *AutoAttack) part(name, change string, wrong int) Attack {
	runs := 1
	if change == "x5" {
		runs = 5
	}
	steps, targets := a.Steps, min(9, wrong)
	switch change {
	case "short":
		steps, targets = a.Steps/5, min(3, wrong)
	case "few":
		targets = min(3, wrong)
	}
	switch name {
	case "square":
		s := &Square{Bound: a.Bound, Queries: a.Queries, PInit: 0.8, Runs: 1, Loss: "margin"}
		if change == "short" {
			s.Queries, s.Rescale = a.Queries/10, true
		}
		return s
	case "fab", "fab_t":
		f := newFAB(name == "fab_t")
		f.Bound, f.Steps, f.Runs, f.Targets, f.Nearest = a.Bound, steps, runs, targets, false
		return f
	}
	p := newAPGD("cross_entropy", 0)
	switch name {
	case "apgd_dlr":
		p.Loss = "dlr"
	case "apgd_t":
		p.Loss, p.Targets = "targeted_dlr", targets
	}
	p.Bound, p.Steps, p.Runs = a.Bound, steps, runs
	if change == "eot" {
		p.Samples = 20
	}
	if a.Norm == L1 && (a.Version == "standard" || a.Version == "custom") { // Croce and Hein 2021, section 4
		p.LargeEps = true
		if name == "apgd_t" {
			p.Targets = min(5, wrong)
		} else {
			p.Runs = 5
		}
	}
	return p
}

// Label implements Attack.
func (a *AutoAttack) Label() string {
	s := "AutoAttack " + a.Version
	switch a.Version {
	case "fast":
		s += " (upper bound)"
	case "custom":
		s += " (" + strings.Join(a.Attacks, ", ") + ")"
	}
	if a.Steps != 100 {
		s += fmt.Sprintf(", %d steps", a.Steps)
	}
	if a.Queries != 5000 {
		s += fmt.Sprintf(", %d queries", a.Queries)
	}
	return s
}

// Restarts implements Attack: those of the parts are their own.
func (a *AutoAttack) Restarts() int { return 1 }

// Gradients implements Attack: of all parts with all their restarts, on a network of ten classes or more.
func (a *AutoAttack) Gradients() (n int) {
	parts, err := a.Parts(10)
	if err != nil { // not with ten classes
		panic(err)
	}
	for _, p := range parts {
		n += p.Gradients() * p.Restarts()
	}
	return n
}

// At implements Attack.
func (a *AutoAttack) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack. Run calls those of the parts instead.
func (a *AutoAttack) Perturb(Victim, *Batch, device.Tensor, Draw) (device.Counts, error) {
	return device.Counts{}, fmt.Errorf("%s is a sequence of attacks: it is run by attacks.Run, and is no attack to train with", a.Label())
}

func init() {
	registry.Register("autoattack", func() Attack {
		return &AutoAttack{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Version: "standard", Steps: 100, Queries: 5000}
	})
}
