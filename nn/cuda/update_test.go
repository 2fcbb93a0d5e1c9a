package cuda

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// steps makes parameter gradients and updates, the images of one of them with a NaN; -1 is none.
func steps(t *testing.T, m *nn.Model, call *device.Call, n, bad int) {
	t.Helper()
	good := values(call.X)
	for step := range n {
		x := slices.Clone(good)
		if step == bad {
			x[30] = float32(math.NaN())
		}
		call.X.Upload(x, 0)
		err := m.ParamGrad(call)
		if err == nil {
			err = m.Update(device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Clip: 0.1}, 0.01)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestUpdateNoWait: steps of a training follow each other without waiting for the norm of the gradient.
func TestUpdateNoWait(t *testing.T) {
	d, machine := open(t, 1)
	m, call, _ := victim(t, d, nn.CrossEntropy{})
	values(call.X) // waits, so that pinned memory is free
	before := machine.Synchronized
	steps(t, m, call, 8, -1)
	if got := machine.Synchronized - before; got != 1 { // to read the images
		t.Errorf("%d waits in 8 steps", got-1)
	}
	if err := m.Settle(); err != nil {
		t.Error(err)
	}
	if got := machine.Synchronized - before; got != 2 {
		t.Errorf("%d waits to settle, want 1", got-1)
	}
	if err := machine.Check(); err != nil {
		t.Error(err)
	}
}

// TestNotFinite: from a step on that is not finite nothing changes until it has been reported, by its own number;
// then training goes on as if it had not been.
func TestNotFinite(t *testing.T) {
	one, machine := open(t, 1)
	several, rack := openGroup(t, 1, 2)
	for _, dev := range []device.Device{one, several} {
		m, call, _ := victim(t, dev, nn.CrossEntropy{})
		other, same, _ := victim(t, dev, nn.CrossEntropy{})
		steps(t, m, call, 6, 2)
		steps(t, other, same, 2, -1)
		agree := func(when string) {
			t.Helper()
			a, n := m.OptimizerState()
			b, k := other.OptimizerState()
			if n != k {
				t.Errorf("%s, %s: %d steps of the optimiser, want %d", dev.Name(), when, n, k)
			}
			if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(m.Weights(), other.Weights()) {
				t.Errorf("%s, %s: weights or the state of the optimiser have changed", dev.Name(), when)
			}
		}
		err := m.Settle()
		var bad *device.NotFinite
		if !errors.As(err, &bad) || bad.Step != 3 || bad.Parameter != m.Weights()[0].Name {
			t.Errorf("%s: error %v, want one that names step 3 and %s", dev.Name(), err, m.Weights()[0].Name)
		}
		agree("after the error")
		for _, model := range []*nn.Model{m, other} {
			if err := model.Settle(); err != nil {
				t.Errorf("%s: the error came twice, or to another network: %v", dev.Name(), err)
			}
		}
		call.X.Upload(values(same.X), 0)
		steps(t, m, call, 2, -1)
		steps(t, other, same, 2, -1)
		agree("two steps later")
	}
	several.settle()
	if err := errors.Join(machine.Check(), rack.Check()); err != nil {
		t.Error(err)
	}
}

// apart is a driver without graphs.
type apart struct{ *ptx.Machine }

func (apart) Graphs() bool { return false }

// stale is a driver that has baked in what the first upload of so many bytes brought: later ones bring nothing.
type stale struct {
	*ptx.Machine
	bytes int
	done  *bool
}

func (s stale) Upload(to driver.Pointer, from []byte, stream driver.Stream) error {
	if len(from) == s.bytes {
		if *s.done {
			return nil
		}
		*s.done = true
	}
	return s.Machine.Upload(to, from, stream)
}

// TestUpdateGraphs: from its second time on an update is one launch of a graph, which follows the learning rate and
// the number of the step, to the bits of one without graphs.
func TestUpdateGraphs(t *testing.T) {
	const updates = 5
	for _, rule := range []device.Optimizer{
		device.SGD{WeightDecay: 0.1}, device.SGD{Momentum: 0.9, Nesterov: true, Clip: 0.5},
		device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.1}, device.Adam{Beta1: 0.8, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Decoupled: true, Clip: 0.5},
	} {
		run := func(drv driver.Driver) (weights []float32) {
			d, err := New(drv, 0)
			if err != nil {
				t.Fatal(err)
			}
			params := &device.Parameters{}
			for i, n := range []int{300, 7, 20} {
				p := &device.Parameter{Name: "p", Value: d.New(n), Frozen: i == 1, RateFactor: []float32{0, 0, 0.25}[i]}
				if !p.Frozen {
					p.Grad = d.New(n)
				}
				params.List = append(params.List, p)
			}
			for step := 1; step <= updates; step++ {
				for i, p := range params.List {
					if g := make([]float32, p.Value.Len()); !p.Frozen {
						rng.New(1, "gradients").Normal(g, 0, 1, uint32(i), uint32(step), 0)
						p.Grad.Upload(g, 0)
					}
				}
				if err := d.Update(rule, params, 0.1/float32(step), step); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Settle(params); err != nil {
				t.Fatal(err)
			}
			for _, p := range params.List {
				weights = append(weights, values(p.Value)...)
			}
			return weights
		}
		machine, plain := ptx.NewMachine(1), ptx.NewMachine(2)
		want := run(apart{plain})
		if !equalBits(run(machine), want) {
			t.Errorf("%+v: graphs change the weights", rule)
		}
		if machine.GraphLaunches != updates-1 || plain.GraphLaunches != 0 {
			t.Errorf("%+v: %d launches of graphs in %d updates, and %d without graphs", rule, machine.GraphLaunches, updates, plain.GraphLaunches)
		}
		if 2*machine.Launches >= plain.Launches {
			t.Errorf("%+v: %d launches with graphs, %d without", rule, machine.Launches, plain.Launches)
		}
		const rates = 4 * (1 + 3*2) // of two parameters
		if equalBits(run(stale{ptx.NewMachine(1), rates, new(bool)}), want) {
			t.Errorf("%+v: nothing notices that the learning rate is baked in", rule)
		}
	}
}

// TestStepGraphs: the gradient and the update of a training step are two launches, to the bits of many: whatever the
// schedule, the step's random numbers, and the rows of a last batch.
func TestStepGraphs(t *testing.T) {
	spec := checkSpec(false)
	run := func(drv driver.Driver) (list []float32) {
		d, err := New(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := nn.Build(spec, d, checkRows, rng.New(3, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		x, labels := make([]float32, checkRows*spec.Input.Size()), make([]int32, checkRows)
		call := &device.Call{X: d.New(len(x)), Loss: nn.CrossEntropy{}, Labels: labels, Logits: d.New(checkRows * 10), Value: d.New(checkRows)}
		for step, rows := range []int{checkRows, checkRows, checkRows, 11, checkRows, 11} {
			rng.New(4, "x").Uniform(x, 0, 1, uint32(step), 0, 0)
			call.X.Upload(x, 0)
			for i := range labels {
				labels[i] = int32((i + step) % 10)
			}
			call.Rows, call.Scale, call.Noise = rows, 1/float32(rows), uint64(step)
			if err := errors.Join(m.ParamGrad(call), m.Update(device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, 0.1/float64(1+step))); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Settle(); err != nil {
			t.Fatal(err)
		}
		list = append(values(call.Logits), values(call.Value)...)
		for _, w := range m.Weights() {
			list = append(list, w.Data...)
		}
		return list
	}
	machine, plain := ptx.NewMachine(1), ptx.NewMachine(2)
	want := run(apart{plain})
	if !equalBits(run(machine), want) {
		t.Error("graphs change a training step")
	}
	if machine.GraphLaunches != 4+5 || plain.GraphLaunches != 0 { // the gradient has been met twice, the update once
		t.Errorf("%d launches of graphs in 6 steps, and %d without graphs", machine.GraphLaunches, plain.GraphLaunches)
	}
	if equalBits(run(stale{ptx.NewMachine(1), 8, new(bool)}), want) {
		t.Error("nothing notices that the key of random numbers is baked in")
	}
	if equalBits(run(stale{ptx.NewMachine(1), 4 * checkRows, new(bool)}), want) {
		t.Error("nothing notices that the labels are baked in")
	}
}
