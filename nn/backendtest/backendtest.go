// Package backendtest is the suite that every executor of programs must pass. Values and gradients
// are compared with nn.Reference, which runs the same graphs on gorgonia's own machine; attack
// loops and optimiser steps with plain loops; and results must not depend, to the last bit, on
// the number of threads or on the other rows of a batch.
package backendtest

import (
	"math"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// RunAll runs the suite. newDevice returns a fresh device; one without threads ignores their number.
func RunAll(t *testing.T, newDevice func(threads int) device.Device) {
	s := suite{newDevice}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Values", s.values},
		{"Losses", s.losses},
		{"TiedLosses", s.tiedLosses},
		{"RowsAndThreads", s.rowsAndThreads},
		{"ManyRows", s.manyRows},
		{"Patches", s.patches},
		{"Update", s.update},
		{"UpdateNotFinite", s.updateNotFinite},
		{"UpdateThreads", s.updateThreads},
		{"Step", s.step},
		{"StepL1", s.stepL1},
		{"Ball", s.ball},
		{"KeepBest", s.keepBest},
		{"EarlyStop", s.earlyStop},
		{"Tau", s.tau},
		{"Targeted", s.targeted},
		{"RandomStart", s.randomStart},
		{"StartDistribution", s.startDistribution},
		{"NormalStart", s.normalStart},
		{"LoopThreads", s.loopThreads},
		{"Counts", s.counts},
		{"Bounds", s.bounds},
		{"Segments", s.segments},
	} {
		t.Run(part.name, part.run)
	}
}

type suite struct {
	newDevice func(threads int) device.Device
}

// net is a model with data for it.
type net struct {
	*nn.Model
	weights []nn.Weight
	x       []float32
	labels  []int32
	soft    []float32
	loss    device.Loss // of attacks; cross-entropy where nil
}

// build makes a network for rows examples and data for as many; both depend on the spec only.
func (s suite) build(t *testing.T, spec nn.Spec, threads, rows int) *net {
	t.Helper()
	m, err := nn.Build(spec, s.newDevice(threads), rows, rng.New(11, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	n := &net{Model: m, weights: weights(m), x: make([]float32, rows*spec.Input.Size()),
		labels: make([]int32, rows), soft: make([]float32, rows*spec.Classes)}
	if err := m.SetWeights(n.weights); err != nil {
		t.Fatal(err)
	}
	size := spec.Input.Size()
	for i := range rows {
		rng.New(12, "x").Uniform(n.x[i*size:(i+1)*size], 0, 1, uint32(i), 0, 0)
		rng.New(13, "soft").Normal(n.soft[i*spec.Classes:(i+1)*spec.Classes], 0, 2, uint32(i), 0, 0)
		n.labels[i] = int32(i * 7 % spec.Classes)
	}
	return n
}

func (n *net) upload(values []float32) device.Tensor {
	t := n.Device.New(len(values))
	t.Upload(values, 0)
	return t
}

// call is a Call for rows [from,to) of the data.
func (n *net) call(from, to int, loss device.Loss, scale float32) *device.Call {
	rows, size, classes := to-from, n.Spec.Input.Size(), n.Spec.Classes
	return &device.Call{Rows: rows, X: n.upload(n.x[from*size : to*size]), Loss: loss, Labels: n.labels[from:to],
		Soft: n.upload(n.soft[from*classes : to*classes]), Scale: scale, Noise: 77, Adversarial: adversarial(rows),
		Logits: n.Device.New(rows * classes), Value: n.Device.New(rows), InputGrad: n.Device.New(rows * size)}
}

// adversarial is how many of rows are, for networks that tell them apart.
func adversarial(rows int) int { return 2 * rows / 5 }

// pass is the result of one call, read back.
type pass struct{ logits, value, inputGrad []float32 }

func (n *net) inputGrad(t *testing.T, c *device.Call) pass {
	t.Helper()
	if err := n.InputGrad(c); err != nil {
		t.Fatal(err)
	}
	return pass{read(c.Logits), read(c.Value), read(c.InputGrad)}
}

// at evaluates a loss at other examples than the data's.
func (n *net) at(t *testing.T, x []float32, rows int, loss device.Loss) pass {
	t.Helper()
	c := n.call(0, rows, loss, 1)
	c.X = n.upload(x)
	return n.inputGrad(t, c)
}

func (n *net) paramGrad(t *testing.T, c *device.Call) pass {
	t.Helper()
	c.InputGrad = nil
	if err := n.ParamGrad(c); err != nil {
		t.Fatal(err)
	}
	return pass{logits: read(c.Logits), value: read(c.Value)}
}

func read(t device.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.Download(v, 0)
	return v
}

// near compares to 1e-4 of the largest entry.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	nearTo(t, what, got, want, largest(want))
}

func largest(values []float32) float64 {
	top := 0.0
	for _, v := range values {
		top = math.Max(top, math.Abs(float64(v)))
	}
	return top
}

func nearTo(t *testing.T, what string, got, want []float32, top float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 1e-4*top) {
			t.Errorf("%s[%d] is %v, want %v (the largest is %v)", what, i, got[i], want[i], top)
			return
		}
	}
}

// same compares bit for bit.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s[%d] is %v, want the bits of %v", what, i, got[i], want[i])
			return
		}
	}
}

// nearWeights compares each weight to 1e-4 of its largest entry, or of a hundredth of the largest of
// all: the gradient of a bias below a batch normalisation is 0 but for rounding.
func nearWeights(t *testing.T, what string, got, want []nn.Weight) {
	t.Helper()
	all := 0.0
	for _, w := range want {
		all = math.Max(all, largest(w.Data))
	}
	if len(got) != len(want) {
		t.Errorf("%d %ss, want %d", len(got), what, len(want))
		return
	}
	for i, w := range want {
		if got[i].Name != w.Name {
			t.Errorf("%s %d is that of %q, want %q", what, i, got[i].Name, w.Name)
		}
		nearTo(t, what+" of "+w.Name, got[i].Data, w.Data, math.Max(largest(w.Data), all/100))
	}
}

func sameWeights(t *testing.T, what string, got, want []nn.Weight) {
	t.Helper()
	for i, w := range want {
		same(t, what+" of "+w.Name, got[i].Data, w.Data)
	}
}
