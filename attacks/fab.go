package attacks

import (
	"fmt"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// FAB is the fast adaptive boundary attack (Croce and Hein 2020b, algorithm 1): it looks for the
// nearest adversarial example, by steps to where the linearised decision boundary meets the box,
// biased towards the clean image. eps is the radius of random restarts, and what counts as a success.
type FAB struct {
	Bound
	Steps int `toml:"steps"`
	// Runs is the number of runs, of each target if Targeted: the first from the clean image, the
	// others from random points at eps/2.
	Runs int `toml:"restarts"`
	// AlphaMax bounds the bias towards the clean image, Eta is how far a step goes beyond the
	// boundary, Beta the share of the way from the clean image at which a misclassified iterate goes on.
	AlphaMax float64 `toml:"alpha_max"`
	Eta      float64 `toml:"eta"`
	Beta     float64 `toml:"beta"`
	// Targeted takes one target class after another (FAB-T), one gradient a step; otherwise each
	// step goes to the nearest boundary of all targets, one gradient each.
	Targeted bool `toml:"targeted"`
	// Targets is how many wrong classes are aimed at, the likeliest on the clean image first. A
	// network of fewer classes has fewer targets.
	Targets int `toml:"targets"`
	// Nearest looks for the nearest adversarial example of every image; otherwise an image is left
	// as soon as one is found within eps.
	Nearest bool `toml:"nearest"`
}

// Validate implements Attack.
func (a *FAB) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	for _, c := range []struct {
		key   string
		value int
	}{{"steps", a.Steps}, {"restarts", a.Runs}, {"targets", a.Targets}} {
		if c.value < 1 {
			return registry.Errorf(c.key, "%d must be at least 1", c.value)
		}
	}
	if !(a.AlphaMax >= 0 && a.AlphaMax <= 1) {
		return registry.Errorf("alpha_max", "%v must lie between 0 and 1", a.AlphaMax)
	}
	if !(a.Eta >= 1) {
		return registry.Errorf("eta", "%v must be at least 1: a step ends at the boundary or beyond", a.Eta)
	}
	if !(a.Beta > 0 && a.Beta < 1) {
		return registry.Errorf("beta", "%v must lie between 0 and 1", a.Beta)
	}
	return nil
}

// Label implements Attack.
func (a *FAB) Label() string {
	s := "FAB"
	if a.Targeted {
		s = "FAB-T"
	}
	if a.Steps != 100 {
		s += fmt.Sprintf(" %d steps", a.Steps)
	}
	if a.Targets != 9 {
		s += fmt.Sprintf(" %d targets", a.Targets)
	}
	if a.Runs > 1 {
		s += fmt.Sprintf(" x%d", a.Runs)
	}
	return s
}

// Restarts implements Attack: run r of target t is restart t*Runs+r.
func (a *FAB) Restarts() int {
	if a.Targeted {
		return a.Runs * a.Targets
	}
	return a.Runs
}

// Gradients implements Attack.
func (a *FAB) Gradients() int {
	if a.Targeted {
		return a.Steps
	}
	return a.Steps * a.Targets
}

// Minimal implements attacks.Minimal.
func (a *FAB) Minimal() bool { return a.Nearest }

// At implements Attack.
func (a *FAB) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *FAB) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	o := newOracle(v, b, d)
	clean := o.clean()
	first, last := 0, min(a.Targets, v.Classes()-1)
	if a.Targeted {
		first = int(d.Restart) / a.Runs
		last = first + 1
	}
	if first >= v.Classes()-1 { // there are no more wrong classes
		adv.Upload(clean, 0)
		return o.counts, nil
	}
	z, err := o.logits(clean, count(len(b.Labels)))
	if err != nil {
		return o.counts, err
	}
	var targets [][]int32
	for number := first; number < last; number++ {
		targets = append(targets, rankedTargets(z, b.Labels, number))
	}
	s := newFABState(a, o, clean, targets)
	for r, y := range b.Labels {
		if device.Argmax(z[r*o.classes:][:o.classes]) == int(y) { // else the clean image is the nearest
			s.live = append(s.live, r)
		}
	}
	if int(d.Restart)%a.Runs > 0 {
		eachRow(len(s.live), func(i int) {
			r := s.live[i]
			x := s.of(s.x, r)
			onSphere(x, a.Norm, float64(a.Epsilon)/2, d, b.Index[r])
			if a.Norm == L1 {
				scale := float32(float64(a.Epsilon) / 2 / L1.Distance(x, make([]float32, len(x))))
				for j := range x {
					x[j] *= scale
				}
			}
			for j, c := range s.of(clean, r) {
				x[j] += c
			}
			toBox(x, s.of(clean, r))
		})
	}
	for range a.Steps {
		if err := s.advance(); err != nil {
			return o.counts, err
		}
	}
	adv.Upload(s.best, 0)
	return o.counts, nil
}

func init() {
	registry.Register("fab", func() Attack { return newFAB(false) })
	registry.Register("fab_t", func() Attack { return newFAB(true) })
}

func newFAB(targeted bool) *FAB {
	return &FAB{Bound: Bound{Norm: Linf, Epsilon: 0.3}, Steps: 100, Runs: 1, AlphaMax: 0.1, Eta: 1.05, Beta: 0.9, Targeted: targeted, Targets: 9, Nearest: true}
}
