package nn

import (
	"fmt"

	"rampart/nn/registry"
)

// Averaging is a rule by which weights are averaged in the course of training.
type Averaging interface {
	Validate() error
	// Rate is the share with which the weights after a step of steps enter the average: 0 leaves it
	// alone, 1 begins it anew. taken counts the weights that have entered, epoch is the steps of one.
	Rate(step, steps, epoch, taken int) float64
}

// EMA is the exponential moving average of the weights (Polyak and Juditsky 1992; in adversarial
// training Gowal et al. 2020, section 4.3, whose decay is the default). After n weights the decay is
// at most (1+n)/(10+n), as in those authors' code, so that a short training is not averaged with its
// beginning.
type EMA struct {
	Decay float64 `toml:"decay"`
	Start float64 `toml:"start"` // share of the steps
}

// Validate implements Averaging.
func (a *EMA) Validate() error {
	if !(a.Decay > 0 && a.Decay < 1) {
		return registry.Errorf("decay", "%v must lie between 0 and 1", a.Decay)
	}
	return share("start", a.Start)
}

// Rate implements Averaging.
func (a *EMA) Rate(step, steps, _, taken int) float64 {
	switch {
	case float64(step) < a.Start*float64(steps):
		return 0
	case taken == 0:
		return 1
	}
	n := float64(taken)
	return 1 - min(a.Decay, (1+n)/(10+n))
}

// SWA is stochastic weight averaging (Izmailov et al. 2018, algorithm 1): the mean of the weights at
// regular steps, from Start on.
type SWA struct {
	Start float64 `toml:"start"` // share of the steps
	Every int     `toml:"every"` // steps; 0 is an epoch
}

// Validate implements Averaging.
func (a *SWA) Validate() error {
	if a.Every < 0 {
		return registry.Errorf("every", "%d must not be negative (0 means once an epoch)", a.Every)
	}
	return share("start", a.Start)
}

// Rate implements Averaging.
func (a *SWA) Rate(step, steps, epoch, taken int) float64 {
	every := a.Every
	if every == 0 {
		every = epoch
	}
	if float64(step) < a.Start*float64(steps) || step%every != 0 && step != steps {
		return 0
	}
	return 1 / float64(taken+1)
}

// Average is an average of a model's weights. Running statistics do not enter it: those of a
// network with averaged weights must be measured on it. Nor do weights that training leaves alone.
type Average struct {
	Taken   int         // weights that have entered
	values  [][]float32 // by parameter, in the executor's layout; nil where frozen
	scratch []float32
}

// Add moves the average by rate towards a model's weights.
func (a *Average) Add(m *Model, rate float64) {
	if a.values == nil {
		a.values = make([][]float32, len(m.own()))
		for i, p := range m.own() {
			if !p.Frozen {
				a.values[i] = make([]float32, p.Value.Len())
				a.scratch = append(a.scratch, make([]float32, max(0, p.Value.Len()-len(a.scratch)))...)
			}
		}
	}
	for i, avg := range a.values {
		w := a.scratch[:len(avg)]
		if avg != nil {
			m.params.List[i].Value.Download(w, 0)
		}
		for j, v := range w {
			avg[j] = float32(float64(avg[j]) + rate*(float64(v)-float64(avg[j])))
		}
	}
	a.Taken++
}

// Weights returns the average, with m's running statistics.
func (a *Average) Weights(m *Model) []Weight {
	list := m.Weights()
	for i, p := range m.specs {
		if a.values[i] != nil {
			list[i] = p.export(a.values[i])
		}
	}
	return list
}

// Restore continues from what Weights returned after taken weights.
func (a *Average) Restore(m *Model, list []Weight, taken int) error {
	values := make([][]float32, len(m.specs))
	size := 0
	for i, p := range m.specs {
		if i >= len(list) || list[i].Name != p.name {
			return fmt.Errorf("the average has no weight %q", p.name)
		}
		v, err := p.load(list[i])
		if err != nil {
			return fmt.Errorf("average: %w", err)
		}
		if !p.frozen() {
			values[i], size = v, max(size, len(v))
		}
	}
	a.values, a.scratch, a.Taken = values, make([]float32, size), taken
	return nil
}

// HasStatistics reports whether a model keeps running statistics that move in training.
func (m *Model) HasStatistics() bool {
	for _, p := range m.specs {
		if p.statistic && !p.held {
			return true
		}
	}
	return false
}

func init() {
	registry.Kind[Averaging]("weight average")
	registry.Register("ema", func() Averaging { return &EMA{Decay: 0.995} })
	registry.Register("swa", func() Averaging { return &SWA{Start: 0.5} })
}
