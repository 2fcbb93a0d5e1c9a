package defenses_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

func chosen(t *testing.T, name string) configs.Choice[transform.Transform] {
	t.Helper()
	c, err := configs.Choose[transform.Transform](name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBehindTransforms: behind transformations the parameter gradient of a step is that of the
// network on transformed images, with draws counted by example and step.
func TestBehindTransforms(t *testing.T) {
	noise := chosen(t, "noise")
	blur := chosen(t, "gaussian")
	chain := transform.Chain{blur, noise}
	m, b := model(t, 1, 3, nn.MLP{Hidden: []int{8}}), batch(5)
	s := session(m, 6)
	s.Before = transform.New(m, chain, 9)
	step(t, &defenses.Natural{}, s, b)
	got := gradient(m)

	// What the network sees, caught on the way.
	var seen []float32
	x := m.New(len(b.X))
	x.Upload(b.X, 0)
	err := transform.New(m, chain, 9).Through(&device.Call{Rows: rows, X: x, Noise: s.Dropout + 6, Example: b.Index}, func(c *device.Call) error {
		seen = make([]float32, len(b.X))
		c.X.Download(seen, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := byHand(t, m, seen, b.Labels, nn.CrossEntropy{}); farthest(got, want) > 1e-6 {
		t.Errorf("the gradient is off by %v", farthest(got, want))
	}
	if plain := byHand(t, m, b.X, b.Labels, nn.CrossEntropy{}); farthest(got, plain) < 1e-3 {
		t.Error("the transformations leave the gradient as it is")
	}
}

// TestEachBehindTransforms: every defence without a teacher trains behind a random chain, or one that bounds go
// through, with the same bits each time, and not as it does without.
func TestEachBehindTransforms(t *testing.T) {
	noise := chosen(t, "noise")
	blur := chosen(t, "gaussian")
	for _, name := range registry.Names[defenses.Defense]() {
		d, err := registry.New[defenses.Defense](name)
		if err != nil {
			t.Fatal(err)
		}
		if defenses.NeedsTeacher(d) {
			continue
		}
		for _, a := range defenses.Attacks(d) {
			if p, ok := a.(*attacks.PGD); ok {
				p.Steps = 2
			}
		}
		chain := transform.Chain{noise}
		if defenses.Certified(d) {
			chain = transform.Chain{blur}
		}
		var gradients [3][]float32
		for i := range gradients {
			m := model(t, 1, 3, nn.MLP{Hidden: []int{8}})
			if defenses.TrainsMembers(d) {
				m = stacked(t, 1)
			}
			if defenses.Suits(d, m) != nil {
				m = denoised(t, 1)
			}
			s := session(m, 6)
			if defenses.NeedsSources(d) {
				s.Sources = []*nn.Model{model(t, 1, 3, nn.MLP{Hidden: []int{9}})}
			}
			if i > 0 {
				s.Before = transform.New(m, chain, 9)
			}
			step(t, d, s, batch(5))
			gradients[i] = gradient(m)
		}
		if !slices.Equal(gradients[1], gradients[2]) {
			t.Errorf("%s: two runs differ", name)
		}
		if slices.Equal(gradients[0], gradients[1]) {
			t.Errorf("%s: it takes no notice of the transformations", name)
		}
	}
}

// TestBoundsBehindTransforms: behind a chain that keeps order IBP trains on the boxes of transformed corners, and
// CROWN-IBP at a beta of 0 on the same. No bounds go through noise.
func TestBoundsBehindTransforms(t *testing.T) {
	round := chosen(t, "bit_depth")
	noise := chosen(t, "noise")
	const epsilon = 0.2
	m, b := model(t, 1, 3, nn.MLP{Hidden: []int{8}}), batch(5)
	byHand(t, m, b.X, b.Labels, nn.CrossEntropy{}) // what addBounds adds to
	clean := gradient(m)
	addBounds(t, m, b, epsilon, func(image []float32) {
		for i, v := range image {
			image[i] = float32(math.RoundToEven(float64(v)))
		}
	})
	want := gradient(m)
	for i, v := range clean {
		want[i] -= v
	}
	for _, d := range []defenses.Defense{&defenses.IBP{Epsilon: epsilon}, &defenses.CROWNIBP{IBP: defenses.IBP{Epsilon: epsilon}}} {
		s := session(m, 0)
		s.Before = transform.New(m, transform.Chain{round}, 9)
		step(t, d, s, b)
		if off := farthest(gradient(m), want); off > 1e-6 {
			t.Errorf("%T: the gradient is off by %v", d, off)
		}
		s = session(m, 0)
		s.Before = transform.New(m, transform.Chain{round, noise}, 9)
		if _, err := d.Step(s, b); err == nil || !strings.Contains(err.Error(), "bounds do not go through noise") {
			t.Errorf("%T: behind noise the error is %v", d, err)
		}
	}
}
