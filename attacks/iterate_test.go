package attacks_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestIterate: on a plain model the host's loop does what the executor's does, to the bit.
func TestIterate(t *testing.T) {
	const n = 33
	d, m := bars(t, n, 21), trained(t, 2, n)
	for _, l := range []device.Loop{
		{Norm: device.Linf, Epsilon: 0.2, StepSize: 0.06},
		{Norm: device.Linf, Epsilon: 0.2, StepSize: 0.06, Start: device.FromUniform},
		{Norm: device.L2, Epsilon: 0.8, StepSize: 0.3, Start: device.FromUniform},
		{Norm: device.L1, Epsilon: 3, StepSize: 1, Sparsity: 0.1, Start: device.FromUniform},
		{Norm: device.L1, Epsilon: 3, StepSize: 1, Sparsity: 0.1},
	} {
		for _, stop := range []bool{false, true} {
			for _, best := range []bool{false, true} {
				for _, loss := range []device.Loss{nn.CrossEntropy{}, nn.Targeted{Loss: nn.Margin{}}, nn.Distill{Temperature: 2}} {
					for _, steps := range []int{0, 1, 5} {
						l := l
						l.Steps, l.EarlyStop, l.KeepBest, l.Restart, l.Noise = steps, stop, best, 3, rng.New(8, "iterate")
						_, l.Targeted = loss.(nn.Targeted)
						b := d.NewBatch(n)
						d.Fill(b, 0)
						x, soft := m.New(n*pixels), m.New(n*classes)
						x.Upload(b.X, 0)
						soft.Upload(b.X, 0)
						c := &device.Call{Rows: n, X: x, Labels: b.Labels, Soft: soft, Loss: loss, Scale: 1}
						l.Example = b.Index
						results := [2][]float32{make([]float32, n*pixels), make([]float32, n*pixels)}
						var counts [2]device.Counts
						for i, iterate := range []func(*device.Call, *device.Loop) (device.Counts, error){m.Iterate,
							func(c *device.Call, l *device.Loop) (device.Counts, error) { return attacks.Iterate(m, c, l) }} {
							l.Adv = m.New(n * pixels)
							var err error
							if counts[i], err = iterate(c, &l); err != nil {
								t.Fatal(err)
							}
							l.Adv.Download(results[i], 0)
						}
						what := fmt.Sprintf("norm %v, start %v, %T, %d steps, stop %v, best %v", l.Norm, l.Start, loss, steps, stop, best)
						if !slices.Equal(results[0], results[1]) {
							t.Errorf("%s: the results differ", what)
						}
						if counts[0] != counts[1] {
							t.Errorf("%s: counts %+v, the executor's are %+v", what, counts[1], counts[0])
						}
					}
				}
			}
		}
	}
}

// shift is a random step: pixels move along their row by 0 to 2, the rest is black.
type shift struct{ stream rng.Stream }

func (s shift) by(noise uint64, example uint32) int {
	q := s.stream.Sequence(example, uint32(noise>>32), uint32(noise))
	return int(q.Uint32n(3))
}

func (s shift) Forward(x []float32, noise uint64, example uint32) {
	by := s.by(noise, example)
	for r := 0; r < len(x); r += side {
		copy(x[r+by:r+side], x[r:r+side-by])
		clear(x[r : r+by])
	}
}

func (s shift) Backward(dx, _ []float32, noise uint64, example uint32) {
	by := s.by(noise, example)
	for r := 0; r < len(dx); r += side {
		copy(dx[r:r+side-by], dx[r+by:r+side])
		clear(dx[r+side-by : r+side])
	}
}

// TestPreprocessed: gradients through a step agree with finite differences, and randomised ones
// depend on the example and the question alone.
func TestPreprocessed(t *testing.T) {
	const n = 6
	d := bars(t, n, 4)
	m := trained(t, 1, n)
	v := attacks.Preprocessed{Victim: m, Step: shift{rng.New(1, "shift")}}
	x := imagesOf(d)
	ask := func(v attacks.Victim, x []float32, labels []int32, example []uint32, noise uint64) (value, dx []float32) {
		t.Helper()
		rows := len(example)
		in := m.New(len(x))
		in.Upload(x, 0)
		c := &device.Call{Rows: rows, X: in, Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1, Example: example, Noise: noise,
			Value: m.New(rows), InputGrad: m.New(len(x)), Logits: m.New(rows * classes)}
		if err := v.InputGrad(c); err != nil {
			t.Fatal(err)
		}
		value, dx = make([]float32, rows), make([]float32, len(x))
		c.Value.Download(value, 0)
		c.InputGrad.Download(dx, 0)
		return value, dx
	}
	example := []uint32{4, 9, 2, 7, 11, 3}
	for name, v := range map[string]attacks.Victim{"one draw": v, "in expectation": attacks.EOT{Victim: v, Samples: 5}} {
		_, dx := ask(v, x, d.Labels, example, 7)
		worst, top := 0.0, 0.0
		for i := range pixels {
			up, down := slices.Clone(x), slices.Clone(x)
			const h = 5e-4
			for r := range n {
				up[r*pixels+i] += h
				down[r*pixels+i] -= h
			}
			a, _ := ask(v, up, d.Labels, example, 7)
			b, _ := ask(v, down, d.Labels, example, 7)
			for r := range n {
				top = max(top, math.Abs(float64(dx[r*pixels+i])))
				worst = max(worst, math.Abs(float64(a[r]-b[r])/(2*h)-float64(dx[r*pixels+i])))
			}
		}
		if worst > 0.02*top {
			t.Errorf("%s: off by %v, the largest is %v", name, worst, top)
		}
		if _, other := ask(v, x, d.Labels, example, 8); slices.Equal(other, dx) {
			t.Errorf("%s: two questions have the same noise", name)
		}
		if _, one := ask(v, x[2*pixels:3*pixels], d.Labels[2:3], example[2:3], 7); !slices.Equal(one, dx[2*pixels:3*pixels]) {
			t.Errorf("%s: an example's gradient depends on its neighbours", name)
		}
	}
}

