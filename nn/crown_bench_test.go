package nn_test

import (
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// BenchmarkCrown is the gradient of the worst case of 100 MNIST images.
func BenchmarkCrown(b *testing.B) {
	const n = 100
	spec := nn.Spec{Arch: "fast_cnn", Options: &nn.FastCNN{Init: "kaiming"}, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 10}
	m, err := nn.Build(spec, cpu.New(0), n, rng.New(1, "weights"))
	if err != nil {
		b.Fatal(err)
	}
	c, err := nn.NewCrown(m, n)
	if err != nil {
		b.Fatal(err)
	}
	images, labels := make([]float32, n*28*28), make([]int32, n)
	rng.New(1, "images").Uniform(images, 0, 1, 0, 0, 0)
	for b.Loop() {
		if _, err := c.AddGrad(images, labels, 0.2, 0.5, 1.0/n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "images/s")
}
