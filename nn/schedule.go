package nn

import (
	"math"

	"rampart/nn/registry"
)

// Schedule scales a rate (or an epsilon) in the course of training.
type Schedule interface {
	Validate() error
	// At returns the factor at progress p, the share of all steps already made, in [0,1).
	At(p float64) float64
}

// Warmup is a linear rise from 0 over the first share of the steps; every schedule has it.
type Warmup struct {
	Share float64 `toml:"warmup"`
}

func (w Warmup) factor(p float64) float64 {
	if p < w.Share {
		return p / w.Share
	}
	return 1
}

// Validate reports a share outside [0,1].
func (w Warmup) Validate() error { return share("warmup", w.Share) }

func share(key string, v float64) error {
	if !(v >= 0 && v <= 1) {
		return registry.Errorf(key, "%v is not a share of the steps: it must lie between 0 and 1", v)
	}
	return nil
}

// Constant stays at 1 after its warm-up.
type Constant struct{ Warmup }

// At implements Schedule.
func (s *Constant) At(p float64) float64 { return s.factor(p) }

// StepDecay multiplies by Factor at each milestone, a share of the steps.
type StepDecay struct {
	Warmup
	Milestones []float64 `toml:"milestones"`
	Factor     float64   `toml:"factor"`
}

// Validate implements Schedule.
func (s *StepDecay) Validate() error {
	for _, m := range s.Milestones {
		if err := share("milestones", m); err != nil {
			return err
		}
	}
	if !(s.Factor > 0 && s.Factor <= 1) {
		return registry.Errorf("factor", "%v must be above 0 and at most 1", s.Factor)
	}
	return s.Warmup.Validate()
}

// At implements Schedule.
func (s *StepDecay) At(p float64) float64 {
	f := s.factor(p)
	for _, m := range s.Milestones {
		if p >= m {
			f *= s.Factor
		}
	}
	return f
}

// Cosine falls from 1 to Final along half a cosine (Loshchilov and Hutter 2017, one cycle).
type Cosine struct {
	Warmup
	Final float64 `toml:"final"`
}

// Validate implements Schedule.
func (s *Cosine) Validate() error {
	if err := share("final", s.Final); err != nil {
		return err
	}
	return s.Warmup.Validate()
}

// At implements Schedule.
func (s *Cosine) At(p float64) float64 {
	if p < s.Share {
		return s.factor(p)
	}
	if s.Share == 1 {
		return 1
	}
	return s.Final + (1-s.Final)*(1+math.Cos(math.Pi*(p-s.Share)/(1-s.Share)))/2
}

// Cyclic rises linearly until Rise, stays at 1, and from Fall on goes down linearly to Final
// (Smith 2017; Wong et al. 2020 use Rise = Fall = 0.4).
type Cyclic struct {
	Rise  float64 `toml:"rise"`
	Fall  float64 `toml:"fall"`
	Final float64 `toml:"final"`
}

// Validate implements Schedule.
func (s *Cyclic) Validate() error {
	for _, k := range []struct {
		key string
		v   float64
	}{{"rise", s.Rise}, {"fall", s.Fall}, {"final", s.Final}} {
		if err := share(k.key, k.v); err != nil {
			return err
		}
	}
	if s.Fall < s.Rise {
		return registry.Errorf("fall", "%v comes before rise = %v", s.Fall, s.Rise)
	}
	return nil
}

// At implements Schedule.
func (s *Cyclic) At(p float64) float64 {
	switch {
	case p < s.Rise:
		return p / s.Rise
	case p <= s.Fall || s.Fall == 1:
		return 1
	}
	return s.Final + (1-s.Final)*(1-p)/(1-s.Fall)
}

func init() {
	registry.Register("constant", func() Schedule { return &Constant{} })
	registry.Register("step", func() Schedule { return &StepDecay{Milestones: []float64{0.5, 0.75}, Factor: 0.1} })
	registry.Register("cosine", func() Schedule { return &Cosine{} })
	registry.Register("cyclic", func() Schedule { return &Cyclic{Rise: 0.2, Fall: 0.4} })
}
