package nn

import (
	"math"
	"testing"

	"rampart/nn/device"
	"rampart/nn/registry"
)

func TestOptimizerErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	adam := func(change func(*Adam)) *Adam {
		a := &Adam{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
		change(a)
		return a
	}
	for _, test := range []struct {
		optimizer Optimizer
		key       string
	}{
		{&SGD{}, "lr"},
		{&SGD{LR: -1}, "lr"},
		{&SGD{LR: nan}, "lr"},
		{&SGD{LR: inf}, "lr"},
		{&SGD{LR: 1, Momentum: 1}, "momentum"},
		{&SGD{LR: 1, Momentum: nan}, "momentum"},
		{&SGD{LR: 1, Nesterov: true}, "nesterov"},
		{&SGD{LR: 1, WeightDecay: -1}, "weight_decay"},
		{&SGD{LR: 1, WeightDecay: nan}, "weight_decay"},
		{&SGD{LR: 1, Clip: -1}, "clip"},
		{&SGD{LR: 1, Clip: inf}, "clip"},
		{adam(func(a *Adam) { a.LR = 0 }), "lr"},
		{adam(func(a *Adam) { a.Beta1 = 1 }), "beta1"},
		{adam(func(a *Adam) { a.Beta2 = -0.1 }), "beta2"},
		{adam(func(a *Adam) { a.Epsilon = 0 }), "epsilon"},
		{adam(func(a *Adam) { a.Epsilon = nan }), "epsilon"},
		{adam(func(a *Adam) { a.WeightDecay = nan }), "weight_decay"},
		{adam(func(a *Adam) { a.Clip = nan }), "clip"},
	} {
		checkKey(t, test.optimizer.Validate(), test.key, test.optimizer)
	}
}

func TestOptimizerRules(t *testing.T) {
	adam := device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	adamW := adam
	adamW.WeightDecay, adamW.Decoupled = 0.01, true
	for name, want := range map[string]device.Optimizer{"sgd": device.SGD{Momentum: 0.9}, "adam": adam, "adamw": adamW} {
		o, err := registry.New[Optimizer](name)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Rule(); got != want {
			t.Errorf("%s by default is %+v, want %+v", name, got, want)
		}
	}
	s := SGD{LR: 0.3, Momentum: 0.5, Nesterov: true, WeightDecay: 0.25, Clip: 2}
	if got, want := s.Rule(), (device.SGD{Momentum: 0.5, Nesterov: true, WeightDecay: 0.25, Clip: 2}); got != want || s.Rate() != 0.3 {
		t.Errorf("%+v is executed as %+v with rate %v", s, got, s.Rate())
	}
	a := Adam{LR: 0.5, Beta1: 0.25, Beta2: 0.75, Epsilon: 0.125, WeightDecay: 0.5, Clip: 4}
	if got, want := a.Rule(), (device.Adam{Beta1: 0.25, Beta2: 0.75, Epsilon: 0.125, WeightDecay: 0.5, Clip: 4}); got != want || a.Rate() != 0.5 {
		t.Errorf("%+v is executed as %+v with rate %v", a, got, a.Rate())
	}
}
