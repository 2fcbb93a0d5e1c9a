package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"rampart/checkpoints"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// Sources are the static networks that ensemble adversarial training ("ensemble_at") also makes its
// examples on.
type Sources struct {
	// Checkpoints are files of any networks for the same data.
	Checkpoints []string `toml:"checkpoints"`
	// Trained is how many are trained first, naturally, as [warmup] says, with random numbers of
	// their own; -1 is 3 where no checkpoints are named, else 0.
	Trained int `toml:"trained"`
	// Models are their networks, in turn; empty is the config's own.
	Models []configs.Choice[nn.Architecture] `toml:"model"`
}

// Defaults implements configs.Defaulter.
func (s *Sources) Defaults() { s.Trained = -1 }

// Validate reports sources that cannot be had.
func (s Sources) Validate() error {
	if s.Trained < -1 || s.Trained > 64 {
		return registry.Errorf("trained", "%d must lie between 0 and 64", s.Trained)
	}
	if s.count() == 0 {
		return registry.Errorf("trained", "0, and there are no checkpoints: name or train at least one network")
	}
	if len(s.Models) > s.count()-len(s.Checkpoints) {
		return registry.Errorf("model", "%d networks are listed, but %d are trained", len(s.Models), s.count()-len(s.Checkpoints))
	}
	for _, path := range s.Checkpoints {
		if path == "" {
			return registry.Errorf("checkpoints", "an empty name")
		}
		if err := fileExists("checkpoints", path); err != nil {
			return err
		}
	}
	return nil
}

// count is the number of networks, those of checkpoints first.
func (s Sources) count() int {
	switch {
	case s.Trained >= 0:
		return len(s.Checkpoints) + s.Trained
	case len(s.Checkpoints) > 0:
		return len(s.Checkpoints)
	}
	return 3
}

func netSource(i int) string { return fmt.Sprintf("source %d", i+1) }

// checkSources reports a defence without sources, and sources without a defence.
func (c Config) checkSources() error {
	needed := ""
	for i := range c.members() {
		if d := c.member(i).Defense; defenses.NeedsSources(d.Value) {
			needed = d.Name
		}
	}
	switch {
	case needed != "" && c.Sources == nil:
		return registry.Errorf("defense.name", "%q makes examples on pretrained networks, too: add a table [sources]", needed)
	case needed == "" && c.Sources != nil:
		return registry.Errorf("sources", `the defence %q makes examples on no other network: choose "ensemble_at"`, c.Defense.Name)
	}
	return nil
}

// readSources reads the checkpoints among the sources.
func (r *run) readSources() error {
	if r.cfg.Sources == nil {
		return nil
	}
	for _, path := range r.cfg.Sources.Checkpoints {
		f, err := checkpoints.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return &UsageError{err}
		}
		if err == nil {
			err = f.Finite()
		}
		if err != nil {
			return fmt.Errorf("source %q: %w", path, err)
		}
		if spec, own := f.Meta.Model.Spec, r.spec(); spec.Input != own.Input || spec.Classes != own.Classes {
			return &UsageError{fmt.Errorf("the source %q takes %v images of %d classes, the data set %q has %v of %d", path, spec.Input, spec.Classes,
				r.cfg.Data.Source.Name, own.Input, own.Classes)}
		}
		r.sources = append(r.sources, f)
	}
	return nil
}

// sourceSpec is the network of a source.
func (r *run) sourceSpec(i int) nn.Spec {
	if i < len(r.sources) {
		return r.sources[i].Meta.Model.Spec
	}
	spec := r.spec()
	if list := r.cfg.Sources.Models; len(list) > 0 {
		m := list[(i-len(r.sources))%len(list)]
		spec.Arch, spec.Options = m.Name, m.Value
	}
	return spec
}

// prepareSources lists what brings the sources into the state, so that a run resumes with them.
func (r *run) prepareSources(add func(name string, f func(context.Context) error), fit func(fitting)) {
	if r.cfg.Sources == nil {
		return
	}
	for i := range r.cfg.Sources.count() {
		if i < len(r.sources) {
			path := r.cfg.Sources.Checkpoints[i]
			add("load "+path, func(context.Context) error {
				weights := r.sources[i].Weights()
				if _, err := r.network(r.sourceSpec(i), weights, 1); err != nil {
					return fmt.Errorf("%q: %w", path, err)
				}
				r.state.nets[netSource(i)] = weights
				return nil
			})
			continue
		}
		f := r.natural(netSource(i), netSource(i), r.cfg.members()+1+i) // no other network has this number
		f.spec = r.sourceSpec(i)
		fit(f)
	}
}

// sourceNetworks builds the sources for batches of rows.
func (r *run) sourceNetworks(rows int) (list []*nn.Model, err error) {
	for i := range r.cfg.Sources.count() {
		m, err := r.network(r.sourceSpec(i), r.state.nets[netSource(i)], rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", netSource(i), err)
		}
		list = append(list, m)
	}
	return list, nil
}
