package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Distances holds a distance for each example: NaN where there is none, such as an example that an
// attack never saw, and +Inf where a minimal attack found no adversarial example. In JSON these are
// null and "inf", so that a run's state keeps them.
type Distances []float64

// MarshalJSON implements json.Marshaler.
func (d Distances) MarshalJSON() ([]byte, error) {
	if d == nil {
		return []byte("null"), nil
	}
	out := make([]any, len(d))
	for i, v := range d {
		switch {
		case math.IsInf(v, 1):
			out[i] = "inf"
		case !math.IsNaN(v):
			out[i] = v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Distances) UnmarshalJSON(text []byte) error {
	var in []json.RawMessage
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("report: distances: %w", err)
	}
	if in == nil {
		*d = nil
		return nil
	}
	*d = make(Distances, len(in))
	for i, v := range in {
		switch {
		case bytes.Equal(v, []byte("null")):
			(*d)[i] = nan
		case bytes.Equal(v, []byte(`"inf"`)):
			(*d)[i] = math.Inf(1)
		default:
			if err := json.Unmarshal(v, &(*d)[i]); err != nil {
				return fmt.Errorf("report: distance %d: %w", i, err)
			}
		}
	}
	return nil
}

// Spread sums up the finite ones among distances.
type Spread struct {
	// N distances were finite, and Infinite were not: there an attack found nothing.
	N, Infinite       int
	Mean, Median, Max float64 // NaN where N is 0
}

// spread sums distances up.
func spread(d Distances) Spread {
	s := Spread{Mean: nan, Median: nan, Max: nan}
	var finite []float64
	sum := 0.0
	for _, v := range d {
		switch {
		case math.IsInf(v, 1):
			s.Infinite++
		case !math.IsNaN(v):
			finite = append(finite, v)
			sum += v
		}
	}
	if s.N = len(finite); s.N == 0 {
		return s
	}
	slices.Sort(finite)
	s.Mean, s.Max = sum/float64(s.N), finite[s.N-1]
	s.Median = (finite[(s.N-1)/2] + finite[s.N/2]) / 2
	return s
}
