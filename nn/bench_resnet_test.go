package nn_test

import (
	"slices"
	"testing"
	"time"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// BenchmarkResNet18 reports the median processor time of a PGD step of 64 images of 32x32x3, fresh
// weights, two threads, and of the gradient of all weights, batch statistics included.
// testdata/bench_resnet.py runs the step beside PyTorch.
func BenchmarkResNet18(b *testing.B) {
	const rows, steps, size = 64, 2, 32 * 32 * 3
	options, err := registry.New[nn.Architecture]("resnet18")
	if err != nil {
		b.Fatal(err)
	}
	m, err := nn.Build(nn.Spec{Arch: "resnet18", Options: options, Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10},
		cpu.New(2), rows, rng.New(1, "init"))
	if err != nil {
		b.Fatal(err)
	}
	c := &device.Call{Rows: rows, X: m.New(rows * size), Labels: make([]int32, rows), Loss: nn.CrossEntropy{}, Scale: 1}
	x := make([]float32, rows*size)
	rng.New(1, "images").Uniform(x, 0, 1, 0, 0, 0)
	c.X.Upload(x, 0)
	l := &device.Loop{Steps: steps, Norm: device.Linf, Epsilon: 8. / 255, StepSize: 2. / 255, Start: device.FromUniform,
		Noise: rng.New(1, "noise"), Example: make([]uint32, rows), Adv: m.New(rows * size)}
	median := func(b *testing.B, name string, calls int, run func() error) {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				start := processorTime()
				if err := run(); err != nil {
					b.Fatal(err)
				}
				times = append(times, processorTime()-start)
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1e3/float64(calls), "cpu-ms/"+name)
		})
	}
	attack := func() error { _, err := m.Iterate(c, l); return err }
	if err := attack(); err != nil { // packs the weights
		b.Fatal(err)
	}
	median(b, "step", steps, attack)
	median(b, "update", 1, func() error { return m.ParamGrad(c) })
}
