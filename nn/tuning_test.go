package nn_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

func tuned(t *testing.T, spec nn.Spec, tuning nn.Tuning) *nn.Model {
	t.Helper()
	m, err := nn.BuildTuned(spec, cpu.New(2), 8, rng.New(7, "test"), tuning)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trainSome makes three steps on random images.
func trainSome(t *testing.T, m *nn.Model, rule device.Optimizer, lr float64) {
	t.Helper()
	size, labels := m.Input().Size(), make([]int32, 8)
	x := m.New(8 * size)
	pixels := make([]float32, 8*size)
	for step := range 3 {
		rng.New(8, "pixels").Uniform(pixels, 0, 1, uint32(step), 0, 0)
		x.Upload(pixels, 0)
		for i := range labels {
			labels[i] = int32((i + step) % 3)
		}
		err := m.ParamGrad(&device.Call{Rows: 8, X: x, Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1. / 8, Noise: uint64(step)})
		if err == nil {
			err = m.Update(rule, lr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func bits(v []float32) []uint32 {
	out := make([]uint32, len(v))
	for i, x := range v {
		out[i] = math.Float32bits(x)
	}
	return out
}

// TestFreeze: what is frozen keeps its bits under weight decay and momentum, running statistics
// among it, and everything else moves.
func TestFreeze(t *testing.T) {
	spec := residualNet(1, 3).Spec
	for _, c := range []struct {
		freeze []string
		frozen string // prefixes of the weights that stay
	}{
		{[]string{"conv1", "bn1"}, "conv1. bn1."},
		{[]string{"layer1"}, "layer1."},
		{[]string{"layer1.conv1.weight"}, "layer1.conv1.weight"},
		{[]string{nn.AllButHead}, "conv1. bn1. layer1."},
		{[]string{nn.Head, "bn1"}, "fc. bn1."},
	} {
		for _, rule := range []device.Optimizer{device.SGD{Momentum: 0.9, WeightDecay: 0.1}, device.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Decoupled: true}} {
			m := tuned(t, spec, nn.Tuning{Freeze: c.freeze})
			before := m.Weights()
			trainSome(t, m, rule, 0.1)
			for _, w := range m.Weights() {
				stays := slices.ContainsFunc(strings.Fields(c.frozen), func(p string) bool { return strings.HasPrefix(w.Name, p) })
				if same := slices.Equal(bits(w.Data), bits(weight(before, w.Name))); same != stays {
					t.Errorf("freeze %q, %T: %s stayed: %v, want %v", c.freeze, rule, w.Name, same, stays)
				}
			}
			for _, g := range m.Gradients() {
				if slices.ContainsFunc(strings.Fields(c.frozen), func(p string) bool { return strings.HasPrefix(g.Name, p) }) {
					t.Errorf("freeze %q: %s has a gradient", c.freeze, g.Name)
				}
			}
		}
	}
}

// TestFreezeGradients: the gradients that remain are those of a network that trains everything in
// evaluation mode, and a program without frozen weights below does not go there.
func TestFreezeGradients(t *testing.T) {
	spec := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{6, 5}}, Input: nn.Shape{H: 3, W: 3, C: 1}, Classes: 3}
	whole, part := tuned(t, spec, nn.Tuning{}), tuned(t, spec, nn.Tuning{Freeze: []string{nn.AllButHead}})
	x := whole.New(8 * 9)
	pixels := make([]float32, 8*9)
	rng.New(9, "pixels").Uniform(pixels, 0, 1, 0, 0, 0)
	x.Upload(pixels, 0)
	call := &device.Call{Rows: 8, X: x, Labels: []int32{0, 1, 2, 0, 1, 2, 0, 1}, Loss: nn.CrossEntropy{}, Scale: 1}
	for _, m := range []*nn.Model{whole, part} {
		if err := m.ParamGrad(call); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.DeleteFunc(whole.Gradients(), func(w nn.Weight) bool { return !strings.HasPrefix(w.Name, "fc3.") })
	if got := part.Gradients(); !reflect.DeepEqual(got, want) {
		t.Errorf("gradients %v, want %v", got, want)
	}
	if n := len(part.Programs()[2].Instrs); n >= len(whole.Programs()[2].Instrs)-3 {
		t.Errorf("%d instructions of %d: the backward pass goes below the head", n, len(whole.Programs()[2].Instrs))
	}
	if whole.Parameters() != part.Parameters() || part.Trained() != 5*3+3 {
		t.Errorf("%d parameters of %d, %d of them trained", part.Parameters(), whole.Parameters(), part.Trained())
	}
}

// TestGroups: with plain SGD a factor on the learning rate is a factor on the first step.
func TestGroups(t *testing.T) {
	spec := residualNet(1, 3).Spec
	plain := tuned(t, spec, nn.Tuning{})
	grouped := tuned(t, spec, nn.Tuning{Groups: []nn.Group{{Names: []string{"conv1", "layer1"}, LRFactor: 0.25}, {Names: []string{"layer1.bn1", nn.Head}, LRFactor: 4}}})
	before := plain.Weights()
	step := func(m *nn.Model) []nn.Weight {
		x := m.New(8 * 36)
		pixels := make([]float32, 8*36)
		rng.New(9, "pixels").Uniform(pixels, 0, 1, 0, 0, 0)
		x.Upload(pixels, 0)
		err := m.ParamGrad(&device.Call{Rows: 8, X: x, Labels: []int32{0, 1, 2, 0, 1, 2, 0, 1}, Loss: nn.CrossEntropy{}, Scale: 1})
		if err == nil {
			err = m.Update(device.SGD{}, 0.5) // a power of two, so that factors are exact
		}
		if err != nil {
			t.Fatal(err)
		}
		return m.Weights()
	}
	a, b := step(plain), step(grouped)
	for _, c := range []struct {
		name   string
		factor float64
	}{{"conv1.weight", .25}, {"bn1.weight", 1}, {"layer1.conv1.bias", .25}, {"layer1.bn1.bias", 4}, {"fc.weight", 4}} {
		w, moved, scaled := weight(before, c.name), weight(a, c.name), weight(b, c.name)
		any := false
		for i := range w {
			d, e := float64(moved[i])-float64(w[i]), float64(scaled[i])-float64(w[i])
			any = any || d != 0
			// Both new weights are rounded once, by at most half a unit in the last place.
			if tolerance := (1 + c.factor) * 0x1p-24 * math.Max(math.Abs(float64(w[i])), math.Max(math.Abs(float64(moved[i])), math.Abs(float64(scaled[i])))); math.Abs(e-c.factor*d) > tolerance {
				t.Fatalf("%s: moved by %v, want %v times %v", c.name, e, c.factor, d)
			}
		}
		if !any && c.name != "conv1.bias" {
			t.Errorf("%s did not move", c.name)
		}
	}
}

// TestFreezePerturbed: adversarial weight perturbation moves only what is trained, and for a while.
func TestFreezePerturbed(t *testing.T) {
	m := tuned(t, residualNet(1, 3).Spec, nn.Tuning{Freeze: []string{"conv1", "bn1"}})
	before := m.Weights()
	x, pixels := m.New(8*36), make([]float32, 8*36)
	rng.New(9, "pixels").Uniform(pixels, 0, 1, 0, 0, 0)
	x.Upload(pixels, 0)
	call := &device.Call{Rows: 8, X: x, Labels: make([]int32, 8), Loss: nn.CrossEntropy{}, Scale: 1}
	if err := m.PerturbedGrad(call, 0.1); err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Weights() {
		moves := strings.HasPrefix(w.Name, "layer1.bn1.running")
		if same := slices.Equal(bits(w.Data), bits(weight(before, w.Name))); same == moves {
			t.Errorf("%s stayed: %v", w.Name, same)
		}
	}
}

// TestFreezeAveraged: an average holds frozen weights and statistics as they are.
func TestFreezeAveraged(t *testing.T) {
	m := tuned(t, residualNet(1, 3).Spec, nn.Tuning{Freeze: []string{nn.AllButHead}})
	if m.HasStatistics() {
		t.Error("statistics that are all frozen would be measured anew")
	}
	before, avg := m.Weights(), &nn.Average{}
	for range 2 {
		trainSome(t, m, device.SGD{}, 0.1)
		avg.Add(m, 0.5)
	}
	list := avg.Weights(m)
	for _, w := range list {
		if same := slices.Equal(bits(w.Data), bits(weight(before, w.Name))); same != !strings.HasPrefix(w.Name, "fc.") {
			t.Errorf("average of %s stayed: %v", w.Name, same)
		}
	}
	again := &nn.Average{}
	if err := again.Restore(m, list, avg.Taken); err != nil || !reflect.DeepEqual(again.Weights(m), list) {
		t.Errorf("restored: %v", err)
	}
}

func TestTuningErrors(t *testing.T) {
	spec := residualNet(1, 3).Spec
	ensemble := nn.Spec{Members: []nn.Spec{spec, spec}, Combine: nn.MeanLogits, Input: spec.Input, Classes: spec.Classes}
	for _, c := range []struct {
		tuning nn.Tuning
		want   string
	}{
		{nn.Tuning{Freeze: []string{"layer9"}}, `freeze: unknown layer or weight "layer9": did you mean "layer1"? known: conv1, bn1, layer1, fc, head`},
		{nn.Tuning{Freeze: []string{"lay"}}, `freeze: unknown layer or weight "lay"`},
		{nn.Tuning{Groups: []nn.Group{{Names: []string{"hed"}}}}, `group: unknown layer or weight "hed": did you mean "head"?`},
		{nn.Tuning{Freeze: []string{nn.AllButHead, nn.Head}}, "freeze: all weights are frozen"},
	} {
		for _, s := range []nn.Spec{spec, ensemble} {
			_, err := nn.BuildTuned(s, cpu.New(1), 8, rng.New(7, "test"), c.tuning)
			if _, ok := errors.AsType[*nn.TuningError](err); !ok || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%+v: %v, want %q", c.tuning, err, c.want)
			}
		}
	}
	m := tuned(t, ensemble, nn.Tuning{Freeze: []string{nn.AllButHead}})
	if got := m.Trained(); got != 2*(4*3+3) {
		t.Errorf("%d weights of two heads", got)
	}
}

// TestFreezeBounds: interval bounds add the same gradient to what is trained, and none to the rest.
func TestFreezeBounds(t *testing.T) {
	spec := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{6, 5}}, Input: nn.Shape{H: 3, W: 3, C: 1}, Classes: 3}
	var gradients [2][]nn.Weight
	for i, tuning := range []nn.Tuning{{}, {Freeze: []string{"fc1", "fc2.bias"}}} {
		m := tuned(t, spec, tuning)
		b, err := nn.NewBounds(m, 2)
		if err != nil {
			t.Fatal(err)
		}
		images, box := make([]float32, 2*9), make([]float32, 2*2*9)
		rng.New(9, "pixels").Uniform(images, 0, 1, 0, 0, 0)
		b.Box(box, images, 0.05)
		call := &device.Call{Rows: 2, X: m.New(len(images)), Labels: []int32{2, 0}, Loss: nn.CrossEntropy{}, Scale: 1}
		call.X.Upload(images, 0)
		if err := m.ParamGrad(call); err != nil {
			t.Fatal(err)
		}
		worst := &device.Call{Rows: 2, X: m.New(len(box)), Labels: []int32{2, 0}, Loss: nn.WorstCase{}, Scale: 0.5, Value: m.New(2)}
		worst.X.Upload(box, 0)
		if err := b.AddGrad(worst); err != nil {
			t.Fatal(err)
		}
		gradients[i] = m.Gradients()
	}
	want := slices.DeleteFunc(slices.Clone(gradients[0]), func(w nn.Weight) bool { return strings.HasPrefix(w.Name, "fc1.") || w.Name == "fc2.bias" })
	if !reflect.DeepEqual(gradients[1], want) {
		t.Errorf("gradients %v, want %v", gradients[1], want)
	}
}