// TestEOT: against a random shift the attack in expectation is the stronger, and the results do not
// depend on the batch.
func TestEOT(t *testing.T) {
	d := bars(t, 60, 4)
	victim := func(rows int) attacks.Victim {
		return attacks.Preprocessed{Victim: trained(t, 2, rows), Step: shift{rng.New(1, "shift")}}
	}
	const options = "\nsteps = 10\neps = 0.12\nstep_size = 0.03\nearly_stop = false\nkeep_best = false"
	plain, err := decoded("pgd", options)
	if err != nil {
		t.Fatal(err)
	}
	eot, err := decoded("eot", "samples = 12\n[attack.attack]"+options)
	if err != nil {
		t.Fatal(err)
	}
	if eot.Label() != "EOT-12 PGD-10" || eot.Gradients() != 120 || eot.Threat().Epsilon != 0.12 {
		t.Errorf("%s of %d gradients, %v", eot.Label(), eot.Gradients(), eot.Threat())
	}
	// loss is the mean over fresh draws.
	loss := func(res *attacks.Result) (sum float64) {
		v := attacks.EOT{Victim: victim(60), Samples: 40}
		x, z := v.New(60*pixels), v.New(60*classes)
		x.Upload(res.Adv, 0)
		c := &device.Call{Rows: 60, X: x, Logits: z, Value: v.New(60), InputGrad: v.New(60 * pixels), Labels: d.Labels, Loss: nn.CrossEntropy{}, Scale: 1, Noise: 1 << 50}
		c.Example = make([]uint32, 60)
		for i := range c.Example {
			c.Example[i] = uint32(i)
		}
		if err := v.InputGrad(c); err != nil {
			t.Fatal(err)
		}
		values := make([]float32, 60)
		c.Value.Download(values, 0)
		for _, x := range values {
			sum += float64(x) / 60
		}
		return sum
	}
	strong, weak := run(t, victim(60), eot, d), run(t, victim(60), plain, d)
	t.Logf("mean loss: EOT %.3f, one draw %.3f", loss(strong), loss(weak))
	if loss(strong) <= loss(weak)*1.05 {
		t.Errorf("mean loss: EOT %v, one draw %v", loss(strong), loss(weak))
	}
	if strong.Counts.Gradients != 60*120 {
		t.Errorf("%d gradients", strong.Counts.Gradients)
	}
	if other := run(t, victim(7), eot, d); !slices.Equal(other.Adv, strong.Adv) {
		t.Error("the result depends on the batch")
	}
	for options, want := range map[string]string{
		"samples = 0":                          `test.toml:3: "attack.samples": 0 must be at least 1`,
		"[attack.attack]\nsteps = 0":           `test.toml:4: "attack.attack.steps": 0 must be at least 1`,
		"[attack.attack]\nname = \"nonesuch\"": `unknown attack "nonesuch"`,
	} {
		if _, err := decoded("eot", options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", options, err, want)
		}
	}
}

// TestSameResultRandomised: on a randomised network, too, the result does not depend on the batch.
func TestSameResultRandomised(t *testing.T) {
	d := bars(t, 20, 4)
	victim := func(rows int) attacks.Victim {
		return attacks.Preprocessed{Victim: trained(t, 2, rows), Step: shift{rng.New(1, "shift")}}
	}
	each(t, func(t *testing.T, a attacks.Attack) {
		want, got := run(t, victim(20), a, d), run(t, victim(3), a, d)
		if !slices.Equal(got.Adv, want.Adv) || !slices.Equal(got.Distance, want.Distance) {
			t.Error("the result depends on the batch")
		}
	})
}
