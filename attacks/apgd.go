package attacks

import (
	"fmt"
	"math"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// APGD is Auto-PGD (Croce and Hein 2020, algorithm 1): gradient ascent with momentum, whose step is
// halved, back at the best iterate, where the loss has stopped rising. In L1 it takes sparse steps
// (Croce and Hein 2021, algorithm 1). An example leaves as soon as it is misclassified.
type APGD struct {
	Bound
	Loss  string `toml:"loss"`
	Steps int    `toml:"steps"`
	// Runs is the number of random restarts, of each target where there are targets.
	Runs int `toml:"restarts"`
	// Rho is the share of steps that must raise the loss for the step size to stay.
	Rho float64 `toml:"rho"`
	// Momentum is the share of a new step; the rest is that of the step before (alpha in the paper).
	Momentum float64 `toml:"momentum"`
	// Samples is how many gradients are averaged for a step, for a randomised network.
	Samples int `toml:"eot"`
	// Targets is how many wrong classes are aimed at one after another, the likeliest on the clean
	// image first; 0 is an untargeted attack. A network of fewer classes has fewer targets.
	Targets int `toml:"targets"`
	// LargeEps spends 30 % of the steps in a ball of 3 eps and 30 % in one of 2 eps, each from what
	// the one before found (Croce and Hein 2021, section 3.3); in L1 alone.
	LargeEps bool `toml:"large_eps"`
}

// Validate implements Attack.
func (a *APGD) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	for _, c := range []struct {
		key   string
		value int
		least int
	}{{"steps", a.Steps, 1}, {"restarts", a.Runs, 1}, {"eot", a.Samples, 1}, {"targets", a.Targets, 0}} {
		if c.value < c.least {
			return registry.Errorf(c.key, "%d must be at least %d", c.value, c.least)
		}
	}
	if !(a.Rho > 0 && a.Rho <= 1) {
		return registry.Errorf("rho", "%v must lie above 0, and be at most 1", a.Rho)
	}
	if !(a.Momentum > 0 && a.Momentum <= 1) {
		return registry.Errorf("momentum", "%v must lie above 0, and be at most 1: it is the share of the new step", a.Momentum)
	}
	if a.LargeEps && a.Norm != L1 {
		return registry.Errorf("large_eps", "belongs to norm = \"l1\"")
	}
	if a.LargeEps && a.Steps < 4 {
		return registry.Errorf("large_eps", "%d steps cannot be shared among three balls: use at least 4", a.Steps)
	}
	return checkLoss(a.Loss, a.Targets > 0, "set targets to how many classes to aim at, such as 9")
}

// CheckClasses implements Classed.
func (a *APGD) CheckClasses(n int) error { return lossFits(a.Loss, n) }

// Label implements Attack.
func (a *APGD) Label() string {
	name := map[string]string{"cross_entropy": "CE", "dlr": "DLR"}[a.Loss]
	switch {
	case a.Targets > 0 && a.Loss == "targeted_dlr":
		name = "T"
	case a.Targets > 0:
		name = "T " + a.Loss
	case name == "":
		name = a.Loss
	}
	s := "APGD-" + name
	if a.Steps != 100 {
		s += fmt.Sprintf(" %d steps", a.Steps)
	}
	if a.Targets > 0 && a.Targets != 9 {
		s += fmt.Sprintf(" %d targets", a.Targets)
	}
	if a.Samples > 1 {
		s += fmt.Sprintf(" eot %d", a.Samples)
	}
	if a.Runs > 1 {
		s += fmt.Sprintf(" x%d", a.Runs)
	}
	return s
}

// Restarts implements Attack: run r of target t is restart t*Runs+r.
func (a *APGD) Restarts() int { return a.Runs * max(a.Targets, 1) }

// Draws implements Averaging.
func (a *APGD) Draws() int { return a.Samples }

// LossName implements Lossy.
func (a *APGD) LossName() string { return a.Loss }

// Gradients implements Attack.
func (a *APGD) Gradients() int { return a.Steps * a.Samples }

// At implements Attack.
func (a *APGD) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *APGD) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	o := newOracle(v, b, d)
	clean := o.clean()
	var targets []int32
	if a.Targets > 0 {
		number := int(d.Restart) / a.Runs
		if number >= v.Classes()-1 { // there are no more wrong classes
			adv.Upload(clean, 0)
			return o.counts, nil
		}
		z, err := o.logits(clean, count(len(b.Labels)))
		if err != nil {
			return o.counts, err
		}
		targets = rankedTargets(z, b.Labels, number)
	}
	goal, err := newObjective(a.Loss, b.Labels, targets, v.Classes())
	if err != nil {
		return o.counts, err
	}
	c := newClimb(a, o, goal, clean)
	phases := a.phases()
	eachRow(len(b.Labels), func(r int) {
		a.start(c.of(c.x, r), c.of(clean, r), phases[0].epsilon, d, b.Index[r])
	})
	for i, p := range phases {
		if err := c.run(p, i > 0 || a.LargeEps, i == len(phases)-1); err != nil {
			return o.counts, err
		}
	}
	adv.Upload(c.out, 0)
	return o.counts, nil
}

// phase is a number of steps in a ball.
type phase struct {
	epsilon float64
	steps   int
}

func (a *APGD) phases() []phase {
	eps := float64(a.Epsilon)
	if !a.LargeEps {
		return []phase{{eps, a.Steps}}
	}
	third := int(math.Ceil(0.3 * float64(a.Steps)))
	if 2*third >= a.Steps {
		third = (a.Steps - 1) / 2
	}
	return []phase{{3 * eps, third}, {2 * eps, third}, {eps, a.Steps - 2*third}}
}

// start moves x to a random point on the sphere around clean (in L1: to the projection of a normal
// draw), clipped to [0,1].
func (a *APGD) start(x, clean []float32, epsilon float64, d Draw, example uint32) {
	onSphere(x, a.Norm, epsilon, d, example)
	for i := range x {
		x[i] += clean[i]
	}
	if a.Norm == L1 {
		Threat{L1, configs.Number(epsilon)}.Project(x, clean)
	}
	toBox(x, clean)
}

// onSphere draws a point at distance epsilon of the origin: uniform numbers in Linf, normal ones
// otherwise, brought to that norm, in L1 left as they are.
func onSphere(x []float32, norm Norm, epsilon float64, d Draw, example uint32) {
	if norm == Linf {
		d.Stream.Uniform(x, -1, 1, example, d.Restart, drawStart)
	} else {
		d.Stream.Normal(x, 0, 1, example, d.Restart, drawStart)
	}
	if norm == L1 {
		return
	}
	scale := epsilon / (norm.Distance(x, make([]float32, len(x))) + 1e-12)
	for i, v := range x {
		x[i] = float32(scale * float64(v))
	}
}

func init() {
	registry.Register("apgd", func() Attack { return newAPGD("cross_entropy", 0) })
	registry.Register("apgd_dlr", func() Attack { return newAPGD("dlr", 0) })
	registry.Register("apgd_t", func() Attack { return newAPGD("targeted_dlr", 9) })
}

func newAPGD(loss string, targets int) *APGD {
	return &APGD{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Loss: loss, Steps: 100, Runs: 1, Rho: 0.75, Momentum: 0.75, Samples: 1, Targets: targets}
}
