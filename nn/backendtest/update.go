package backendtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/nn/device"
	"rampart/nn/rng"
)

// rules are the optimisers that are tested; the gradients' global norm is near 300.
var rules = []device.Optimizer{
	device.SGD{},
	device.SGD{WeightDecay: 0.1},
	device.SGD{Momentum: 0.9},
	device.SGD{Momentum: 0.9, WeightDecay: 0.05},
	device.SGD{Momentum: 0.8, Nesterov: true, WeightDecay: 0.05},
	device.SGD{Momentum: 0.9, Clip: 10},
	device.SGD{Clip: 1e6},
	device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8},
	device.Adam{Beta1: 0.8, Beta2: 0.99, Epsilon: 1e-3, WeightDecay: 0.1},
	device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.1, Decoupled: true},
	device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 0.1, Clip: 5},
}

// parameters are weights of odd sizes, one of them frozen, with gradients; one is large enough to
// be split, and one has a learning rate of its own.
func parameters(dev device.Device) *device.Parameters {
	list := &device.Parameters{}
	for i, n := range []int{3, 90001, 17, 130} {
		p := &device.Parameter{Name: fmt.Sprintf("p%d", i), Shape: []int{n}, Frozen: i == 2, Value: dev.New(n)}
		v := make([]float32, n)
		rng.New(21, "values").Normal(v, 0, 1, uint32(i), 0, 0)
		p.Value.Upload(v, 0)
		if !p.Frozen {
			p.Grad = dev.New(n)
		}
		if i == 3 {
			p.RateFactor = 0.25
		}
		list.List = append(list.List, p)
	}
	return list
}

func setGradients(list *device.Parameters, step int) {
	for i, p := range list.List {
		if !p.Frozen {
			g := make([]float32, p.Value.Len())
			rng.New(22, "gradients").Normal(g, 0, 1, uint32(i), uint32(step), 0)
			p.Grad.Upload(g, 0)
		}
	}
}

// update makes some steps with every rule and compares with plain loops in float64.
func (s suite) update(t *testing.T) {
	for _, rule := range rules {
		t.Run(fmt.Sprintf("%T%+v", rule, rule), func(t *testing.T) {
			dev := s.newDevice(2)
			params := parameters(dev)
			var want []*plainParameter
			for _, p := range params.List {
				want = append(want, newPlainParameter(read(p.Value)))
			}
			for step := 1; step <= 4; step++ {
				lr := float32(0.1) / float32(step)
				setGradients(params, step)
				norm := 0.0
				for _, p := range params.List {
					if !p.Frozen {
						for _, g := range read(p.Grad) {
							norm += float64(g) * float64(g)
						}
					}
				}
				if err := dev.Update(rule, params, lr, step); err != nil {
					t.Fatal(err)
				}
				for i, p := range params.List {
					if !p.Frozen {
						rate := float64(lr)
						if i == 3 {
							rate /= 4
						}
						want[i].step(rule, read(p.Grad), rate, math.Sqrt(norm), step)
					}
				}
			}
			for i, p := range params.List {
				for j, v := range read(p.Value) {
					// Rounding of w and of the four terms added to it.
					if w := want[i].w[j]; math.Abs(float64(v)-w) > 3e-6*(1+math.Abs(w)) {
						t.Fatalf("%s[%d] is %v, want %v", p.Name, j, v, w)
					}
				}
			}
		})
	}
}

// plainParameter is a parameter with the state of PyTorch's documented algorithms, in float64.
type plainParameter struct{ w, first, second []float64 }

func newPlainParameter(values []float32) *plainParameter {
	p := &plainParameter{first: make([]float64, len(values)), second: make([]float64, len(values))}
	for _, v := range values {
		p.w = append(p.w, float64(v))
	}
	return p
}

