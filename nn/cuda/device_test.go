package cuda

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// plain is a loss without a kernel.
type plain struct{ nn.CrossEntropy }

func (plain) Kernel() device.LossKernel { return device.LossKernel{} }

// victim is a network with a batch on a device.
func victim(t *testing.T, dev device.Device, loss device.Loss) (*nn.Model, *device.Call, *device.Loop) {
	t.Helper()
	const rows = 9
	spec := nn.Spec{Arch: "layers", Input: nn.Shape{H: 5, W: 5, C: 1}, Classes: 10,
		Options: &nn.Custom{List: []nn.Layer{{Type: "dense", Out: 12}, {Type: "relu"}, {Type: "dense"}}}}
	m, err := nn.Build(spec, dev, rows, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	x, example := make([]float32, rows*25), make([]uint32, rows)
	for r := range rows {
		rng.New(2, "x").Uniform(x[r*25:][:25], 0, 1, uint32(r), 0, 0)
		example[r] = uint32(3 * r)
	}
	images := dev.New(len(x))
	images.Upload(x, 0)
	return m, &device.Call{Rows: rows, X: images, Labels: make([]int32, rows), Loss: loss, Scale: 0.5},
		&device.Loop{Steps: 5, Epsilon: 0.1, StepSize: 0.03, Example: example, Noise: rng.New(3, "start"), Start: device.FromUniform, Adv: dev.New(len(x))}
}

func values(t device.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.Download(v, 0)
	return v
}

// TestLossWithoutKernel: such a loss gives the same results, by way of the processor.
func TestLossWithoutKernel(t *testing.T) {
	var want []float32
	for _, loss := range []device.Loss{nn.CrossEntropy{}, plain{}, nn.Targeted{Loss: nn.Targeted{Loss: plain{}}}} {
		d, _ := open(t, 1)
		m, c, l := victim(t, d, loss)
		if _, err := m.Iterate(c, l); err != nil {
			t.Fatal(err)
		}
		got := values(l.Adv)
		if want == nil {
			want = got
		}
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-6 {
				t.Fatalf("%T: pixel %d is %v, want %v", loss, i, got[i], want[i])
			}
		}
	}
}

// TestNoWait: the steps of an attack are launched without waiting; only the counts are waited for.
// With a loss that has no kernel every step waits.
func TestNoWait(t *testing.T) {
	for _, c := range []struct {
		loss device.Loss
		want int
	}{{nn.CrossEntropy{}, 1}, {plain{}, 6}} {
		d, machine := open(t, 1)
		m, call, l := victim(t, d, c.loss)
		before := machine.Synchronized
		if _, err := m.Iterate(call, l); err != nil {
			t.Fatal(err)
		}
		if got := machine.Synchronized - before; got != c.want {
			t.Errorf("%T: %d waits in an attack of 5 steps, want %d", c.loss, got, c.want)
		}
	}
	d, machine := open(t, 1)
	m, call, _ := victim(t, d, nn.CrossEntropy{})
	call.Logits = d.New(call.Rows * 10)
	before := machine.Synchronized
	if err := m.ParamGrad(call); err != nil {
		t.Fatal(err)
	}
	if machine.Synchronized != before {
		t.Error("a parameter gradient waits")
	}
}

