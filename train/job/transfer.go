package job

import (
	"fmt"

	"rampart/attacks"
	"rampart/defenses/transform"
)

// loadSources gives the attacks that make their examples on another network that network.
func (r *run) loadSources(list ...placed) error {
	loaded := map[string]attacks.Victim{}
	for _, p := range list {
		a, ok := p.attack.(attacks.Sourced)
		if !ok {
			continue
		}
		path := a.Checkpoint()
		if loaded[path] == nil {
			v, err := r.sourceVictim(path)
			if err != nil {
				return fmt.Errorf("%s: %s cannot transfer from %q: %w; its checkpoint has to be of a network for the same data, such as another run's baseline.safetensors", p.where, a.Label(), path, err)
			}
			loaded[path] = v
		}
		a.SetSource(loaded[path])
	}
	return nil
}

// sourceVictim is the network of a checkpoint as it is deployed, in expectation where that is random.
func (r *run) sourceVictim(path string) (attacks.Victim, error) {
	f, err := r.subject(path)
	if err != nil {
		return nil, err
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), r.cfg.Eval.Batch)
	if err != nil {
		return nil, err
	}
	v := transform.Behind(m, f.Meta.Transforms, f.Meta.Seed)
	if f.Meta.Transforms.Random() {
		v = attacks.EOT{Victim: v, Samples: r.cfg.Eval.Draws}
	}
	return v, nil
}
