package nn_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/kernel"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

const benchBatch = 50

// strokes are images with as many non-zeros as digits have: 19 %.
func strokes(n int) []float32 {
	x := make([]float32, n*28*28)
	for i := range n {
		for line := 4; line < 24; line++ {
			for column := range 7 {
				x[i*784+line*28+6+(line+i)%10+column] = float32(1+column) / 8
			}
		}
	}
	return x
}

// BenchmarkStep times what a PGD step of madry_cnn costs, a forward pass and the input gradient, with
// fresh weights, on two threads: with each implementation of the kernels, and with gorgonia's own
// convolutions, pooling and machine, which are what the portable kernels are measured against.
func BenchmarkStep(b *testing.B) {
	for name, step := range steps(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				step()
			}
		})
	}
}

// BenchmarkPortable takes turns with gorgonia, and reports the medians of processor time and how many
// times faster the portable kernels are by it: with fresh weights and, where the environment variable RAMPART_CHECKPOINT
// names one of madry_cnn, with its weights at PGD's iterates, whose zeros are not multiplied.
func BenchmarkPortable(b *testing.B) {
	b.Run("fresh", func(b *testing.B) { takeTurns(b, steps(b)) })
	path := os.Getenv("RAMPART_CHECKPOINT")
	if path == "" {
		return
	}
	b.Run("trained", func(b *testing.B) {
		network, err := checkpoints.LoadOn(path, cpu.New(2), benchBatch)
		if err != nil {
			b.Fatal(err)
		}
		_, test, err := (&data.MNIST{}).Load()
		if err != nil {
			b.Fatal(err)
		}
		a := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: .3}, StepSize: .03, Steps: 20, RandomStart: true, Runs: 1, Loss: "cross_entropy"}
		some := test.Slice(0, benchBatch)
		res, err := attacks.Run(network.Model, a, some, rng.New(1, "attack"), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		labels := make([]int32, benchBatch)
		for i := range labels {
			labels[i] = some.Label(i)
		}
		takeTurns(b, stepsOn(b, res.Adv, labels, network.Model.Weights()))
	})
}

func takeTurns(b *testing.B, step map[string]func()) {
	names := []string{"portable", "gorgonia"}
	times := make([][]time.Duration, len(names))
	for b.Loop() {
		for i, name := range names {
			start := processorTime()
			step[name]()
			times[i] = append(times[i], processorTime()-start)
		}
	}
	var median [2]time.Duration
	for i, t := range times {
		slices.Sort(t)
		median[i] = t[len(t)/2]
		b.ReportMetric(float64(median[i].Milliseconds()), names[i]+"-cpu-ms")
	}
	b.ReportMetric(float64(median[1])/float64(median[0]), "ratio")
}

// steps makes a step with each implementation of the kernels, and with gorgonia.
func steps(b *testing.B) map[string]func() {
	labels := make([]int32, benchBatch)
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	return stepsOn(b, strokes(benchBatch), labels, nil)
}

// stepsOn is steps on given images and weights, nil for fresh ones. Gorgonia's time does not depend on weights; it has
// fresh ones.
func stepsOn(b *testing.B, x []float32, labels []int32, weights []nn.Weight) map[string]func() {
	options, err := registry.New[nn.Architecture]("madry_cnn")
	if err != nil {
		b.Fatal(err)
	}
	spec := nn.Spec{Arch: "madry_cnn", Options: options, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 10}
	before := kernel.Current()
	b.Cleanup(func() { kernel.Use(before) })
	steps := map[string]func(){}
	for _, name := range kernel.Implementations() {
		if err := kernel.Use(name); err != nil {
			b.Fatal(err)
		}
		m, err := nn.Build(spec, cpu.New(2), benchBatch, rng.New(1, "init"))
		if err != nil {
			b.Fatal(err)
		}
		if weights != nil {
			if err := m.SetWeights(weights); err != nil {
				b.Fatal(err)
			}
		}
		c := &device.Call{Rows: benchBatch, X: m.New(len(x)), Labels: labels, Loss: nn.CrossEntropy{}, Scale: 1, InputGrad: m.New(len(x))}
		c.X.Upload(x, 0)
		steps[name] = func() {
			if err := errors.Join(kernel.Use(name), m.InputGrad(c)); err != nil {
				b.Fatal(err)
			}
		}
	}
	machine := stockMachine(b, x, labels)
	b.Cleanup(func() { machine.Close() })
	steps["gorgonia"] = func() {
		if err := machine.RunAll(); err != nil {
			b.Fatal(err)
		}
		machine.Reset()
	}
	return steps
}

// stockMachine runs madry_cnn's loss and input gradient as gorgonia's users write them, channels first.
func stockMachine(b *testing.B, images []float32, labels []int32) gorgonia.VM {
	g := gorgonia.NewGraph()
	hot := make([]float32, len(labels)*10)
	for i, l := range labels {
		hot[i*10+int(l)] = 1
	}
	must := func(n *gorgonia.Node, err error) *gorgonia.Node {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	random := rng.New(1, "weights")
	weight := func(name string, fan int, shape ...int) *gorgonia.Node {
		values := make([]float32, tensor.Shape(shape).TotalSize())
		random.Normal(values, 0, 1/float32(fan), uint32(len(values)), 0, 0)
		return gorgonia.NewTensor(g, gorgonia.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
	}
	input := func(name string, values []float32, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, gorgonia.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
	}
	n := len(labels)
	x, y := input("x", images, n, 1, 28, 28), input("y", hot, n, 10)
	block := func(z, w *gorgonia.Node) *gorgonia.Node {
		z = must(gorgonia.Conv2d(z, w, tensor.Shape{5, 5}, []int{2, 2}, []int{1, 1}, []int{1, 1}))
		z = must(gorgonia.Rectify(z))
		return must(gorgonia.MaxPool2D(z, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
	}
	z := block(x, weight("conv1", 4, 32, 1, 5, 5))
	z = block(z, weight("conv2", 20, 64, 32, 5, 5))
	z = must(gorgonia.Reshape(z, tensor.Shape{n, 3136}))
	z = must(gorgonia.Rectify(must(gorgonia.Mul(z, weight("fc1", 40, 3136, 1024)))))
	z = must(gorgonia.Mul(z, weight("fc2", 22, 1024, 10)))
	loss := must(gorgonia.Neg(must(gorgonia.Mean(must(gorgonia.HadamardProd(must(gorgonia.Log(must(gorgonia.SoftMax(z)))), y))))))
	if _, err := gorgonia.Grad(loss, x); err != nil {
		b.Fatal(err)
	}
	return gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(x))
}
