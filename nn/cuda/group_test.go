package cuda

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// groupSpec is a network whose rows meet in batch normalisations, behind each other and behind a convolution
// without a bias, and that drops values by the number of the row.
var groupSpec = nn.Spec{Arch: "layers", Input: nn.Shape{H: 4, W: 3, C: 2}, Classes: 3, Options: &nn.Custom{List: []nn.Layer{
	{Type: "conv", Out: 3, Kernel: 3, Padding: "same"}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "maxpool", Kernel: 2}, {Type: "flatten"},
	{Type: "dense", Out: 6}, {Type: "batchnorm"}, {Type: "relu"}, {Type: "dropout", Rate: 0.3}, {Type: "dense"}}}}

// groupRun is what some training on a device gives, and how.
type groupRun struct {
	rule  device.Optimizer
	loss  device.Loss
	rows  []int // of each step's batch
	steps int
}

// data of n examples.
func groupData(n int) (x []float32, labels []int32, example []uint32) {
	size := groupSpec.Input.Size()
	x = make([]float32, n*size)
	for r := range n {
		rng.New(4, "x").Uniform(x[r*size:][:size], 0, 1, uint32(r), 0, 0)
		labels, example = append(labels, int32(r*r%3)), append(example, uint32(3*r))
	}
	return x, labels, example
}

// train makes steps of adversarial training, each by an attack and an update on what it found, and returns the
// weights, the optimiser's values, and the losses.
func (r groupRun) train(dev device.Device) (outcome, error) {
	most := slices.Max(r.rows)
	m, err := nn.Build(groupSpec, dev, most, rng.New(3, "weights"))
	if err != nil {
		return nil, err
	}
	size, out := groupSpec.Input.Size(), outcome{}
	clean, adv, value := dev.New(most*size), dev.New(most*size), dev.New(most)
	for step := range r.steps {
		n := r.rows[step%len(r.rows)]
		x, labels, example := groupData(n)
		if step == 0 {
			clean.Upload(x, 0)
		} else {
			clean.(device.Distant).UploadAhead(x)
		}
		adv.(device.Distant).CopyFrom(clean)
		attacked := max(n/2, 1) // the others stay clean
		call := &device.Call{Rows: attacked, X: clean, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1}
		if _, err := m.Iterate(call, &device.Loop{Steps: 2, Norm: device.L2, Epsilon: 0.3, StepSize: 0.15, Start: device.FromUniform,
			Restart: uint32(step), Noise: rng.New(5, "start"), Example: example, Adv: adv}); err != nil {
			return nil, err
		}
		call = &device.Call{Rows: n, X: adv, Value: value, Loss: r.loss, Labels: labels, Scale: 1 / float32(n), Noise: uint64(step)}
		if err := m.ParamGrad(call); err != nil {
			return nil, err
		}
		if err := m.Update(r.rule, 0.02); err != nil {
			return nil, err
		}
		out[fmt.Sprint("loss of step ", step)] = values(value)[:n]
	}
	for _, w := range m.Weights() {
		out[w.Name] = w.Data
	}
	state, _ := m.OptimizerState()
	for name, list := range state {
		for i, v := range list {
			out[fmt.Sprint(name, ", state ", i)] = v
		}
	}
	return out, nil
}

// near says where an outcome is not another's up to the order of sums: 1e-5 of the largest value, or, where a
// batch normalisation makes the true value 0, of one.
func (o outcome) near(want outcome) error {
	for name, w := range want {
		top := 0.1
		for _, v := range w {
			top = math.Max(top, math.Abs(float64(v)))
		}
		for i, v := range o[name] {
			if !(math.Abs(float64(v)-float64(w[i])) <= 1e-5*top) {
				return fmt.Errorf("%s[%d] is %v, want %v", name, i, v, w[i])
			}
		}
		if len(o[name]) != len(w) {
			return fmt.Errorf("%s has %d values, want %d", name, len(o[name]), len(w))
		}
	}
	return nil
}

// alike fails where devices have other weights than the first, in any bit.
func (g *Group) alike(m *device.Parameters) error {
	own := g.replicas(m)
	for i, p := range own[0].List {
		want := values(p.Value)
		for k := range own {
			for j, v := range values(own[k].List[i].Value) {
				if math.Float32bits(v) != math.Float32bits(want[j]) {
					return fmt.Errorf("%s[%d] is %v on device %d, %v on the first", p.Name, j, v, k, want[j])
				}
			}
		}
	}
	return nil
}

