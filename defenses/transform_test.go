package defenses_test

import (
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// TestBehindTransforms: behind transformations the parameter gradient of a step is that of the
// network on transformed images, with draws counted by example and step.
func TestBehindTransforms(t *testing.T) {
	noise, err := configs.Choose[transform.Transform]("noise")
	if err != nil {
		t.Fatal(err)
	}
	blur, err := configs.Choose[transform.Transform]("gaussian")
	if err != nil {
		t.Fatal(err)
	}
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
	err = transform.New(m, chain, 9).Through(&device.Call{Rows: rows, X: x, Noise: s.Dropout + 6, Example: b.Index}, func(c *device.Call) error {
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

// TestEachBehindTransforms: every defence without a teacher trains behind a random chain, with the same
// bits each time, and not as it does without.
func TestEachBehindTransforms(t *testing.T) {
	noise, err := configs.Choose[transform.Transform]("noise")
	if err != nil {
		t.Fatal(err)
	}
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
				s.Before = transform.New(m, transform.Chain{noise}, 9)
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
