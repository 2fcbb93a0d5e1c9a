package nn

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rampart/nn/registry"
)

// Shape is the shape of one example, [H,W,C].
type Shape struct{ H, W, C int }

// Size is the number of values in one example.
func (s Shape) Size() int { return s.H * s.W * s.C }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.H, s.W, s.C) }

// Architecture is a network's options. Layers lists its layers for examples of a shape; the last
// one must give one logit for each class.
type Architecture interface {
	Validate() error
	Layers(in Shape, classes int) []Layer
}

// Spec says all that is needed to build a network; it is kept in its checkpoint.
type Spec struct {
	// Arch is the name under which Options is registered.
	Arch    string
	Options Architecture
	Input   Shape
	Classes int
	// Mean and Std normalise the input by channel, as the network's first layer; empty for none.
	Mean, Std []float32
	// Denoiser, where not nil, is what the network begins with, before that normalisation.
	Denoiser *Denoiser
	// Auxiliary, where not empty, gives every batch normalisation a second branch, with parameters and
	// statistics of its own, for those rows of training (Xie et al. 2020, section 4.1). The main branch, for
	// the other rows, is what is deployed.
	Auxiliary RowKind
	// Members makes an ensemble instead: Arch and Options are unused then.
	Members []Spec
	Combine Combine
}

// Combine is how an ensemble's members make one prediction.
type Combine string

// The combinations.
const (
	MeanLogits      Combine = "logits"      // the mean of the logits
	MeanProbability Combine = "probability" // the log of the mean of the softmaxes
	// MajorityVote has no gradient: attacks take that of the mean probability, and are judged by the
	// vote. See op.Vote.
	MajorityVote Combine = "vote"
	// Stacked lays the members' logits one after the other, so that Classes is the sum of theirs. It
	// serves to train members jointly, and is never deployed.
	Stacked Combine = "stacked"
)

// Validate reports an unknown combination.
func (c Combine) Validate() error {
	switch c {
	case MeanLogits, MeanProbability, MajorityVote:
		return nil
	}
	return fmt.Errorf("unknown combination %q: use %q, %q or %q", string(c), MeanLogits, MeanProbability, MajorityVote)
}

// Name is the architecture's name, for a person.
func (s Spec) Name() string {
	if len(s.Members) == 0 {
		name := s.Arch
		if t, ok := s.Options.(*Topology); ok && t.Source != "" {
			name = t.Source
		}
		if s.Denoiser != nil {
			name += " behind a denoiser"
		}
		return name
	}
	how := map[Combine]string{MeanLogits: "mean logits", MeanProbability: "mean probability", MajorityVote: "majority vote", Stacked: "trained jointly"}[s.Combine]
	var parts []string // equal members counted, in the order of their first
	for i, m := range s.Members {
		same := func(o Spec) bool { return o.Name() == m.Name() }
		if slices.IndexFunc(s.Members, same) < i {
			continue
		}
		n := 0
		for _, o := range s.Members {
			if same(o) {
				n++
			}
		}
		parts = append(parts, fmt.Sprintf("%d x %s", n, m.Name()))
	}
	return fmt.Sprintf("ensemble of %s (%s)", strings.Join(parts, " and "), how)
}

type specJSON struct {
	Arch    string          `json:"arch,omitempty"`
	Options json.RawMessage `json:"options,omitempty"`
	Input   [3]int          `json:"input"`
	Classes int             `json:"classes"`
	Mean    []float32       `json:"mean,omitempty"`
	Std     []float32       `json:"std,omitempty"`
	Denoise *Denoiser       `json:"denoiser,omitempty"`
	AuxBN   RowKind         `json:"auxiliary_bn,omitempty"`
	Members []Spec          `json:"members,omitempty"`
	Combine Combine         `json:"combine,omitempty"`
}

