package cuda

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

var update = flag.Bool("update", false, "write roofline.md")

// gpu is a device on paper: NVIDIA's data sheets, float32 without tensor cores, and the time between the
// starts of two small kernels of one stream.
type gpu struct {
	name             string
	flops, bandwidth float64                      // a second; bytes a second
	launch           float64                      // seconds
	tensor           map[device.Precision]float64 // flops a second of tensor cores, without sparsity
}

var papers = []gpu{
	{"A100", 19.5e12, 1555e9, 2.5e-6, map[device.Precision]float64{device.TF32: 156e12, device.BF16: 312e12}},
	{"H100", 66.9e12, 3350e9, 2.5e-6, map[device.Precision]float64{device.TF32: 494.7e12, device.BF16: 989.4e12}},
}

// seconds is the roofline: no kernel is faster than its arithmetic, its memory traffic, or a launch.
func (g gpu) seconds(flops, bytes float64, launches int) float64 {
	return math.Max(math.Max(flops/g.flops, bytes/g.bandwidth), float64(launches)*g.launch)
}

// least is the least time of a program, its products rounded to a precision.
func (g gpu) least(p *device.Program, rows int, precision device.Precision) (sum float64) {
	rounded := g
	if precision != device.FP32 {
		rounded.flops = g.tensor[precision]
	}
	for _, in := range p.Instrs {
		if _, ok := in.Op.(done); ok {
			continue
		}
		with := g
		if productColumns(in.Op) >= tensorColumns {
			with = rounded
		}
		sum += with.seconds(flopsOf(in.Op)*float64(rows), bytesOfInstr(p, in, rows), 1)
	}
	return sum
}

// flopsOf is nn.OpFLOPs; what pooling compares does not count.
func flopsOf(op device.Op) float64 {
	if pooled, ok := op.(convPool); ok {
		op = pooled.Conv
	}
	return nn.OpFLOPs(op)
}

// productColumns is N of an instruction's matrix product, 0 where it is none.
func productColumns(op device.Op) int {
	switch op := op.(type) {
	case device.Conv:
		return op.Out
	case convPool:
		return op.Out
	case device.ConvInputGrad:
		return op.C
	case device.ConvWeightGrad:
		return op.Out
	case device.Dense:
		return op.Out
	case device.DenseInputGrad:
		return op.In
	case device.DenseWeightGrad:
		return op.Out
	}
	return 0
}

// paperNetwork is a network that the table is made for.
type paperNetwork struct {
	title string
	spec  nn.Spec
	batch int
	steps int // of the attack
}

func paperNetworks(t *testing.T) []paperNetwork {
	madry, err := registry.New[nn.Architecture]("madry_cnn")
	if err != nil {
		t.Fatal(err)
	}
	conv := nn.Layer{Type: "conv", Out: 64, Kernel: 3, Padding: "same"}
	norm, relu := nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}
	block := nn.Layer{Type: "residual", Body: []nn.Layer{conv, norm, relu, conv, norm}}
	return []paperNetwork{
		{"madry_cnn on MNIST", nn.Spec{Arch: "madry_cnn", Options: madry, Input: nn.Shape{H: 28, W: 28, C: 1}, Classes: 10}, 64, 10},
		{"the first block of a ResNet-18 on CIFAR-10, with its stem and a head", nn.Spec{Arch: "layers", Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10,
			Options: &nn.Custom{List: []nn.Layer{conv, norm, relu, block, relu, {Type: "avgpool", Kernel: 32}, {Type: "flatten"}, {Type: "dense"}}}}, 128, 10},
		{"convolutions in groups on CIFAR-10: depthwise and of 32 channels, with other normalisations and activations", nn.Spec{Arch: "layers",
			Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10, Options: &nn.Custom{List: []nn.Layer{
				conv, {Type: "groupnorm", Groups: 8}, {Type: "silu"}, {Type: "conv", Out: 64, Kernel: 3, Padding: "same", Groups: 64},
				{Type: "conv", Out: 128, Kernel: 1}, {Type: "layernorm"}, {Type: "gelu"},
				{Type: "conv", Out: 128, Kernel: 3, Stride: 2, Padding: "same", Groups: 4}, {Type: "leaky_relu"}, {Type: "globalavgpool"}, {Type: "dense"}}}}, 128, 10},
	}
}

