package cuda

import (
	"errors"
	"math"
	"testing"
	"time"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// stripes are images of bright lines or columns, 6x6, in three classes by their place.
func stripes(t *testing.T, n int) *data.Dataset {
	t.Helper()
	pixels, labels := make([]byte, n*36), make([]int32, n)
	noise := make([]float32, 36)
	for i := range n {
		labels[i] = int32(i % 3)
		rng.New(1, "stripes").Uniform(noise, 0, 120, uint32(i), 0, 0)
		for p, v := range noise {
			if p/12 == int(labels[i]) {
				v += 100
			}
			pixels[i*36+p] = byte(v)
		}
	}
	set, err := data.NewDataset("stripes", 6, 6, 1, []string{"top", "middle", "bottom"}, pixels, labels)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// trained is what some steps of adversarial training give, and the slowest of them.
type trained struct {
	model   *nn.Model
	losses  []float64
	slowest time.Duration
}

// defended is a network with a session, and a step of its adversarial training of so many.
func defended(t *testing.T, dev device.Device, set *data.Dataset, steps int) (*nn.Model, *defenses.Session, func(step int) (defenses.Metrics, error)) {
	t.Helper()
	const rows = 24
	spec := nn.Spec{Arch: "layers", Input: nn.Shape{H: 6, W: 6, C: 1}, Classes: 3, Options: &nn.Custom{List: []nn.Layer{
		{Type: "conv", Out: 4, Kernel: 3, Padding: "same"}, {Type: "relu"}, {Type: "maxpool", Kernel: 2}, {Type: "flatten"}, {Type: "dense", Out: 16}, {Type: "relu"}, {Type: "dense"}}}}
	m, err := nn.Build(spec, dev, rows, rng.New(2, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	d := &defenses.PGDAT{Adversarial: 0.5, With: configs.Choice[attacks.Attack]{Name: "pgd", Value: &attacks.PGD{
		Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, StepSize: 0.04, Steps: 5, RandomStart: true, Runs: 1, Loss: "cross_entropy"}}}
	s := defenses.NewSession(m, rows)
	s.Noise = rng.New(3, "noise")
	loader, err := data.NewLoader(set, rows, 4)
	if err != nil {
		t.Fatal(err)
	}
	batch, next := loader.NewBatch(), loader.NewBatch()
	loader.Batch(0, batch)
	return m, s, func(step int) (defenses.Metrics, error) {
		s.Step = step
		if loader.Batch(step+1, next); s.Distant() && step+1 < steps {
			s.Ahead(next)
		}
		metrics, err := d.Step(s, batch)
		if err == nil {
			err = m.Update(device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, 0.01)
		}
		batch, next = next, batch
		return metrics, err
	}
}

func train(t *testing.T, dev device.Device, set *data.Dataset, steps int) trained {
	t.Helper()
	m, _, step := defended(t, dev, set, steps)
	out := trained{model: m}
	for i := range steps {
		begun := time.Now()
		metrics, err := step(i)
		if err != nil {
			t.Fatal(err)
		}
		out.slowest = max(out.slowest, time.Since(begun))
		out.losses = append(out.losses, metrics.Loss/float64(metrics.Rows))
	}
	return out
}

// TestTraining: adversarial training and evaluation run unchanged, and go the same way as on the processor.
func TestTraining(t *testing.T) {
	d, machine := open(t, 1)
	trainsAlike(t, d)
	if err := machine.Check(); err != nil {
		t.Error(err)
	}
}

// trainsAlike trains and evaluates on a device and on the processor: they agree step by step at first, and in
// accuracies, to a few of 60 images, in the end (signs of gradients amplify rounding).
func trainsAlike(t *testing.T, d *Device) {
	t.Helper()
	set := stripes(t, 120)
	got, want := train(t, d, set, 30), train(t, cpu.New(1), set, 30)
	for i := range 5 {
		if math.Abs(got.losses[i]-want.losses[i]) > 1e-3*want.losses[i] {
			t.Errorf("step %d has loss %v, %v on the processor", i, got.losses[i], want.losses[i])
		}
	}
	t.Logf("the loss goes from %.3f to %.3f, on the processor to %.3f; a step takes at most %v", got.losses[0], got.losses[29], want.losses[29], got.slowest)
	if !(got.losses[29] < 0.7*got.losses[0]) {
		t.Errorf("the loss goes from %v to %v: nothing is learned", got.losses[0], got.losses[29])
	}
	for _, a := range []attacks.Attack{
		&attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, StepSize: 0.03, Steps: 6, RandomStart: true, Runs: 2, Loss: "margin", EarlyStop: true, KeepBest: true},
		&attacks.PGD{Bound: attacks.Bound{Norm: attacks.L2, Epsilon: 0.4}, StepSize: 0.1, Steps: 6, RandomStart: true, Runs: 1, Loss: "cross_entropy", KeepBest: true},
		&attacks.FGSM{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, Loss: "cross_entropy"},
	} {
		var robust [2]int
		for i, m := range []*nn.Model{got.model, want.model} {
			test := stripes(t, 60)
			r, err := attacks.Run(m, a, test, rng.New(5, "eval"), func() error { return nil }, nil)
			if err != nil {
				t.Fatal(err)
			}
			for j, p := range r.Prediction {
				if p == int(test.Labels[j]) {
					robust[i]++
				}
			}
		}
		if diff := robust[0] - robust[1]; diff < -4 || diff > 4 || robust[0] < 20 {
			t.Errorf("%s: %d of 60 images stay right, %d on the processor", a.Label(), robust[0], robust[1])
		}
	}
}

// TestTrainingNoWait: what a training's steps count stays on the device until it is asked for, and is what it was.
func TestTrainingNoWait(t *testing.T) {
	const steps = 4
	set := stripes(t, 120)
	d, machine := open(t, 1)
	g, _ := openGroup(t, 1, 2)
	for _, dev := range []device.Device{d, g} {
		var list [2][]defenses.Metrics
		for way := range list {
			m, s, step := defended(t, dev, set, steps)
			s.Later = way == 1
			before := machine.Synchronized
			for i := range steps {
				metrics, err := step(i)
				if err != nil {
					t.Fatal(err)
				}
				list[way] = append(list[way], metrics)
			}
			if waits := machine.Synchronized - before; dev == device.Device(d) && s.Later && waits != 0 {
				t.Errorf("%d waits in %d steps", waits, steps)
			}
			if err := errors.Join(s.Settle(list[way]), m.Settle()); err != nil {
				t.Fatal(err)
			}
		}
		var sum [2]defenses.Metrics
		for way := range list {
			for i, m := range list[way] {
				if now := list[0][i]; math.Abs(m.Loss-now.Loss) > 1e-6*now.Loss || m.CleanCorrect != now.CleanCorrect || m.AdversarialCorrect != now.AdversarialCorrect {
					t.Errorf("%s: step %d counts %+v, want %+v", dev.Name(), i, m, now)
				}
				m.Loss = 0
				sum[way].Add(m)
			}
		}
		if sum[0] != sum[1] || sum[0].Gradients == 0 {
			t.Errorf("%s: the steps count %+v, want %+v", dev.Name(), sum[1], sum[0])
		}
	}
}

// TestGroupTraining: a defence trains on two devices as on one. Signs of gradients amplify rounding, so that only
// the first step is the same.
func TestGroupTraining(t *testing.T) {
	const steps = 3
	set := stripes(t, 72)
	d, _ := open(t, 1)
	g, rack := openGroup(t, 1, 2)
	got, want := train(t, g, set, steps), train(t, d, set, steps)
	for i, tolerance := range []float64{1e-6, 1e-3, 1e-3} {
		if math.Abs(got.losses[i]-want.losses[i]) > tolerance*want.losses[i] {
			t.Errorf("step %d has loss %v, %v on one device", i, got.losses[i], want.losses[i])
		}
	}
	g.settle()
	if err := rack.Check(); err != nil {
		t.Error(err)
	}
}
