package nn

import (
	"errors"
	"math"
	"testing"

	"rampart/nn/registry"
)

func TestSchedules(t *testing.T) {
	half := Warmup{Share: 0.5}
	for _, test := range []struct {
		schedule Schedule
		at       map[float64]float64
	}{
		{&Constant{}, map[float64]float64{0: 1, 0.5: 1, 0.99: 1}},
		{&Constant{Warmup{0.2}}, map[float64]float64{0: 0, 0.05: 0.25, 0.1: 0.5, 0.2: 1, 0.9: 1}},
		{&StepDecay{Milestones: []float64{0.5, 0.75}, Factor: 0.1}, map[float64]float64{0: 1, 0.49: 1, 0.5: 0.1, 0.74: 0.1, 0.75: 0.01, 0.99: 0.01}},
		{&StepDecay{Warmup: half, Milestones: []float64{0.25}, Factor: 0.5}, map[float64]float64{0: 0, 0.2: 0.4, 0.25: 0.25, 0.5: 0.5}},
		{&Cosine{}, map[float64]float64{0: 1, 0.25: (1 + math.Sqrt2/2) / 2, 0.5: 0.5, 1: 0}},
		{&Cosine{Final: 0.2}, map[float64]float64{0: 1, 0.5: 0.6, 1: 0.2}},
		{&Cosine{Warmup: half}, map[float64]float64{0: 0, 0.25: 0.5, 0.5: 1, 0.75: 0.5, 1: 0}},
		{&Cosine{Warmup: Warmup{1}}, map[float64]float64{0: 0, 0.25: 0.25, 0.75: 0.75, 1: 1}},
		{&Cyclic{Rise: 0.2, Fall: 0.4}, map[float64]float64{0: 0, 0.1: 0.5, 0.2: 1, 0.3: 1, 0.4: 1, 0.7: 0.5, 1: 0}},
		{&Cyclic{Rise: 0.5, Fall: 0.5, Final: 0.1}, map[float64]float64{0: 0, 0.5: 1, 0.75: 0.55, 1: 0.1}},
		{&Cyclic{Rise: 0, Fall: 1}, map[float64]float64{0: 1, 0.5: 1, 0.99: 1}},
	} {
		if err := test.schedule.Validate(); err != nil {
			t.Errorf("%+v: %v", test.schedule, err)
		}
		for p, want := range test.at {
			if got := test.schedule.At(p); math.Abs(got-want) > 1e-12 {
				t.Errorf("%T%+v at %v is %v, want %v", test.schedule, test.schedule, p, got, want)
			}
		}
	}
}

func TestScheduleErrors(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		schedule Schedule
		key      string
	}{
		{&Constant{Warmup{1.5}}, "warmup"},
		{&Constant{Warmup{nan}}, "warmup"},
		{&StepDecay{Milestones: []float64{0.5, -1}, Factor: 0.1}, "milestones"},
		{&StepDecay{Factor: 0}, "factor"},
		{&StepDecay{Factor: nan}, "factor"},
		{&StepDecay{Factor: 0.5, Warmup: Warmup{-0.1}}, "warmup"},
		{&Cosine{Final: 2}, "final"},
		{&Cosine{Warmup: Warmup{2}}, "warmup"},
		{&Cyclic{Rise: -1}, "rise"},
		{&Cyclic{Rise: 0.5, Fall: 0.4}, "fall"},
		{&Cyclic{Rise: 0.1, Fall: 0.4, Final: nan}, "final"},
	} {
		checkKey(t, test.schedule.Validate(), test.key, test.schedule)
	}
}

// checkKey expects an error about a key.
func checkKey(t *testing.T, err error, key string, of any) {
	t.Helper()
	var at *registry.KeyError
	if !errors.As(err, &at) || at.Key != key {
		t.Errorf("%T%+v: error %v, want one about %q", of, of, err, key)
	}
}

// TestDefaultsAreValid: what is registered is ready for use.
func TestDefaultsAreValid(t *testing.T) {
	for _, name := range registry.Names[Schedule]() {
		s, err := registry.New[Schedule](name)
		if err == nil {
			err = s.Validate()
		}
		if err != nil {
			t.Errorf("schedule %q: %v", name, err)
			continue
		}
		for p := 0.0; p < 1; p += 1. / 64 {
			if f := s.At(p); !(f >= 0 && f <= 1) {
				t.Errorf("schedule %q at %v is %v", name, p, f)
			}
		}
	}
	for _, name := range registry.Names[Optimizer]() {
		o, err := registry.New[Optimizer](name)
		if err == nil {
			err = o.Validate()
		}
		if err != nil || o.Rate() <= 0 {
			t.Errorf("optimiser %q: %v, rate %v", name, err, o.Rate())
		}
	}
}