func (p *plainParameter) step(rule device.Optimizer, grad []float32, lr, norm float64, step int) {
	factor := func(clip float32) float64 {
		if clip > 0 && norm > float64(clip) {
			return float64(clip) / norm
		}
		return 1
	}
	switch r := rule.(type) {
	case device.SGD:
		f, momentum := factor(r.Clip), float64(r.Momentum)
		for i, g := range grad {
			d := f*float64(g) + float64(r.WeightDecay)*p.w[i]
			p.first[i] = momentum*p.first[i] + d
			if r.Nesterov {
				d += momentum * p.first[i]
			} else {
				d = p.first[i]
			}
			p.w[i] -= lr * d
		}
	case device.Adam:
		f, b1, b2 := factor(r.Clip), float64(r.Beta1), float64(r.Beta2)
		for i, g := range grad {
			d := f * float64(g)
			if r.Decoupled {
				p.w[i] -= lr * float64(r.WeightDecay) * p.w[i]
			} else {
				d += float64(r.WeightDecay) * p.w[i]
			}
			p.first[i] = b1*p.first[i] + (1-b1)*d
			p.second[i] = b2*p.second[i] + (1-b2)*d*d
			m := p.first[i] / (1 - math.Pow(b1, float64(step)))
			v := p.second[i] / (1 - math.Pow(b2, float64(step)))
			p.w[i] -= lr * m / (math.Sqrt(v) + float64(r.Epsilon))
		}
	}
}

// settle waits for updates where Update does not.
func settle(dev device.Device, params *device.Parameters) error {
	if d, ok := dev.(device.Settler); ok {
		return d.Settle(params)
	}
	return nil
}

// updateNotFinite: a gradient with one bad value is an error that names it and changes nothing. Where the
// error comes later, nor do the steps until then; those after it do.
func (s suite) updateNotFinite(t *testing.T) {
	for _, rule := range []device.Optimizer{rules[0], rules[5], rules[7]} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			dev := s.newDevice(2)
			params := parameters(dev)
			setGradients(params, 1)
			if err := dev.Update(rule, params, 0.1, 1); err != nil {
				t.Fatal(err)
			}
			before := snapshot(params)
			params.List[1].Grad.Upload([]float32{float32(bad)}, 70000)
			err := dev.Update(rule, params, 0.1, 2)
			setGradients(params, 3)
			if _, ok := dev.(device.Settler); ok && err == nil {
				if err = dev.Update(rule, params, 0.1, 3); err == nil {
					err = settle(dev, params)
				}
			}
			if err == nil || !strings.Contains(err.Error(), `"p1"`) || !strings.Contains(err.Error(), "step 2") {
				t.Errorf("%T with a gradient of %v: error %v, want one that names p1 and step 2", rule, bad, err)
			}
			for i, v := range snapshot(params) {
				same(t, "a value or state after the error", v, before[i])
			}
			if err := errors.Join(dev.Update(rule, params, 0.1, 2), settle(dev, params)); err != nil {
				t.Errorf("%T after the error: %v", rule, err)
			}
			if slices.Equal(read(params.List[1].Value), before[1+rule.States()]) {
				t.Errorf("%T changes nothing after the error", rule)
			}
		}
	}
}

// snapshot reads all values and states.
func snapshot(params *device.Parameters) [][]float32 {
	var all [][]float32
	for _, p := range params.List {
		all = append(all, read(p.Value))
		for _, s := range p.State {
			all = append(all, read(s))
		}
	}
	return all
}

// updateThreads: steps are the same on any number of threads, sums for clipping included.
func (s suite) updateThreads(t *testing.T) {
	for _, rule := range []device.Optimizer{rules[5], rules[10]} {
		var want [][]float32
		for _, threads := range []int{1, 2, 5} {
			dev := s.newDevice(threads)
			params := parameters(dev)
			for step := 1; step <= 2; step++ {
				setGradients(params, step)
				if err := dev.Update(rule, params, 0.1, step); err != nil {
					t.Fatal(err)
				}
			}
			got := snapshot(params)
			if want == nil {
				want = got
			}
			for i := range want {
				same(t, fmt.Sprintf("%T on %d threads", rule, threads), got[i], want[i])
			}
		}
	}
}
