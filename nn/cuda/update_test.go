package cuda

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
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
