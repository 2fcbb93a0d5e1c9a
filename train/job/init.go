package job

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"rampart/checkpoints"
	"rampart/data"
	"rampart/nn"
)

// initial is the file that init names, and what the run's network takes of it.
type initial struct {
	source *checkpoints.Source
	notes  []string // what came along with it, and what may be amiss
	taken  *nn.Adoption
	// weights are those of the network that the run begins with.
	weights []nn.Weight
}

// readInit reads the file that init names, before the data, and takes its input along: the size that
// images are brought to and the normalisation, where the config leaves them open.
func (r *run) readInit() error {
	if r.cfg.Init == "" {
		return nil
	}
	if IsONNX(r.cfg.Init) {
		return &UsageError{fmt.Errorf("init: %q is an ONNX file, which eval, attack and predict take as -model: a network starts from a checkpoint, safetensors or what torch.save writes", r.cfg.Init)}
	}
	s, err := checkpoints.ReadSource(r.cfg.Init)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	r.initial = &initial{source: s, notes: slices.Clone(s.Notes)}
	in, note := &r.cfg.Input, r.initial.note
	if s.Meta == nil {
		if len(in.Mean) == 0 {
			note("the file does not say how its network normalises its input, and input.mean and input.std are not set: torchvision's networks take mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225]")
		}
		return nil
	}
	spec := s.Meta.Model.Spec
	if len(spec.Members) > 0 {
		return &UsageError{fmt.Errorf("init: %q holds an %s: a network starts from a single one", r.cfg.Init, spec.Name())}
	}
	switch same := slices.Equal(in.Mean, spec.Mean) && slices.Equal(in.Std, spec.Std); {
	case len(in.Mean)+len(in.Std) == 0 && len(spec.Mean) > 0:
		in.Mean, in.Std = spec.Mean, spec.Std
		note("its normalisation is taken along: mean %v, std %v", spec.Mean, spec.Std)
	case !same && len(spec.Mean) == 0:
		note("its network normalises nothing, and here mean is %v and std %v", in.Mean, in.Std)
	case !same:
		note("its network normalises by mean %v and std %v, and here mean is %v and std %v", spec.Mean, spec.Std, in.Mean, in.Std)
	}
	if sized, ok := r.cfg.Data.Source.Value.(data.Sized); ok && spec.Input.H == spec.Input.W && sized.DefaultSize(spec.Input.H) {
		note("images are brought to its input size, %d x %d", spec.Input.H, spec.Input.W)
	}
	if chain := s.Meta.Transforms; len(chain) > 0 && len(r.cfg.Input.Transform) == 0 {
		note("%s stood before its network, and does not here", chain.Label())
	}
	return nil
}

func (i *initial) note(format string, args ...any) {
	i.notes = append(i.notes, fmt.Sprintf(format, args...))
}

// adoptInit fits the file's weights into the run's network.
func (r *run) adoptInit() error {
	i := r.initial
	if i == nil || i.weights != nil {
		return nil
	}
	m, err := nn.Build(r.spec(), r.dev, 1, r.stream("init 0"))
	if err != nil {
		return &UsageError{err}
	}
	otherClasses := false
	if meta := i.source.Meta; meta != nil {
		spec := meta.Model.Spec
		otherClasses = spec.Classes == m.Classes() && !slices.Equal(meta.Model.Classes, r.train.Classes)
		if in := m.Input(); spec.Input != in {
			i.note("its network takes %v images, and here they are %v", spec.Input, in)
		}
	}
	if i.taken, err = m.Adopt(i.source.Weights(), otherClasses); err != nil {
		what := i.source.Kind
		if i.source.Meta != nil {
			what += " of " + i.source.Meta.Model.Spec.Name()
		}
		return &UsageError{fmt.Errorf("init: %q (%s) does not hold the config's network, %s: %w", r.cfg.Init, what, m.Spec.Name(), err)}
	}
	i.weights = m.Weights()
	return nil
}

// loadInit is the phase that takes the place of the warm-up.
func (r *run) loadInit() error {
	if err := r.adoptInit(); err != nil {
		return err
	}
	r.state.nets[netBaseline] = r.initial.weights
	return r.writeCheckpoint("baseline", r.spec(), r.initial.weights, nil)
}

// listed names weights or classes for a person, at most so many of them.
func listed(list []string, most int) string {
	var shown []string
	for _, name := range list[:min(most, len(list))] {
		shown = append(shown, printable(name))
	}
	text := strings.Join(shown, ", ")
	if n := len(list); n > most {
		text += fmt.Sprintf(" and %d more", n-most)
	}
	return text
}

// printable quotes a name from a file where it holds what a terminal may take for a command.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// text says what was loaded, and what was not, a line each.
func (i *initial) text() (lines []string) {
	a := i.taken
	total := len(a.Loaded) + len(a.Zeroed) + len(a.Head) + len(a.Missing) + len(a.Reshaped)
	add := func(list []string, what string) {
		if len(list) > 0 {
			lines = append(lines, what+": "+listed(list, 16))
		}
	}
	lines = append(lines, fmt.Sprintf("%d of the network's %d weights are loaded (%s)", len(a.Loaded), total, i.source.Kind))
	add(a.Head, "the head starts fresh, for its classes are others")
	add(a.Zeroed, "biases that the file's network has not are 0")
	add(a.Missing, "missing in the file, and fresh here")
	var shapes []string
	for _, s := range a.Reshaped {
		shapes = append(shapes, fmt.Sprintf("%s %v, here %v", s.Name, s.Source, s.Own))
	}
	add(shapes, "of another shape in the file, and fresh here")
	add(a.Unexpected, "in the file, but not in the network")
	return append(lines, i.notes...)
}