// MarshalJSON encodes the spec for a checkpoint.
func (s Spec) MarshalJSON() ([]byte, error) {
	j := specJSON{Arch: s.Arch, Input: [3]int{s.Input.H, s.Input.W, s.Input.C}, Classes: s.Classes,
		Mean: s.Mean, Std: s.Std, Denoise: s.Denoiser, AuxBN: s.Auxiliary, Members: s.Members, Combine: s.Combine}
	if s.Options != nil {
		raw, err := json.Marshal(s.Options)
		if err != nil {
			return nil, err
		}
		j.Options = raw
	}
	return json.Marshal(j)
}

// UnmarshalJSON decodes what MarshalJSON wrote.
func (s *Spec) UnmarshalJSON(b []byte) error {
	var j specJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Spec{Arch: j.Arch, Input: Shape{j.Input[0], j.Input[1], j.Input[2]}, Classes: j.Classes,
		Mean: j.Mean, Std: j.Std, Denoiser: j.Denoise, Auxiliary: j.AuxBN, Members: j.Members, Combine: j.Combine}
	if len(s.Members) > 0 {
		return nil
	}
	options, err := registry.New[Architecture](j.Arch)
	if err != nil {
		return err
	}
	if len(j.Options) > 0 {
		if err := json.Unmarshal(j.Options, options); err != nil {
			return fmt.Errorf("options of %q: %w", j.Arch, err)
		}
	}
	s.Options = options
	return nil
}

// check reports what would not build.
func (s Spec) check() error {
	if len(s.Members) > 0 {
		classes := s.Classes // of each member
		if s.Combine == Stacked {
			classes /= len(s.Members)
		} else if err := s.Combine.Validate(); err != nil {
			return err
		}
		if len(s.Mean)+len(s.Std) > 0 {
			return fmt.Errorf("an ensemble has no normalisation of its own: give it to the members")
		}
		if s.Denoiser != nil {
			return fmt.Errorf("an ensemble has no denoiser of its own: give it to the members")
		}
		if s.Auxiliary != "" {
			return fmt.Errorf("an ensemble has no batch normalisation of its own: give the members auxiliary ones")
		}
		for i, m := range s.Members {
			if m.Input != s.Input || m.Classes != classes {
				return fmt.Errorf("ensemble member %d takes %v images of %d classes, the ensemble %v of %d", i, m.Input, m.Classes, s.Input, classes)
			}
			if err := m.check(); err != nil {
				return fmt.Errorf("ensemble member %d: %w", i, err)
			}
		}
		return nil
	}
	const most = 1 << 14
	in := s.Input
	if in.H < 1 || in.W < 1 || in.C < 1 || in.H > most || in.W > most || in.C > most {
		return fmt.Errorf("input shape %v: each side must be between 1 and %d", in, most)
	}
	if s.Classes < 2 {
		return fmt.Errorf("%d classes: at least 2 are needed", s.Classes)
	}
	if s.Options == nil {
		return fmt.Errorf("no architecture")
	}
	if len(s.Mean) != len(s.Std) || len(s.Mean) != 0 && len(s.Mean) != in.C {
		return fmt.Errorf("normalisation has %d means and %d standard deviations: both need one for each of the %d channels", len(s.Mean), len(s.Std), in.C)
	}
	for _, v := range s.Std {
		if !(v > 0) {
			return fmt.Errorf("normalisation divides by a standard deviation of %v: it must be above 0", v)
		}
	}
	if s.Auxiliary != "" {
		if err := s.Auxiliary.Validate(); err != nil {
			return fmt.Errorf("auxiliary batch normalisation: %w", err)
		}
	}
	if s.Denoiser != nil {
		if err := s.Denoiser.Validate(); err != nil {
			return fmt.Errorf("denoiser: %w", err)
		}
	}
	return s.Options.Validate()
}

func init() {
	registry.Kind[Architecture]("model")
	registry.Kind[Optimizer]("optimiser")
	registry.Kind[Schedule]("schedule")
}