// watched knows the parameters of its model.
type watched struct {
	*Group
	params *device.Parameters
}

func (w *watched) Load(p *device.Program, params *device.Parameters) (device.Executable, error) {
	w.params = params
	return w.Group.Load(p, params)
}

// Adam's epsilon keeps it from making a step of a gradient that is 0 but for rounding.
var groupRuns = map[string]groupRun{
	"momentum, uneven batches":       {device.SGD{Momentum: 0.9, WeightDecay: 1e-3, Clip: 0.5}, nn.CrossEntropy{Smoothing: 0.1}, []int{8, 7, 5}, 4},
	"Adam, fewer rows than devices":  {device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 0.1}, nn.CrossEntropy{}, []int{7, 2, 1}, 4},
	"a loss without a kernel":        {device.SGD{Momentum: 0.9, Nesterov: true}, plain{}, []int{6}, 2},
	"a loss that ties rows together": {device.SGD{}, nn.TRADES{Beta: 3}, []int{6, 2}, 3},
}

// TestGroup: two and three devices train as one does with the same batches, to the order of sums.
func TestGroup(t *testing.T) {
	for name, run := range groupRuns {
		single, _ := open(t, 1)
		want, err := run.train(single)
		if err != nil {
			t.Fatal(err)
		}
		for devices := 2; devices <= 3; devices++ {
			g, rack := openGroup(t, 1, devices)
			w := &watched{Group: g}
			got, err := run.train(w)
			if err != nil {
				t.Fatalf("%s on %d devices: %v", name, devices, err)
			}
			if err := got.near(want); err != nil {
				t.Errorf("%s on %d devices: %v", name, devices, err)
			}
			if err := g.alike(w.params); err != nil {
				t.Errorf("%s on %d devices: %v", name, devices, err)
			}
			if err := rack.Check(); err != nil {
				t.Errorf("%s on %d devices: %v", name, devices, err)
			}
		}
	}
}

