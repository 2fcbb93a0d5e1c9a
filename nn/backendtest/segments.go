package backendtest

import (
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// segments compares some networks, which hold what a recomputation must treat with care; see RunSegments.
func (s suite) segments(t *testing.T) {
	few := []string{"residual with a shortcut", "dropout", "two max poolings of one value", "batch norm, clean rows apart"}
	s.sameInSegments(t, func(n Network) bool { return slices.Contains(few, n.Name) })
}

// RunSegments is the part of RunAll for networks that keep few activations, on all networks: it takes
// minutes where a device is emulated.
func RunSegments(t *testing.T, newDevice func(threads int) device.Device) {
	suite{newDevice}.sameInSegments(t, func(Network) bool { return true })
}

// sameInSegments compares networks that keep few activations with the same that keep all, bit for bit: the
// gradients in the input, within an attack's loop too, those of weights, and what training has moved.
func (s suite) sameInSegments(t *testing.T, which func(Network) bool) {
	for _, network := range Networks() {
		if !which(network) {
			continue
		}
		t.Run(network.Name, func(t *testing.T) {
			const rows = 5
			all := s.build(t, network.Spec, 2, rows)
			few := *all
			var err error
			few.Model, err = nn.BuildTuned(network.Spec, all.Device, rows, rng.New(11, "weights"), nn.Tuning{Segments: 3})
			if err == nil {
				err = few.SetWeights(all.weights)
			}
			if err != nil {
				t.Fatal(err)
			}
			all.sameAs(t, &few, rows)
		})
	}
}

func (n *net) sameAs(t *testing.T, few *net, rows int) {
	t.Helper()
	var results [2]struct {
		eval, train, both pass
		adv               []float32
		grads, weights    [2][]nn.Weight
	}
	for i, m := range []*net{n, few} {
		r, c := &results[i], m.call(0, rows, nn.CrossEntropy{}, 0.5)
		r.eval = m.inputGrad(t, c)
		l := &device.Loop{Steps: 2, Norm: device.Linf, Epsilon: 0.1, StepSize: 0.05, KeepBest: true, Start: device.FromUniform,
			Noise: rng.New(3, "noise"), Example: make([]uint32, rows), Adv: m.Device.New(c.X.Len())}
		if _, err := m.Iterate(c, l); err != nil {
			t.Fatal(err)
		}
		r.adv = read(l.Adv)
		r.train = m.paramGrad(t, m.call(0, rows, nn.CrossEntropy{}, 0.5))
		r.grads[0], r.weights[0] = m.Gradients(), m.Weights()
		c = m.call(0, rows, nn.CrossEntropy{}, 0.5)
		if err := m.ParamGrad(c); err != nil {
			t.Fatal(err)
		}
		r.both = pass{read(c.Logits), read(c.Value), read(c.InputGrad)}
		r.grads[1], r.weights[1] = m.Gradients(), m.Weights()
	}
	got, want := results[1], results[0]
	same(t, "evaluation's logits", got.eval.logits, want.eval.logits)
	same(t, "evaluation's input gradient", got.eval.inputGrad, want.eval.inputGrad)
	same(t, "adversarial example", got.adv, want.adv)
	same(t, "training's logits", got.train.logits, want.train.logits)
	same(t, "input gradient", got.both.inputGrad, want.both.inputGrad)
	for i := range got.grads {
		sameWeights(t, "gradient", got.grads[i], want.grads[i])
		sameWeights(t, "weight", got.weights[i], want.weights[i])
	}
}