// bytesOfInstr is what an instruction reads and writes if everything passes through memory once.
func bytesOfInstr(p *device.Program, in device.Instr, rows int) (bytes float64) {
	for _, list := range [][]int{in.In, in.Out} {
		for _, b := range list {
			n := p.Buffers[b].Size
			if p.Buffers[b].Kind == device.Row {
				n *= rows
			}
			bytes += 4 * float64(n)
		}
	}
	return bytes
}

// describe names an instruction with its shape.
func describe(op device.Op) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", op), "device.")
	window := func(w device.Window) string {
		return fmt.Sprintf("%s %dx%dx%d, %dx%d", name, w.H, w.W, w.C, w.KH, w.KW)
	}
	switch op := op.(type) {
	case device.Conv:
		return fmt.Sprintf("%s, %d", window(op.Window), op.Out)
	case convPool:
		return describe(op.Conv) + ", with max pooling"
	case device.ConvInputGrad:
		return fmt.Sprintf("%s, %d", window(op.Window), op.Out)
	case device.ConvWeightGrad:
		return fmt.Sprintf("%s, %d", window(op.Window), op.Out)
	case device.GroupConv:
		return fmt.Sprintf("%s, %d, %d groups", window(op.Window), op.Out, op.Groups)
	case device.GroupConvInputGrad:
		return fmt.Sprintf("%s, %d, %d groups", window(op.Window), op.Out, op.Groups)
	case device.GroupConvWeightGrad:
		return fmt.Sprintf("%s, %d, %d groups", window(op.Window), op.Out, op.Groups)
	case device.Activation:
		return fmt.Sprintf("%s %v", name, op.Func)
	case device.ActivationGrad:
		return fmt.Sprintf("%s %v", name, op.Func)
	case device.MaxPool:
		return window(op.Window)
	case device.MaxPoolGrad:
		return window(op.Window)
	case device.Dense:
		return fmt.Sprintf("%s %d, %d", name, op.In, op.Out)
	case device.DenseInputGrad:
		return fmt.Sprintf("%s %d, %d", name, op.In, op.Out)
	case device.DenseWeightGrad:
		return fmt.Sprintf("%s %d, %d", name, op.In, op.Out)
	}
	return name
}