// TestGraphs: from its second time on an attack's step is a graph, which gives the same bits, serves
// other epsilons, and notices what else has changed.
func TestGraphs(t *testing.T) {
	d, machine := open(t, 1)
	m, c, l := victim(t, d, nn.CrossEntropy{})
	attack := func(change func(c *device.Call, l *device.Loop)) (adv []float32, graphs int) {
		call, loop := *c, *l
		change(&call, &loop)
		before := machine.GraphLaunches
		if _, err := m.Iterate(&call, &loop); err != nil {
			t.Fatal(err)
		}
		return values(loop.Adv)[:call.Rows*25], machine.GraphLaunches - before
	}
	for _, test := range []struct {
		name   string
		change func(c *device.Call, l *device.Loop)
		graphs int // the second time
	}{
		{"as it is", func(*device.Call, *device.Loop) {}, 5},
		{"another epsilon", func(_ *device.Call, l *device.Loop) { l.Epsilon, l.StepSize = 0.05, 0.01 }, 5},
		{"fewer rows", func(c *device.Call, _ *device.Loop) { c.Rows = 4 }, 5},
		{"another norm, early stop", func(_ *device.Call, l *device.Loop) { l.Norm, l.EarlyStop, l.Epsilon = device.L2, true, 1 }, 5},
		{"L1", func(_ *device.Call, l *device.Loop) { l.Norm, l.Epsilon, l.StepSize, l.Sparsity = device.L1, 2, 1, 0.2 }, 5},
		{"L1, other pixels", func(_ *device.Call, l *device.Loop) { l.Norm, l.Epsilon, l.StepSize, l.Sparsity = device.L1, 2, 1, 0.4 }, 5},
		{"targeted", func(c *device.Call, l *device.Loop) { c.Loss, l.Targeted = nn.Targeted{Loss: nn.Margin{}}, true }, 5},
		{"other images", func(c *device.Call, _ *device.Loop) {
			x := d.New(c.X.Len())
			x.Upload([]float32{0.5, 0.25}, 3)
			c.X = x
		}, 0},
		{"one step", func(_ *device.Call, l *device.Loop) { l.Steps = 1 }, 1},
		{"a loss without a kernel", func(c *device.Call, _ *device.Loop) { c.Loss = plain{} }, 0},
	} {
		first, _ := attack(test.change)
		second, graphs := attack(test.change)
		if !slices.Equal(first, second) {
			t.Errorf("%s: the second time differs", test.name)
		}
		fresh, _ := open(t, 2)
		other, call, loop := victim(t, fresh, nn.CrossEntropy{})
		test.change(call, loop)
		if call.X.(*Tensor).dev != fresh {
			x := fresh.New(call.X.Len())
			x.Upload([]float32{0.5, 0.25}, 3)
			call.X = x
		}
		if _, err := other.Iterate(call, loop); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(first, values(loop.Adv)[:call.Rows*25]) {
			t.Errorf("%s: it differs from the same on another device", test.name)
		}
		if graphs != test.graphs {
			t.Errorf("%s: %d launches of graphs the second time, want %d", test.name, graphs, test.graphs)
		}
	}
	for i := range 2*mostGraphs + 1 { // more kinds than are kept
		scale := func(c *device.Call, _ *device.Loop) { c.Scale = 1 + float32(i) }
		attack(scale)
		if _, graphs := attack(scale); graphs != 5 {
			t.Errorf("scale %d: %d launches of graphs", i+1, graphs)
		}
	}
}

// TestStartBits: the processor's random numbers, bit for bit where they are uniform, to 1e-6 where not.
func TestStartBits(t *testing.T) {
	for _, norm := range []device.Norm{device.Linf, device.L2, device.L1} {
		for _, start := range []device.Start{device.FromUniform, device.FromNormal} {
			var want []float32
			for _, dev := range []device.Device{cpu.New(1), func() device.Device { d, _ := open(t, 1); return d }()} {
				m, c, l := victim(t, dev, nn.CrossEntropy{})
				l.Steps, l.Norm, l.Restart, l.Start, l.StartStd = 0, norm, 3, start, 0.2 // normal draws leave the ball
				if _, err := m.Iterate(c, l); err != nil {
					t.Fatal(err)
				}
				got := values(l.Adv)
				if want == nil {
					want = got
				}
				bits := norm == device.Linf && start == device.FromUniform
				for i, v := range want {
					if bits && math.Float32bits(got[i]) != math.Float32bits(v) || math.Abs(float64(got[i]-v)) > 1e-6 {
						t.Fatalf("norm %d, start %d: pixel %d is %v, want %v", norm, start, i, got[i], v)
					}
				}
			}
		}
	}
}

