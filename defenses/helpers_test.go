package defenses_test

import (
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

const (
	rows    = 10
	classes = 4
	pixels  = 5 * 5
)

func model(t *testing.T, threads int, seed uint64, m nn.MLP) *nn.Model {
	t.Helper()
	net, err := nn.Build(nn.Spec{Arch: "mlp", Options: &m, Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: classes}, cpu.New(threads), 2*rows, rng.New(seed, "init"))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// stacked is an ensemble of three in joint training.
func stacked(t *testing.T, threads int) *nn.Model {
	t.Helper()
	spec := nn.Spec{Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: 3 * classes, Combine: nn.Stacked}
	for range 3 {
		spec.Members = append(spec.Members, nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{6}}, Input: spec.Input, Classes: classes})
	}
	net, err := nn.Build(spec, cpu.New(threads), rows, rng.New(1, "init"))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// denoised is a network behind a denoiser.
func denoised(t *testing.T, threads int) *nn.Model {
	t.Helper()
	spec := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{12}}, Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: classes, Denoiser: &nn.Denoiser{Channels: 3, Depth: 2}}
	net, err := nn.Build(spec, cpu.New(threads), 2*rows, rng.New(1, "init"))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func batch(seed uint64) *data.Batch {
	b := &data.Batch{X: make([]float32, rows*pixels), Labels: make([]int32, rows), Index: make([]uint32, rows)}
	rng.New(seed, "batch").Uniform(b.X, 0, 1, 0, 0, 0)
	for i := range b.Labels {
		b.Labels[i], b.Index[i] = int32(i*7%classes), uint32(100+3*i)
	}
	return b
}

// session is one for m at a step, with fixed random numbers.
func session(m *nn.Model, step int) *defenses.Session {
	s := defenses.NewSession(m, rows)
	s.Step, s.Noise, s.Dropout = step, rng.New(4, "noise"), 77
	return s
}

func step(t *testing.T, d defenses.Defense, s *defenses.Session, b *data.Batch) defenses.Metrics {
	t.Helper()
	m, err := d.Step(s, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// gradient joins the gradients that a step has left.
func gradient(m *nn.Model) (g []float32) {
	for _, w := range m.Gradients() {
		g = append(g, w.Data...)
	}
	return g
}

// byHand is the gradient of the mean loss on images, computed apart from any defence.
func byHand(t *testing.T, m *nn.Model, x []float32, labels []int32, loss device.Loss) []float32 {
	t.Helper()
	d := m.New(len(x))
	d.Upload(x, 0)
	if err := m.ParamGrad(&device.Call{Rows: len(labels), X: d, Labels: labels, Loss: loss, Scale: 1 / float32(len(labels))}); err != nil {
		t.Fatal(err)
	}
	return gradient(m)
}

func farthest(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

// paint is an attack that makes every pixel of its rows 0.25, and notes what it was asked.
type paint struct {
	attacks.Noise
	calls *[]painted
}

type painted struct {
	epsilon float64
	labels  []int32
	index   []uint32
	draw    attacks.Draw
}

func (p *paint) At(epsilon float64) attacks.Attack {
	c := *p
	c.Epsilon = configs.Number(epsilon)
	return &c
}

func (p *paint) Perturb(_ attacks.Victim, b *attacks.Batch, adv device.Tensor, d attacks.Draw) (device.Counts, error) {
	*p.calls = append(*p.calls, painted{float64(p.Epsilon), slices.Clone(b.Labels), slices.Clone(b.Index), d})
	adv.Upload(slices.Repeat([]float32{0.25}, len(b.Labels)*pixels), 0)
	return device.Counts{Gradients: 3 * len(b.Labels), Zero: 2, NonFinite: 1}, nil
}

// painting is adversarial training with paint.
func painting(share configs.Number) (*defenses.PGDAT, *[]painted) {
	calls := new([]painted)
	attack := &paint{attacks.Noise{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.4}, Runs: 1}, calls}
	return &defenses.PGDAT{Adversarial: share, Mix: "share", With: configs.Choice[attacks.Attack]{Name: "paint", Value: attack}}, calls
}

// paintedBatch is a batch whose first n images are painted.
func paintedBatch(b *data.Batch, n int) []float32 {
	return append(slices.Repeat([]float32{0.25}, n*pixels), b.X[n*pixels:]...)
}