// table writes a network's part of roofline.md.
func (n paperNetwork) table(t *testing.T, b *strings.Builder) {
	r := &recorder{}
	dev, err := New(r, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := nn.Build(n.spec, dev, n.batch, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	call := &device.Call{Rows: n.batch, X: dev.New(n.batch * n.spec.Input.Size()), Labels: make([]int32, n.batch), Loss: nn.CrossEntropy{}, Scale: 1}
	launches := func(run func() error) int {
		before := len(r.launches)
		if err := run(); err != nil {
			t.Fatal(err)
		}
		return len(r.launches) - before
	}
	loop := &device.Loop{Steps: n.steps, Start: device.FromUniform, Example: make([]uint32, n.batch), Adv: dev.New(call.X.Len())}
	var attack, gradient, step [2]int // kernels; launches from the second time on, when there are graphs
	for time := range attack {
		attack[time] = launches(func() error { _, err := m.Iterate(call, loop); return err })
		gradient[time] = launches(func() error { return m.ParamGrad(call) })
		step[time] = launches(func() error { return m.Update(device.Adam{}, 0.1) })
	}
	fmt.Fprintf(b, "\n## %s, batch %d\n\n", n.title, n.batch)
	fmt.Fprintf(b, "%d kernels a training step: %d for PGD-%d, %d for the gradient of the weights, %d for Adam. ",
		attack[0]+gradient[0]+step[0], attack[0], n.steps, gradient[0], step[0])
	fmt.Fprintf(b, "With graphs they take %d launches: %d, %d and %d.\n", attack[1]+gradient[1]+step[1], attack[1], gradient[1], step[1])

	for i, name := range []string{"", "input gradient, once a step of the attack", "gradient of the weights"} {
		if name == "" {
			continue
		}
		p, sum := fuse(m.Programs()[i]), make([]float64, len(papers))
		fmt.Fprintf(b, "\n%s\n\n| kernel | MFLOP | MB |", name)
		for _, g := range papers {
			fmt.Fprintf(b, " %s µs | |", g.name)
		}
		fmt.Fprint(b, "\n|---|--:|--:|"+strings.Repeat("--:|---|", len(papers))+"\n")
		for _, in := range p.Instrs {
			if _, ok := in.Op.(done); ok {
				continue
			}
			flops, bytes := flopsOf(in.Op)*float64(n.batch), bytesOfInstr(p, in, n.batch)
			fmt.Fprintf(b, "| %s | %.1f | %.2f |", describe(in.Op), flops/1e6, bytes/1e6)
			for j, g := range papers {
				s, bound := g.seconds(flops, bytes, 1), "launch"
				if s == flops/g.flops {
					bound = "arithmetic"
				} else if s == bytes/g.bandwidth {
					bound = "memory"
				}
				sum[j] += s
				fmt.Fprintf(b, " %.1f | %s |", 1e6*s, bound)
			}
			fmt.Fprintln(b)
		}
		fmt.Fprint(b, "| sum | | |")
		for j := range papers {
			fmt.Fprintf(b, " %.1f | |", 1e6*sum[j])
		}
		fmt.Fprintln(b)
	}
	weights := 4 * float64(m.Parameters())
	size := 4 * float64(call.X.Len())
	fmt.Fprint(b, "\nA training step, with the steps of the attack (4 passes over the images each) and of Adam (8 over the weights), takes at least\n\n| precision |")
	for _, g := range papers {
		fmt.Fprintf(b, " %s ms | images/s |", g.name)
	}
	fmt.Fprint(b, "\n|---|"+strings.Repeat("--:|--:|", len(papers))+"\n")
	for _, precision := range []device.Precision{device.FP32, device.TF32, device.BF16} {
		fmt.Fprintf(b, "| %s |", precision)
		for _, g := range papers {
			total := float64(n.steps)*g.least(fuse(m.Programs()[1]), n.batch, precision) + g.least(fuse(m.Programs()[2]), n.batch, precision) +
				float64(n.steps)*(g.seconds(0, 4*size, 1)+g.launch) + g.seconds(0, 8*weights, step[0])
			fmt.Fprintf(b, " %.2f | at most %.0f |", 1e3*total, float64(n.batch)/total)
		}
		fmt.Fprintln(b)
	}
}

const rooflineHead = `# The CUDA kernels on paper

Written by ` + "`go test ./nn/cuda -run Roofline -update`" + ` from the shapes. These are lower bounds of the time, not
measurements: each kernel takes at least its arithmetic at the device's float32 peak without tensor
cores (A100 19.5 TFLOP/s, H100 66.9), its bytes at the memory's peak (1555 and 3350 GB/s), or 2.5 µs
for its launch. Bytes count every operand once. The last table of a network has products on tensor
cores, too (TF32 156 and 494.7 TFLOP/s, bf16 312 and 989.4).

What keeps the kernels from these bounds, and where cuDNN would be ahead:
- Tiles: a block computes 64x64 or 32x16 of a product, and what sticks out is computed in vain; 10 classes fill 63 % of a tile's columns.
- In fp32 no double buffering of shared memory and no asynchronous copies. On tensor cores there are both, but operands are rounded as they leave shared memory, so that bf16 saves no traffic.
- Patches are addressed anew for each element; input gradients of strided convolutions multiply the zeros between.
- Depthwise convolutions read each value once a tap from the caches, and their weights once for 4 outputs; convolutions in groups stay off the tensor cores.
- Group normalisation reads its input three times (mean, variance, result), and sums in double precision, which GPUs but those of data centres do at 1/32 or 1/64 of float32's rate.
- Normalisation and pooling other than 2x2 behind a convolution are kernels of their own, so their inputs pass through memory once more.
- Graphs save the processor's launches, not the gaps between kernels on the device.
`

// TestRoofline keeps roofline.md what the shapes give.
func TestRoofline(t *testing.T) {
	var b strings.Builder
	b.WriteString(rooflineHead)
	for _, n := range paperNetworks(t) {
		n.table(t, &b)
	}
	if *update {
		if err := os.WriteFile("roofline.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("roofline.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("roofline.md is not what the shapes give: go test ./nn/cuda -run Roofline -update")
	}
}
