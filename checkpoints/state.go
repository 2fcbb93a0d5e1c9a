package checkpoints

import (
	"encoding/json"
	"fmt"
	"io"
)

// State is all that a run needs to go on where it stopped.
type State struct {
	Step    int
	Config  string   // as resolved, in TOML: going on under another one is refused
	Tensors []Tensor // weights, optimiser state, best weights
	JSON    json.RawMessage
}

// stateMeta is the part of a State that goes into the metadata as JSON.
type stateMeta struct {
	Version int             `json:"version"`
	Step    int             `json:"step"`
	JSON    json.RawMessage `json:"state,omitempty"`
}

// WriteState writes a training state; see WriteAtomic for what an error leaves behind.
func WriteState(path string, s *State) error {
	return WriteAtomic(path, func(w io.Writer) error {
		metadata, err := encodeMetadata(stateMeta{Version, s.Step, s.JSON})
		if err != nil {
			return err
		}
		metadata["rampart"], metadata["config"] = "state", s.Config
		return writeContainer(w, metadata, s.Tensors)
	})
}

// ReadState reads and verifies a training state. Every value has the bits that were written.
func ReadState(path string) (*State, error) {
	c, err := openContainer(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the training state: %w", err)
	}
	s, err := c.state()
	if err != nil {
		return nil, fmt.Errorf("cannot read the training state: %q: %w", path, err)
	}
	return s, nil
}

func (c *container) state() (*State, error) {
	if err := c.verify("state"); err != nil {
		return nil, err
	}
	var meta stateMeta
	if err := decodeMetadata(c.metadata, &meta); err != nil {
		return nil, err
	}
	return &State{Step: meta.Step, Config: c.metadata["config"], Tensors: c.tensors, JSON: meta.JSON}, nil
}
