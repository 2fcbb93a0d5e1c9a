package attacks_test

import (
	"fmt"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
)

// spy is a victim that notes which classes attacks aim at.
type spy struct {
	*nn.Model
	labels   []int32
	targeted bool
}

func (s *spy) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	s.labels = append(s.labels, c.Labels...)
	_, inverted := c.Loss.(nn.Targeted)
	if inverted != l.Targeted {
		return device.Counts{}, fmt.Errorf("loss %T with Targeted = %v", c.Loss, l.Targeted)
	}
	s.targeted = l.Targeted
	return s.Model.Iterate(c, l)
}

// TestTargets: each rule picks the classes that it says, never the label.
func TestTargets(t *testing.T) {
	d := bars(t, 120, 2)
	m := trained(t, 2, 32)
	clean := logitsOf(t, m, imagesOf(d))
	for i := range d.Len() / 2 { // wrong labels, so that the least likely class is the label
		row := clean[i*classes : (i+1)*classes]
		d.Labels[i] = int32(slices.Index(row, slices.Min(row)))
	}
	least := func(i int) int32 {
		best := -1
		for j, z := range clean[i*classes : (i+1)*classes] {
			if j != int(d.Label(i)) && (best < 0 || z < clean[i*classes+best]) {
				best = j
			}
		}
		return int32(best)
	}
	targets := func(rule attacks.Target, restart uint32) []int32 {
		s := &spy{Model: m}
		a := pgd(t, func(a *attacks.PGD) { a.Steps, a.Target = 1, rule })
		for start := 0; start < d.Len(); start += 30 {
			b, x := d.NewBatch(30), m.New(30*pixels)
			d.Fill(b, start)
			x.Upload(b.X, 0)
			if _, err := a.Perturb(s, &attacks.Batch{X: x, Labels: b.Labels, Index: b.Index}, m.New(30*pixels), attacks.Draw{Stream: noise, Restart: restart}); err != nil {
				t.Fatal(err)
			}
		}
		if s.targeted != (rule != "") {
			t.Errorf("rule %q: targeted = %v", rule, s.targeted)
		}
		return s.labels
	}
	if got := targets("", 0); !slices.Equal(got, d.Labels) {
		t.Error("an untargeted attack does not leave the labels")
	}
	for i, c := range targets("next", 0) {
		if want := (d.Label(i) + 1) % classes; c != want {
			t.Errorf("next: example %d of class %d aims at %d", i, d.Label(i), c)
		}
	}
	for i, c := range targets("least_likely", 0) {
		if c != least(i) {
			t.Errorf("least_likely: example %d aims at %d, want %d", i, c, least(i))
		}
	}
	random := targets("random", 0)
	seen := map[[2]int32]int{}
	for i, c := range random {
		if c == d.Label(i) || c < 0 || c >= classes {
			t.Errorf("random: example %d of class %d aims at %d", i, d.Label(i), c)
		}
		seen[[2]int32{d.Label(i), c}]++
	}
	if len(seen) != classes*(classes-1) {
		t.Errorf("random: only %d of %d pairs of label and target are there", len(seen), classes*(classes-1))
	}
	if slices.Equal(random, targets("random", 1)) {
		t.Error("random: a restart aims at the same classes")
	}
	if !slices.Equal(random, targets("random", 0)) {
		t.Error("random: the same run aims at other classes")
	}
}

// TestTargetedDescends: a targeted attack brings the loss of its target down, for each example.
func TestTargetedDescends(t *testing.T) {
	d := bars(t, 60, 4)
	m := trained(t, 2, 32)
	clean := logitsOf(t, m, imagesOf(d))
	for _, rule := range []attacks.Target{"random", "next", "least_likely"} {
		for _, loss := range []string{"cross_entropy", "margin"} {
			s := &spy{Model: m}
			a := pgd(t, func(a *attacks.PGD) {
				a.Target, a.Loss, a.RandomStart, a.EarlyStop, a.KeepBest = rule, loss, false, false, false
				a.Epsilon, a.StepSize, a.Steps = 0.1, 0.01, 12
			})
			res := run(t, s, a, d)
			z := logitsOf(t, m, res.Adv)
			hits := 0
			for i, target := range s.labels {
				row, before := z[i*classes:(i+1)*classes], clean[i*classes:(i+1)*classes]
				if crossEntropy(row, int(target)) >= crossEntropy(before, int(target)) {
					t.Errorf("%s, %s: the loss of example %d's target rose from %v to %v", rule, loss, i, crossEntropy(before, int(target)), crossEntropy(row, int(target)))
				}
				if res.Prediction[i] == int(target) {
					hits++
				}
			}
			if hits == 0 {
				t.Errorf("%s, %s: no example of %d reached its target", rule, loss, d.Len())
			}
		}
	}
}
