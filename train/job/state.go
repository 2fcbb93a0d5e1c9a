package job

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/train/report"
)

// stateFile is the training state in a run's folder.
const stateFile = "state.safetensors"

// state is all that a run needs to go on where it stopped.
type state struct {
	record
	nets map[string][]nn.Weight // finished networks, by name
	// current is the network in training, and optimizer its optimiser's values.
	current   []nn.Weight
	optimizer map[string][][]float32
	// average is the average of its weights, and defense what its defence keeps between steps.
	average []nn.Weight
	defense map[string][]float32
	// examples are the pixels of the figures' images, by stage, and by examplesOf an outcome.
	examples map[string][]float32
}

// record is the part of the state that is no tensor.
type record struct {
	Phase          int `json:"phase"`
	Step           int `json:"step"` // of the phase
	OptimizerSteps int `json:"optimizer_steps"`
	// Data is the checksum of the training data.
	Data string `json:"data"`
	// StepsBefore is the number of training steps of the phases before.
	StepsBefore int `json:"steps_before"`
	// Seconds is how long all training took, up to the last saving.
	Seconds  float64                         `json:"seconds"`
	Fit      fitState                        `json:"fit"`
	Selected map[string][]checkpoints.Figure `json:"selected"` // held-out figures by network
	Points   []point                         `json:"points"`
	Outcomes map[string][]report.Outcome     `json:"outcomes"` // by stage
	// Measured is the number of rows that are done, by stage, clean among them; a row of the table
	// may have several outcomes.
	Measured map[string]int `json:"measured"`
	Checks   []report.Check `json:"checks"`
	// Partial is the attack that is being measured, without its images.
	Partial         *attacks.Partial     `json:"partial,omitempty"`
	PartialDistance report.Distances     `json:"partial_distance,omitempty"`
	Curves          map[string][]float64 `json:"curves"`
	// Losses are mean losses by iteration, by attack.
	Losses   map[string][]float64 `json:"losses,omitempty"`
	Warnings []string             `json:"warnings"`
	proofs
}

// fitState is how far the training of one network is, besides its weights.
type fitState struct {
	Window, Epoch             defenses.Metrics
	BestRobust, BestClean     float64
	BestStep                  int
	TrainRobustAtBest         num
	LastRobust, LastClean     float64
	CollapseTold, OverfitTold bool
	Averaged                  int  // weights in the average
	Stopped                   bool // by the defence's guard
}

// num is a figure that may be missing: NaN is null in JSON.
type num float64

