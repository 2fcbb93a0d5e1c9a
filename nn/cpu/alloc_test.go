package cpu

import (
	"runtime"
	"testing"
	"weak"

	"rampart/nn"
	"rampart/nn/backendtest"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestNoAllocations: once memory is there, steps allocate nothing.
func TestNoAllocations(t *testing.T) {
	for _, network := range backendtest.Networks() {
		t.Run(network.Name, func(t *testing.T) {
			const rows = 6
			m, err := nn.Build(network.Spec, New(2), rows, rng.New(1, "weights"))
			if err != nil {
				t.Fatal(err)
			}
			classes := network.Spec.Classes
			c := &device.Call{Rows: rows, X: m.New(rows * network.Spec.Input.Size()), Labels: make([]int32, rows), Loss: nn.CrossEntropy{}, Scale: 1,
				Soft: m.Device.New(rows * classes), Logits: m.Device.New(rows * classes), Value: m.Device.New(rows), InputGrad: m.New(rows * network.Spec.Input.Size())}
			loop := &device.Loop{Steps: 2, Norm: device.Linf, Epsilon: 0.1, StepSize: 0.05, Start: device.FromUniform,
				EarlyStop: true, KeepBest: true, Example: make([]uint32, rows), Adv: m.New(rows * network.Spec.Input.Size())}
			inL2 := *loop
			inL2.Norm = device.L2
			inL1 := *loop
			inL1.Norm, inL1.Sparsity = device.L1, 0.1
			var sgd, adam device.Optimizer = device.SGD{Momentum: 0.9, Clip: 1}, device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
			for _, step := range []struct {
				name string
				run  func() error
			}{
				{"Logits", func() error { return m.Logits(c) }},
				{"InputGrad", func() error { return m.InputGrad(c) }},
				{"Iterate", func() error { _, err := m.Iterate(c, loop); return err }},
				{"Iterate in L2", func() error { _, err := m.Iterate(c, &inL2); return err }},
				{"Iterate in L1", func() error { _, err := m.Iterate(c, &inL1); return err }},
				{"ParamGrad", func() error { return m.ParamGrad(c) }},
				{"Update by SGD", func() error { return m.Update(sgd, 1e-3) }},
				{"Update by Adam", func() error { return m.Update(adam, 1e-3) }},
			} {
				if n := testing.AllocsPerRun(3, func() {
					if err := step.run(); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%s allocates %v times", step.name, n)
				}
			}
		})
	}
}

// TestLetsGo: a device keeps nothing of a network that is no longer used, neither programs nor weights.
func TestLetsGo(t *testing.T) {
	d := New(2)
	network := backendtest.Networks()[0]
	used := func() (weak.Pointer[nn.Model], weak.Pointer[device.Parameter]) {
		weight := &device.Parameter{Name: "w", Value: d.New(5), Grad: d.New(5)}
		if err := d.Update(device.SGD{}, &device.Parameters{List: []*device.Parameter{weight}}, 1e-3, 0); err != nil {
			t.Fatal(err)
		}
		m, err := nn.Build(network.Spec, d, 2, rng.New(1, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Logits(&device.Call{Rows: 2, X: m.New(2 * network.Spec.Input.Size()), Logits: d.New(2 * network.Spec.Classes)}); err != nil {
			t.Fatal(err)
		}
		return weak.Make(m), weak.Make(weight)
	}
	m, weight := used()
	runtime.GC()
	if m.Value() != nil || weight.Value() != nil {
		t.Errorf("still in memory: network %v, weight %v", m.Value() != nil, weight.Value() != nil)
	}
	runtime.KeepAlive(d)
}
