package nn_test

import (
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// BenchmarkTraining reports the processor time of a PGD-10 adversarial training step, update included, of 64
// images of 32x32x3 with fresh weights on two threads, and the most memory that the process ever held: run
// one network in a process. testdata/bench_resnet.py does so, beside PyTorch.
func BenchmarkTraining(b *testing.B) {
	for _, network := range []string{"resnet18", "wide_resnet"} {
		b.Run(network, func(b *testing.B) { benchTraining(b, network, 0) })
		b.Run(network+" in 4 segments", func(b *testing.B) { benchTraining(b, network, 4) })
	}
}

func benchTraining(b *testing.B, arch string, segments int) {
	const rows, size = 64, 32 * 32 * 3
	options, err := registry.New[nn.Architecture](arch)
	if err != nil {
		b.Fatal(err)
	}
	if wide, ok := options.(*nn.WideResNet); ok {
		wide.Depth, wide.Width = 16, 4
	}
	m, err := nn.BuildTuned(nn.Spec{Arch: arch, Options: options, Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10},
		cpu.New(2), rows, rng.New(1, "init"), nn.Tuning{Segments: segments})
	if err != nil {
		b.Fatal(err)
	}
	x, adv := m.New(rows*size), m.New(rows*size)
	values := make([]float32, rows*size)
	rng.New(1, "images").Uniform(values, 0, 1, 0, 0, 0)
	x.Upload(values, 0)
	attacked := &device.Call{Rows: rows, X: x, Labels: make([]int32, rows), Loss: nn.CrossEntropy{}, Scale: 1}
	trained := &device.Call{Rows: rows, X: adv, Labels: attacked.Labels, Loss: nn.CrossEntropy{}, Scale: 1. / rows}
	loop := &device.Loop{Steps: 10, Norm: device.Linf, Epsilon: 8. / 255, StepSize: 2. / 255, Start: device.FromUniform,
		Noise: rng.New(1, "noise"), Example: make([]uint32, rows), Adv: adv}
	step := func() {
		if _, err := m.Iterate(attacked, loop); err != nil {
			b.Fatal(err)
		}
		if err := m.ParamGrad(trained); err != nil {
			b.Fatal(err)
		}
		if err := m.Update(device.SGD{Momentum: 0.9}, 0.01); err != nil {
			b.Fatal(err)
		}
	}
	step() // makes memory
	steps, start := 0, processorTime()
	for b.Loop() {
		step()
		steps++
	}
	b.ReportMetric((processorTime()-start).Seconds()*1e3/float64(steps), "cpu-ms/step")
	if peak, ok := peakMemory(); ok {
		b.ReportMetric(float64(peak)/1e6, "peak-MB")
	}
}
