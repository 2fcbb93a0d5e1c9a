package cuda

import (
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// groupedSpec is a network with convolutions in groups of few channels and of many, every activation, and
// normalisation in parts that are a warp's work and a block's.
func groupedSpec() nn.Spec {
	layer := func(kind string) nn.Layer { return nn.Layer{Type: kind} }
	groups := func(l nn.Layer, n int) nn.Layer { l.Groups = n; return l }
	conv := func(out, kernel int) nn.Layer {
		return nn.Layer{Type: "conv", Out: out, Kernel: kernel, Padding: "same"}
	}
	return nn.Spec{Arch: "layers", Input: nn.Shape{H: 6, W: 5, C: 2}, Classes: 10, Options: &nn.Custom{List: []nn.Layer{
		conv(36, 1), groups(conv(36, 3), 36), layer("gelu"), groups(conv(40, 2), 2), groups(layer("groupnorm"), 2), layer("silu"),
		{Type: "conv", Out: 20, Kernel: 3, Stride: 2, Padding: "1", Groups: 10, NoBias: true}, layer("layernorm"), layer("tanh"), layer("flatten"),
		{Type: "dense", Out: 12}, {Type: "leaky_relu", Slope: 0.2}, groups(layer("groupnorm"), 3), layer("sigmoid"), layer("dense")}}}
}

// passes takes a network of 10 classes through evaluation and a training step. Its sums for weights are split.
func passes(spec nn.Spec) func(device.Device) (outcome, error) {
	return func(dev device.Device) (outcome, error) { return pass(spec, dev) }
}

func pass(spec nn.Spec, dev device.Device) (outcome, error) {
	const rows = 20
	m, err := nn.Build(spec, dev, rows, rng.New(3, "weights"))
	if err != nil {
		return nil, err
	}
	x, labels := make([]float32, rows*spec.Input.Size()), make([]int32, rows)
	rng.New(4, "x").Uniform(x, 0, 1, 0, 0, 0)
	for r := range labels {
		labels[r] = int32(r % 10)
	}
	call := &device.Call{Rows: rows, X: dev.New(len(x)), Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1,
		Logits: dev.New(rows * 10), InputGrad: dev.New(len(x))}
	call.X.Upload(x, 0)
	if err := m.InputGrad(call); err != nil {
		return nil, err
	}
	out := outcome{"logits": values(call.Logits), "input gradient": values(call.InputGrad)}
	call.InputGrad = nil
	if err := m.ParamGrad(call); err != nil {
		return nil, err
	}
	for _, g := range m.Gradients() {
		out["gradient of "+g.Name] = g.Data
	}
	return out, nil
}

// TestGroups compares both executors; neither tile nor order of warps and blocks changes a bit.
func TestGroups(t *testing.T) {
	want, err := pass(groupedSpec(), cpu.New(1))
	if err != nil {
		t.Fatal(err)
	}
	var first outcome
	for seed, fill := range []int{fill, 1, fill} {
		d, machine := open(t, uint64(seed))
		d.fill = fill
		got, err := pass(groupedSpec(), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := machine.Check(); err != nil {
			t.Error(err)
		}
		if first == nil {
			first = got
		}
		if err := got.differs(want); err != nil {
			t.Errorf("fill %d: %v", fill, err)
		}
		got.same(t, first)
	}
}

// TestGroupSplits: what the sums of weight gradients need of the workspace stays small, whatever the layer.
func TestGroupSplits(t *testing.T) {
	for _, op := range []device.GroupConv{
		{Window: device.Window{H: 112, W: 112, C: 32, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, Out: 32, Groups: 32},
		{Window: device.Window{H: 7, W: 7, C: 1024, KH: 7, KW: 7, Stride: 1, PadTop: 3, PadLeft: 3, PadBottom: 3, PadRight: 3}, Out: 1024, Groups: 1024},
		{Window: device.Window{H: 14, W: 14, C: 1024, KH: 3, KW: 3, Stride: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, Out: 64, Groups: 16},
		{Window: device.Window{H: 56, W: 56, C: 512, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, Out: 512, Groups: 4},
	} {
		g := newGroupConv(op)
		weights := op.KH * op.KW * g.in * op.Out
		for _, n := range []int{1, 255, 3 * 256, 128 * op.OutH() * op.OutW()} {
			chunk, parts := g.split(n)
			if chunk*parts < n || chunk*(parts-1) >= n {
				t.Errorf("%+v: %d chunks of %d for %d positions", op, parts, chunk, n)
			}
			if parts > 1 && 4*weights*parts > 16<<20 {
				t.Errorf("%+v: %d chunks of %d weights", op, parts, weights)
			}
		}
	}
}
