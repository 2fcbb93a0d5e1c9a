package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
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
	// examples are the pixels of the figure's images, by stage.
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
	StepsBefore int                             `json:"steps_before"`
	Fit         fitState                        `json:"fit"`
	Selected    map[string][]checkpoints.Figure `json:"selected"` // held-out figures by network
	Points      []point                         `json:"points"`
	Outcomes    map[string][]report.Outcome     `json:"outcomes"` // by stage
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

// open makes or finds the run's folder and its state.
func (r *run) open() error {
	dir, err := r.folder()
	if err != nil {
		return err
	}
	r.dir = dir
	if r.opt.Resume {
		return r.resume()
	}
	r.state = newState()
	r.state.Data = r.source
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cannot make the run's folder: %w", err)
	}
	if err := r.writeText("config.toml", r.resolved()); err != nil {
		return err
	}
	if r.log, err = openLog(filepath.Join(dir, "log.jsonl"), 0, 0); err != nil {
		return err
	}
	return r.save() // from here on there is something to resume
}

// folder picks the folder: -out, or the next free one of the config's name under checkpoints/; with
// -resume the last one that is taken.
func (r *run) folder() (string, error) {
	if dir := r.opt.Out; dir != "" {
		taken, err := inUse(dir)
		if err != nil {
			return "", err
		}
		if taken && !r.opt.Resume {
			return "", &UsageError{fmt.Errorf("%q is not empty: add -resume to go on with the run in it, or choose another -out", dir)}
		}
		return dir, nil
	}
	last := ""
	for i := 1; ; i++ {
		dir := filepath.Join("checkpoints", r.cfg.Name)
		if i > 1 {
			dir = fmt.Sprintf("%s-%d", dir, i)
		}
		taken, err := inUse(dir)
		if err != nil {
			return "", err
		}
		if !taken && r.opt.Resume && last != "" {
			return last, nil
		}
		if !taken {
			return dir, nil
		}
		last = dir
	}
}

func inUse(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &UsageError{fmt.Errorf("the run's folder: %w", err)}
	}
	return len(entries) > 0, nil
}

// resume continues the run in r.dir.
func (r *run) resume() error {
	if err := r.resumeState(); err != nil {
		return err
	}
	var err error
	r.log, err = openLog(filepath.Join(r.dir, "log.jsonl"), r.state.Phase, r.state.Step)
	return err
}

// resumeState takes up the state in r.dir; under another config it is refused.
func (r *run) resumeState() error {
	s, config, err := loadState(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{fmt.Errorf("nothing to resume: %w", err)}
	}
	if err != nil {
		return err
	}
	if now := r.resolved(); config != now {
		return &UsageError{fmt.Errorf("the run in %q was started under another config:\n%s\nresume it with the config of its start (%s), or start a new run", r.dir, difference(config, now), filepath.Join(r.dir, "config.toml"))}
	}
	if s.Data != r.source {
		return &UsageError{fmt.Errorf("the run in %q was started on other data: the training images or labels of %q, or the checkpoint that it measures, have changed since", r.dir, r.cfg.Data.Source.Name)}
	}
	r.state = s
	return nil
}

// difference lists the lines that differ, each under its table.
func difference(old, new string) string {
	a, b := keyed(old), keyed(new)
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var lines []string
	for _, k := range sortedKeys(keys) {
		if a[k] != b[k] {
			lines = append(lines, fmt.Sprintf("  %s: %s, now %s", k, orNone(a[k]), orNone(b[k])))
		}
	}
	return strings.Join(lines, "\n")
}

func orNone(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

// keyed reads what configs.Encode wrote into table.key = value.
func keyed(text string) map[string]string {
	m, table, seen := map[string]string{}, "", map[string]int{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			table = strings.Trim(name, "[]") + "."
			if seen[table]++; seen[table] > 1 {
				table = fmt.Sprintf("%s%d.", table, seen[table])
			}
			continue
		}
		if key, value, ok := strings.Cut(line, " = "); ok {
			m[table+key] = value
		}
	}
	return m
}

func (r *run) writeText(name, text string) error {
	return r.write(name, textWriter(text))
}
