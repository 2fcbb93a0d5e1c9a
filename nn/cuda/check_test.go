package cuda

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
	"rampart/nn/rng"
)

func open(t *testing.T, seed uint64) (*Device, *ptx.Machine) {
	t.Helper()
	m := ptx.NewMachine(seed)
	d, err := New(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// checkSpec is a small network with most ops; wide makes its layers fill large tiles.
func checkSpec(wide bool) nn.Spec {
	channels, units := 5, 20
	if wide {
		channels, units = 18, 40
	}
	return nn.Spec{Arch: "layers", Input: nn.Shape{H: 6, W: 5, C: 2}, Classes: 10, Options: &nn.Custom{List: []nn.Layer{
		{Type: "conv", Out: channels, Kernel: 3, Padding: "same"}, {Type: "batchnorm"}, {Type: "relu"},
		{Type: "conv", Out: channels + 1, Kernel: 3, Padding: "same"}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "flatten"}, {Type: "dense", Out: units}, {Type: "relu"}, {Type: "dense", Out: units}, {Type: "dropout", Rate: 0.3}, {Type: "dense"}}}}
}

const checkRows = 40

// outcome is what a device makes of a network: each result by its name.
type outcome map[string][]float32

// work takes a network through evaluation, attacks and two training steps on a device.
func work(dev device.Device, wide bool) (outcome, error) {
	spec := checkSpec(wide)
	m, err := nn.Build(spec, dev, checkRows, rng.New(3, "weights"))
	if err != nil {
		return nil, err
	}
	size, out := spec.Input.Size(), outcome{}
	x, labels, example := make([]float32, checkRows*size), make([]int32, checkRows), make([]uint32, checkRows)
	for r := range checkRows {
		rng.New(4, "x").Uniform(x[r*size:][:size], 0, 1, uint32(r), 0, 0)
		labels[r], example[r] = int32(r%10), uint32(r)
	}
	images := dev.New(len(x))
	images.Upload(x, 0)
	keep := func(name string, t device.Tensor) {
		v := make([]float32, t.Len())
		t.Download(v, 0)
		out[name] = v
	}
	call := &device.Call{Rows: checkRows, X: images, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1,
		Logits: dev.New(checkRows * 10), Value: dev.New(checkRows), InputGrad: dev.New(len(x))}
	if err := m.InputGrad(call); err != nil {
		return nil, err
	}
	keep("logits", call.Logits)
	keep("value", call.Value)
	keep("input gradient", call.InputGrad)
	call.Loss = nn.CrossEntropy{Temperature: 2, Smoothing: 0.1}
	if err := m.InputGrad(call); err != nil {
		return nil, err
	}
	keep("smoothed value", call.Value)
	keep("smoothed input gradient", call.InputGrad)
	call.Logits, call.Value, call.InputGrad, call.Loss = nil, nil, nil, nn.CrossEntropy{}
	for _, norm := range []device.Norm{device.Linf, device.L2, device.L1} {
		// Steps of 0.8 eps reach the ball's surface, so that a wrong projection shows; one gradient at the clean
		// example, so that rounding does not.
		eps := []float32{0.1, 0.5, 2}[norm]
		for _, l := range []device.Loop{{Steps: 1, StepSize: 3 * eps}, {Steps: 1, StepSize: eps / 2}, {Start: device.FromUniform, Restart: 2}, {Start: device.FromNormal, StartStd: eps}} {
			l.Norm, l.Epsilon, l.Sparsity, l.Example, l.Noise, l.Adv = norm, eps, 0.2, example, rng.New(5, "start"), dev.New(len(x))
			counts, err := m.Iterate(call, &l)
			if err != nil {
				return nil, err
			}
			name := fmt.Sprintf("norm %d, step %v, start %d: ", norm, l.StepSize, l.Start)
			keep(name+"attack", l.Adv)
			out[name+"counts"] = []float32{float32(counts.Forwards), float32(counts.Gradients), float32(counts.Zero), float32(counts.NonFinite)}
		}
	}
	call.Scale, call.Noise = 1./checkRows, 9
	for range 2 {
		if err := m.ParamGrad(call); err != nil {
			return nil, err
		}
		for _, g := range m.Gradients() {
			out["gradient of "+g.Name] = g.Data
		}
		if err := m.Update(device.SGD{Momentum: 0.9, Clip: 0.5}, 0.05); err != nil {
			return nil, err
		}
	}
	for _, w := range m.Weights() {
		out[w.Name] = w.Data
	}
	out["tally"], err = tallyOf(dev, m, images, labels)
	return out, err
}

// tallyOf counts a batch, several times over: by the device, or on the host where that does not count.
func tallyOf(dev device.Device, m *nn.Model, images device.Tensor, labels []int32) ([]float32, error) {
	const classes, repeats, first = 10, 9, 100 // more rows than a block has threads
	call := &device.Call{Rows: checkRows, X: images, Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1, Logits: dev.New(checkRows * classes),
		Value: dev.New(checkRows), InputGrad: dev.New(images.Len())}
	if err := m.InputGrad(call); err != nil {
		return nil, err
	}
	var value, logits []float32
	var all []int32
	for range repeats {
		value, logits = append(value, values(call.Value)...), append(logits, values(call.Logits)...)
		all = append(all, labels...)
	}
	counter, ok := dev.(device.Counter)
	if !ok {
		sum, out := 0.0, make([]float32, 4)
		for r, v := range value {
			sum += float64(v)
			if device.Argmax(logits[r*classes:][:classes]) == int(all[r]) && r < first {
				out[2]++
			} else if device.Argmax(logits[r*classes:][:classes]) == int(all[r]) {
				out[3]++
			}
		}
		out[0] = float32(sum)
		return out, nil
	}
	v, z, into := dev.New(len(value)), dev.New(len(logits)), dev.New(7)
	v.Upload(value, 0)
	z.Upload(logits, 0)
	err := counter.Tally(into, 3, v, z, all, first, classes)
	out := values(into)[3:]
	if !(out[1] <= 1e-5*out[0]) {
		err = errors.Join(err, fmt.Errorf("the rest of the sum %v is %v", out[0], out[1]))
	}
	out[1] = 0
	return out, err
}

// differs says where an outcome is not another's: by more than 1e-4 of the largest value.
func (o outcome) differs(want outcome) error {
	for name, w := range want {
		top, wrong := 0.02, 0 // gradients below a batch normalisation are 0 but for rounding
		for _, v := range w {
			top = math.Max(top, math.Abs(float64(v)))
		}
		if len(o[name]) != len(w) {
			return fmt.Errorf("%s has %d values, want %d", name, len(o[name]), len(w))
		}
		first := -1
		for i, v := range o[name] {
			if !(math.Abs(float64(v)-float64(w[i])) <= 1e-4*top) {
				if wrong++; first < 0 {
					first = i
				}
			}
		}
		// The sign of a gradient that is no more than rounding may differ.
		if wrong > len(w)/1000 {
			return fmt.Errorf("%s: %d of %d values differ, the first is [%d] %v, want %v", name, wrong, len(w), first, o[name][first], w[first])
		}
	}
	return nil
}

// reference is the processor's outcome.
func reference(t *testing.T, wide bool) outcome {
	t.Helper()
	want, err := work(cpu.New(1), wide)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// TestAgainstProcessor compares both executors, with small tiles and with large.
func TestAgainstProcessor(t *testing.T) {
	for _, wide := range []bool{false, true} {
		d, m := open(t, 1)
		if wide {
			d.fill = 1
		}
		got, err := work(d, wide)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.differs(reference(t, wide)); err != nil {
			t.Errorf("wide %v: %v", wide, err)
		}
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestTilesAgree: the choice of the tile, and the order of warps and blocks, change no bit.
func TestTilesAgree(t *testing.T) {
	var want outcome
	for seed, fill := range []int{1, 128, 128} {
		d, _ := open(t, uint64(seed))
		d.fill = fill
		got, err := work(d, true)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		got.same(t, want)
	}
}

// same compares bit for bit.
func (o outcome) same(t *testing.T, want outcome) {
	t.Helper()
	for name := range want {
		for i, v := range o[name] {
			if math.Float32bits(v) != math.Float32bits(want[name][i]) {
				t.Fatalf("%s[%d] is %v, want the bits of %v", name, i, v, want[name][i])
			}
		}
	}
}