// TestGroupAttack: rows do not depend on how they are spread over devices, in any bit, with graphs and without.
func TestGroupAttack(t *testing.T) {
	type found struct {
		adv    []float32
		counts device.Counts
	}
	attack := func(dev device.Device, rows int) (list []found) {
		m, err := nn.Build(groupSpec, dev, rows, rng.New(3, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		x, labels, example := groupData(rows)
		images := dev.New(len(x))
		images.Upload(x, 0)
		c := &device.Call{Rows: rows, X: images, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1}
		l := &device.Loop{Steps: 4, Epsilon: 0.1, StepSize: 0.03, Start: device.FromUniform, Example: example, Noise: rng.New(3, "start"),
			EarlyStop: true, KeepBest: true, Adv: dev.New(len(x))}
		for range 2 { // from the second time on a graph
			counts, err := m.Iterate(c, l)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, found{values(l.Adv), counts})
		}
		return list
	}
	for _, rows := range []int{9, 8, 1} {
		single, _ := open(t, 1)
		want := attack(single, rows)
		for devices := 2; devices <= 3; devices++ {
			g, rack := openGroup(t, 5, devices)
			for i, got := range attack(g, rows) {
				if !slices.Equal(got.adv, want[i].adv) || got.counts != want[i].counts {
					t.Errorf("%d rows on %d devices, time %d: another result, counts %+v, want %+v", rows, devices, i+1, got.counts, want[i].counts)
				}
			}
			if rack.Machines[0].GraphLaunches == 0 {
				t.Error("the second time is no graph")
			}
			if err := rack.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestGroupOnBatch: an attack that meets the batch's statistics meets those of the whole batch, and its gradient
// goes through them.
func TestGroupOnBatch(t *testing.T) {
	gradient := func(dev device.Device, rows int) outcome {
		m, err := nn.Build(groupSpec, dev, rows, rng.New(3, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.OnBatch()
		if err != nil {
			t.Fatal(err)
		}
		x, labels, _ := groupData(rows)
		images, dx, z := dev.New(len(x)), dev.New(len(x)), dev.New(3*rows)
		images.Upload(x, 0)
		if err := v.InputGrad(&device.Call{Rows: rows, X: images, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1, InputGrad: dx, Logits: z}); err != nil {
			t.Fatal(err)
		}
		return outcome{"input gradient": values(dx), "logits": values(z)}
	}
	for _, rows := range []int{5, 2} {
		single, _ := open(t, 1)
		g, rack := openGroup(t, 1, 3)
		if err := gradient(g, rows).near(gradient(single, rows)); err != nil {
			t.Errorf("%d rows: %v", rows, err)
		}
		if err := rack.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestGroupTensors: values are where they are asked for, whoever holds them.
func TestGroupTensors(t *testing.T) {
	g, rack := openGroup(t, 1, 3)
	x, y := g.New(10).(*spread), g.New(12).(*spread)
	check := func(what string, s *spread, want ...float32) {
		t.Helper()
		if got := values(s); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	x.Upload([]float32{1, 2, 3}, 2)
	x.Upload([]float32{9, 9}, 9)
	check("an upload", x, 0, 0, 1, 2, 3, 0, 0, 0, 0, 9)
	x.readBy(deal(4, 3), 2) // rows 0 and 1, 2, 3; the last two values are no row's
	x.UploadAhead([]float32{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	for k, want := range []string{"[{0 4} {8 10}]", "[{4 6}]", "[{6 8}]"} {
		if got := fmt.Sprint(x.held[k]); got != want {
			t.Errorf("device %d holds %s, want %s", k, got, want)
		}
	}
	y.CopyFrom(x)
	check("a copy", y, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0, 0)
	x.fetch(1, span{0, 10})
	if got := values(x.parts[1]); !slices.Equal(got, []float32{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}) {
		t.Errorf("what device 1 fetched is %v", got)
	}
	x.Upload([]float32{-1, -2}, 3)
	check("an upload across devices", x, 10, 11, 12, -1, -2, 15, 16, 17, 18, 19)
	part := make([]float32, 3)
	x.Download(part, 3)
	if !slices.Equal(part, []float32{-1, -2, 15}) {
		t.Errorf("a part is %v", part)
	}
	if err := rack.Check(); err != nil {
		t.Error(err)
	}
}

// TestGroupRefuses: an op whose sums over the batch are not added across devices is an error, not another result.
func TestGroupRefuses(t *testing.T) {
	g, _ := openGroup(t, 1, 2)
	p := &device.Program{Name: "column sums", Rows: 4, X: 0, Logits: -1, Seed: -1, Value: -1, InputGrad: -1,
		Buffers: []device.Buffer{{Size: 6}, {Kind: device.Whole, Size: 3}},
		Instrs:  []device.Instr{{Op: device.BiasGrad{Channels: 3}, In: []int{0}, Out: []int{1}}}}
	if _, err := g.Load(p, &device.Parameters{}); err == nil || !strings.Contains(err.Error(), "device.BiasGrad needs the whole batch") {
		t.Errorf("error %v", err)
	}
}

// TestGroupErrors: what a caller gets wrong is an error before any device begins, and the group goes on.
func TestGroupErrors(t *testing.T) {
	g, _ := openGroup(t, 1, 2)
	if name := g.Name(); name != "cuda:0,1 (2 times PTX on the processor, compute 7.5, NCCL 2.19.3)" {
		t.Errorf("it is called %q", name)
	}
	if err := g.Round(device.TF32); err == nil {
		t.Error("devices without tensor cores round")
	}
	m, c, l := victim(t, g, nn.CrossEntropy{})
	for _, test := range []struct {
		change func(c *device.Call, l *device.Loop)
		want   string
	}{
		{func(_ *device.Call, l *device.Loop) { l.Norm = 99 }, "no kernels for norm 99"},
		{func(_ *device.Call, l *device.Loop) { l.Adv = g.New(5) }, "has room for 5 values"},
		{func(c *device.Call, _ *device.Loop) { c.Logits = g.New(7) }, "7 values for the logits"},
	} {
		call, loop := *c, *l
		test.change(&call, &loop)
		if _, err := m.Iterate(&call, &loop); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
	if _, err := m.Iterate(c, l); err != nil {
		t.Error(err)
	}
	if _, err := NewGroup([]*Device{g.devices[0], g.devices[0]}, ptx.NewRack(1, 2)); err == nil || !strings.Contains(err.Error(), "cuda:0 is named twice") {
		t.Errorf("one GPU as two: %v", err)
	}
	if _, err := NewGroup(g.devices[:1], ptx.NewRack(1, 2)); err == nil || !strings.Contains(err.Error(), "cannot work together") {
		t.Errorf("a library that refuses: %v", err)
	}
}
