package job

import (
	"errors"
	"fmt"
	"strings"

	"rampart/nn"
	"rampart/nn/registry"
)

// Names are names of layers or weights; a config may also write a single one as a string.
type Names []string

// UnmarshalText implements encoding.TextUnmarshaler for the single one.
func (n *Names) UnmarshalText(text []byte) error {
	*n = Names{string(text)}
	return nil
}

// tuning is what the stage does not train like the rest, and how it saves memory.
func (t *Training) tuning() nn.Tuning {
	return nn.Tuning{Freeze: t.Freeze, Groups: t.Groups, Segments: t.CheckpointSegments}
}

// checkTuning reports a freeze that cannot be meant.
func (t *Training) checkTuning() error {
	if len(t.Freeze) > 0 && t.Start == "scratch" {
		return registry.Errorf("freeze", `fresh weights would be frozen: use start = "baseline"`)
	}
	return nil
}

// tune checks, before there is a folder, that the names in train.freeze and train.group are those of
// weights, and that there is batch normalisation where train.attack_bn speaks of it; it says how much
// of the network is trained.
func (r *run) tune() error {
	r.state = newState() // phases look for networks
	for _, p := range r.phases() {
		f := p.fitting
		if f == nil || len(f.tuning.Freeze)+len(f.tuning.Groups) == 0 && f.attackBN == "eval" {
			continue
		}
		m, err := nn.BuildTuned(f.spec, r.dev, 1, r.stream("unused"), f.tuning)
		if _, ours := errors.AsType[*nn.TuningError](err); ours {
			return fmt.Errorf("%s: train.%w", f.title, err)
		}
		if err != nil {
			return err
		}
		if err := meetsBN(m, f.attackBN); err != nil {
			return err
		}
		if len(f.tuning.Freeze) > 0 {
			r.tuned = append(r.tuned, fmt.Sprintf("%s: %d of %d weights are trained, frozen: %s", f.title, m.Trained(), m.Parameters(), strings.Join(f.tuning.Freeze, ", ")))
		}
	}
	return nil
}