// MarshalJSON writes null for what is no finite number.
func (n num) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *num) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = num(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// point is a report.Point in JSON.
type point struct {
	Step                                         int
	Stage                                        string
	Loss, TrainClean, TrainRobust, Clean, Robust num
	Best                                         bool
}

func (s *state) addPoint(p report.Point) {
	s.Points = append(s.Points, point{p.Step, p.Stage, num(p.Loss), num(p.TrainClean), num(p.TrainRobust), num(p.Clean), num(p.Robust), p.Best})
}

func newState() *state {
	return &state{nets: map[string][]nn.Weight{}, examples: map[string][]float32{}, record: record{
		Selected: map[string][]checkpoints.Figure{}, Outcomes: map[string][]report.Outcome{}, Measured: map[string]int{}, Curves: map[string][]float64{}}}
}

// capture copies the network in training into the state.
func (s *state) capture(m *nn.Model) {
	s.current = m.Weights()
	s.optimizer, s.OptimizerSteps = m.OptimizerState()
}

// restore is the opposite of capture.
func (s *state) restore(m *nn.Model) error {
	if err := m.SetWeights(s.current); err != nil {
		return fmt.Errorf("training state: %w", err)
	}
	if err := m.SetOptimizerState(s.optimizer, s.OptimizerSteps); err != nil {
		return fmt.Errorf("training state: %w", err)
	}
	return nil
}

// release forgets the network in training once it is finished.
func (s *state) release() {
	s.current, s.optimizer, s.OptimizerSteps, s.Step = nil, nil, 0, 0
	s.average, s.defense = nil, nil
}

// Tensor names in the file are prefixed by what they belong to.
const (
	prefixNet       = "net/"
	prefixCurrent   = "current/"
	prefixOptimizer = "optimizer/"
	prefixExamples  = "examples/"
	prefixPartial   = "partial/" // images of the attack that is being measured
	prefixAverage   = "average/"
	prefixDefense   = "defense/"
)

// save writes the state to the run's folder.
func (r *run) save() error {
	if r.dir == "" {
		return nil // an evaluation that leaves nothing behind
	}
	s := r.state
	if s.PartialDistance = nil; s.Partial != nil {
		s.PartialDistance = s.Partial.Result.Distance
	}
	raw, err := json.Marshal(s.record)
	if err != nil {
		return err
	}
	f := &checkpoints.State{Step: s.Step, Config: r.resolved(), JSON: raw}
	add := func(name string, shape []int, data []float32) {
		f.Tensors = append(f.Tensors, checkpoints.Tensor{Name: name, Shape: shape, Data: data})
	}
	for _, name := range sortedKeys(s.nets) {
		for _, w := range s.nets[name] {
			add(prefixNet+name+"/"+w.Name, w.Shape, w.Data)
		}
	}
	for _, w := range s.current {
		add(prefixCurrent+w.Name, w.Shape, w.Data)
	}
	for _, name := range sortedKeys(s.optimizer) {
		for i, v := range s.optimizer[name] {
			add(fmt.Sprintf("%s%d/%s", prefixOptimizer, i, name), []int{len(v)}, v)
		}
	}
	for _, w := range s.average {
		add(prefixAverage+w.Name, w.Shape, w.Data)
	}
	for _, name := range sortedKeys(s.defense) {
		add(prefixDefense+name, []int{len(s.defense[name])}, s.defense[name])
	}
	for _, name := range sortedKeys(s.examples) {
		add(prefixExamples+name, []int{len(s.examples[name])}, s.examples[name])
	}
	if p := s.Partial; p != nil {
		add(prefixPartial+"adversarial", []int{len(p.Result.Adv)}, p.Result.Adv)
		if p.Result.Nearest != nil {
			add(prefixPartial+"nearest", []int{len(p.Result.Nearest)}, p.Result.Nearest)
		}
	}
	return checkpoints.WriteState(filepath.Join(r.dir, stateFile), f)
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// loadState reads the state of a run's folder and the config that it was saved under.
func loadState(dir string) (*state, string, error) {
	f, err := checkpoints.ReadState(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, "", err
	}
	s := newState()
	if err := json.Unmarshal(f.JSON, &s.record); err != nil {
		return nil, "", fmt.Errorf("training state of %q: %w", dir, err)
	}
	if s.Partial != nil {
		s.Partial.Result.Distance = s.PartialDistance
	}
	s.optimizer, s.defense = map[string][][]float32{}, map[string][]float32{}
	for _, t := range f.Tensors {
		kind, rest, _ := strings.Cut(t.Name, "/")
		switch kind + "/" {
		case prefixNet:
			i := strings.LastIndexByte(rest, '/')
			s.nets[rest[:i]] = append(s.nets[rest[:i]], nn.Weight{Name: rest[i+1:], Shape: t.Shape, Data: t.Data})
		case prefixCurrent:
			s.current = append(s.current, nn.Weight{Name: rest, Shape: t.Shape, Data: t.Data})
		case prefixOptimizer:
			_, name, _ := strings.Cut(rest, "/")
			s.optimizer[name] = append(s.optimizer[name], t.Data)
		case prefixAverage:
			s.average = append(s.average, nn.Weight{Name: rest, Shape: t.Shape, Data: t.Data})
		case prefixDefense:
			s.defense[rest] = t.Data
		case prefixExamples:
			s.examples[rest] = t.Data
		case prefixPartial:
			if s.Partial == nil {
				return nil, "", fmt.Errorf("training state of %q: images of an attack that it does not hold", dir)
			}
			if rest == "adversarial" {
				s.Partial.Result.Adv = t.Data
			} else {
				s.Partial.Result.Nearest = t.Data
			}
		}
	}
	return s, f.Config, nil
}

// resolved is the config as it took effect, in TOML.
func (r *run) resolved() string {
	text, err := configs.Encode(r.cfg)
	if err != nil {
		panic(err) // every config that can be decoded can be encoded
	}
	return string(text)
}

func (r *run) writeText(name, text string) error {
	return r.write(name, textWriter(text))
}