// TestOutOfMemory: the error says what would fit: no more than does, and little less.
func TestOutOfMemory(t *testing.T) {
	build := func(rows int) (*Device, error) {
		m := ptx.NewMachine(1)
		m.Limit = 8 << 20 // of which workspace, which is counted in full, takes little
		d, err := New(m, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = nn.Build(checkSpec(false), d, rows, rng.New(1, "weights"))
		return d, err
	}
	_, err := build(40000)
	if err == nil {
		t.Fatal("40000 rows fit into 8 MiB")
	}
	rows := 0
	_, rest, _ := strings.Cut(err.Error(), "are free: ")
	if _, scanErr := fmt.Sscanf(rest, "%d rows would fit", &rows); scanErr != nil || !strings.Contains(err.Error(), "40000 rows need") {
		t.Fatalf("error %v", err)
	}
	d, err := build(rows)
	if err != nil || rows < 1000 {
		t.Fatalf("%d rows are said to fit: %v", rows, err)
	}
	if _, err := build(rows + rows/5); err == nil {
		t.Errorf("%d rows are said to fit, and a fifth more do", rows)
	}
	big := d.New(4 << 20)
	big.Upload([]float32{1}, 0)
	if _, err := nn.Build(checkSpec(false), d, 1, rng.New(1, "weights")); err == nil || !strings.Contains(err.Error(), "16 MiB for a tensor") {
		t.Errorf("after a tensor that does not fit: %v", err)
	}
}

// TestMemoryReturns: tensors that nobody holds make room for others.
func TestMemoryReturns(t *testing.T) {
	m := ptx.NewMachine(1)
	m.Limit = 1 << 20
	d, err := New(m, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		x := d.New(50000 + i)
		x.Upload([]float32{float32(i)}, 7)
		if got := values(x); got[7] != float32(i) || got[8] != 0 {
			t.Fatalf("tensor %d begins with %v", i, got[:9])
		}
		if i%10 == 0 {
			runtime.GC()
		}
	}
	if d.err != nil {
		t.Error(d.err)
	}
}

// TestTensors: copies of any size and place, longer than the staging memory, too.
func TestTensors(t *testing.T) {
	d, _ := open(t, 1)
	x := d.New(stagingSize/4*2 + 5)
	want := make([]float32, x.Len())
	for i := range want {
		want[i] = float32(i % 1000)
	}
	x.Upload(want, 0)
	x.Upload([]float32{-1, -2}, 3)
	want[3], want[4] = -1, -2
	x.Upload([]float32{-3, -4}, x.Len()-1) // what goes beyond is dropped, as by copy
	want[len(want)-1] = -3
	if !slices.Equal(values(x), want) {
		t.Error("a tensor does not hold what it was given")
	}
	part := make([]float32, 3)
	x.Download(part, 2)
	if !slices.Equal(part, want[2:5]) {
		t.Errorf("values 2 to 4 are %v, want %v", part, want[2:5])
	}
}

// TestErrors: what a caller gets wrong is an error, and so is a fault of the device.
func TestErrors(t *testing.T) {
	d, _ := open(t, 1)
	m, c, l := victim(t, d, nn.CrossEntropy{})
	for _, test := range []struct {
		change func(c *device.Call, l *device.Loop)
		want   string
	}{
		{func(_ *device.Call, l *device.Loop) { l.Norm = 99 }, "no kernels for norm 99"},
		{func(_ *device.Call, l *device.Loop) { l.Start = 99 }, "no start 99"},
		{func(_ *device.Call, l *device.Loop) { l.Adv = d.New(5) }, "has room for 5 values"},
	} {
		call, loop := *c, *l
		test.change(&call, &loop)
		if _, err := m.Iterate(&call, &loop); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
	call := *c
	call.Logits = d.New(7)
	if err := m.Logits(&call); err == nil || !strings.Contains(err.Error(), "7 values for the logits") {
		t.Errorf("too small a tensor for logits: %v", err)
	}
	if _, err := New(ptx.NewMachine(1), 1); err == nil || !strings.Contains(err.Error(), "this machine has 1, counted from 0") {
		t.Errorf("a device that is not there: %v", err)
	}
	call = *c
	call.Labels = nil
	if err := m.InputGrad(&call); err == nil || !strings.Contains(err.Error(), "needs labels") {
		t.Errorf("no labels: %v", err)
	}
}

// old is a GPU that the kernels are not for.
type old struct{ *ptx.Machine }

func (old) Describe(int) (driver.Description, error) {
	return driver.Description{Name: "Old", Major: 6, Minor: 1}, nil
}

func TestFound(t *testing.T) {
	if _, err := New(old{ptx.NewMachine(1)}, 0); err == nil || !strings.Contains(err.Error(), "Old has compute capability 6.1: at least 7.5") {
		t.Errorf("an old GPU: %v", err)
	}
	if got := found(ptx.NewMachine(1)); got != "cuda:0 is PTX on the processor, compute 7.5, 0.0 MiB (driver for CUDA 12.9)" {
		t.Errorf("found %q", got)
	}
	if Found() == "" {
		t.Error("nothing is said about this machine")
	}
}

// TestNone: -device auto may be silent where there is no GPU, not where there is one that does not work.
func TestNone(t *testing.T) {
	before := machine
	t.Cleanup(func() { machine = before })
	broken := &driver.Error{Call: "cuInit", Code: 803, Name: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}
	for err, silent := range map[error]bool{
		fmt.Errorf("%w: libcuda.so.1: no such file", driver.ErrNoDriver): true,
		driver.ErrLeftOut: true,
		&driver.Error{Call: "cuInit", Code: driver.ErrNoDevice.Code}: true,
		broken:                                   false,
		errors.New("the CUDA driver is too old"): false,
	} {
		machine = func() (driver.Driver, error) { return nil, err }
		_, one := Open(0)
		_, all := OpenSeveral()
		if errors.Is(one, ErrNone) != silent || errors.Is(all, ErrNone) != silent || !errors.Is(one, err) || Found() != err.Error() {
			t.Errorf("%v: Open gives %v, OpenSeveral %v, Found %q", err, one, all, Found())
		}
	}
}

// TestProfile: every instruction that runs gets its time.
func TestProfile(t *testing.T) {
	d, _ := open(t, 1)
	m, c, _ := victim(t, d, nn.CrossEntropy{})
	times, err := m.Profile(2, func() error { return m.ParamGrad(c) })
	if err != nil || len(times) != len(m.Programs()[2].Instrs) {
		t.Fatalf("%d times, %v", len(times), err)
	}
	for i, v := range times {
		if v <= 0 {
			t.Errorf("instruction %d took %v", i, v)
		}
	}
}
