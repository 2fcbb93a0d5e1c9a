package nn_test

import (
	"math"
	"reflect"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// TestAverages follows both rules over steps of training, and through a restart.
func TestAverages(t *testing.T) {
	layers := []nn.Layer{{Type: "conv", Out: 3, Kernel: 3}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dense"}}
	spec := nn.Spec{Arch: "layers", Options: &nn.Custom{List: layers}, Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: 10}
	const steps, epoch = 12, 3
	for _, c := range []struct {
		name string
		rule nn.Averaging
		// shares are what each step's weights have in the end.
		shares [steps]float64
	}{
		{"ema", &nn.EMA{Decay: 0.75}, [steps]float64{}},
		{"ema, late", &nn.EMA{Decay: 0.2, Start: 0.75}, [steps]float64{8: 2. / 11 * 0.04, 9: 9. / 11 * 0.04, 10: 0.16, 11: 0.8}},
		{"swa by epoch", &nn.SWA{Start: 0.5}, [steps]float64{5: 1. / 3, 8: 1. / 3, 11: 1. / 3}},
		{"swa by steps", &nn.SWA{Start: 0.5, Every: 5}, [steps]float64{9: 0.5, 11: 0.5}},
	} {
		if c.name == "ema" {
			c.shares[0] = 1
			for n := 1; n < steps; n++ { // (1+n)/(10+n) stays below the decay all the while
				decay := float64(1+n) / float64(10+n)
				for i := range n {
					c.shares[i] *= decay
				}
				c.shares[n] = 1 - decay
			}
		}
		t.Run(c.name, func(t *testing.T) {
			m, err := nn.Build(spec, cpu.New(2), 8, rng.New(1, "weights"))
			if err != nil {
				t.Fatal(err)
			}
			average, want := &nn.Average{}, map[string][]float64{}
			for step := 1; step <= steps; step++ {
				call := torchBatch(m, 8, step)
				call.InputGrad = nil
				if err := m.ParamGrad(call); err != nil {
					t.Fatal(err)
				}
				if err := m.Update(device.SGD{}, 0.05); err != nil {
					t.Fatal(err)
				}
				if rate := c.rule.Rate(step, steps, epoch, average.Taken); rate > 0 {
					average.Add(m, rate)
				}
				for _, w := range m.Weights() {
					if want[w.Name] == nil {
						want[w.Name] = make([]float64, len(w.Data))
					}
					for j, v := range w.Data {
						want[w.Name][j] += c.shares[step-1] * float64(v)
					}
				}
				if step == 10 { // as a run that is resumed
					again := &nn.Average{}
					if err := again.Restore(m, average.Weights(m), average.Taken); err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(again.Weights(m), average.Weights(m)) {
						t.Error("a restored average is another one")
					}
					average = again
				}
			}
			if !m.HasStatistics() {
				t.Error("no running statistics")
			}
			for i, w := range average.Weights(m) {
				if w.Name == "bn1.running_mean" || w.Name == "bn1.running_var" {
					if !reflect.DeepEqual(w, m.Weights()[i]) {
						t.Errorf("%s is not the model's", w.Name)
					}
					continue
				}
				for j, v := range w.Data {
					if math.Abs(float64(v)-want[w.Name][j]) > 1e-6 {
						t.Fatalf("%s[%d] is %v, want %v", w.Name, j, v, want[w.Name][j])
					}
				}
			}
		})
	}
}

func TestAveragingOptions(t *testing.T) {
	for _, name := range registry.Names[nn.Averaging]() {
		rule, err := registry.New[nn.Averaging](name)
		if err != nil {
			t.Fatal(err)
		}
		if err := rule.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if rate := rule.Rate(100, 100, 10, 0); rate != 1 {
			t.Errorf("%s: the first weights enter with %v", name, rate)
		}
	}
	for _, c := range []struct {
		rule nn.Averaging
		want string
	}{
		{&nn.EMA{Decay: 1}, `"decay": 1 must lie between 0 and 1`},
		{&nn.EMA{Decay: 0.9, Start: 2}, `"start": 2 is not a share of the steps: it must lie between 0 and 1`},
		{&nn.SWA{Every: -1}, `"every": -1 must not be negative (0 means once an epoch)`},
		{&nn.SWA{Start: -1}, `"start": -1 is not a share of the steps: it must lie between 0 and 1`},
	} {
		if err := c.rule.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c.rule, err)
		}
	}
}

// TestEMADecay: the decay rises to what is asked for.
func TestEMADecay(t *testing.T) {
	a := nn.EMA{Decay: 0.995}
	for taken, want := range map[int]float64{0: 1, 1: 9. / 11, 90: 9. / 100, 1790: 0.005, 5000: 0.005} {
		if got := a.Rate(10, 10, 1, taken); math.Abs(got-want) > 1e-12 {
			t.Errorf("after %d weights the next enters with %v, want %v", taken, got, want)
		}
	}
}
