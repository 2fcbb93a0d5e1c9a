// Package checkpoints reads and writes networks and training states as safetensors files with
// checksums. PyTorch's safetensors.torch.load_file loads them as they are. The folder of the
// package is where runs put their files, checkpoints/RUN/; they are not part of the repository.
package checkpoints

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"rampart/defenses/transform"
	"rampart/nn"
)

// Version is the format that Write writes, and the newest that Read reads.
const Version = 1

// Tensor is a named array of values in row-major order; an empty shape is a single value.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// File is a checkpoint: a network's weights and what one must know to use and judge them.
type File struct {
	Tensors []Tensor
	Meta    Meta
	// Checksum is that of the file that was read; Write takes no notice of it.
	Checksum string
}

// Meta describes a network. It holds no time and nothing of the run's speed, so that the same
// seed and config give the same file.
type Meta struct {
	Version     int         `json:"version"` // set by Read; Write writes Version
	Model       Model       `json:"model"`
	ThreatModel ThreatModel `json:"threat_model"`
	// Transforms stand before the network wherever it is used.
	Transforms transform.Chain `json:"transforms,omitempty"`
	Figures    []Figure        `json:"figures"`
	Seed       uint64          `json:"seed"`
	Provenance Provenance      `json:"provenance"`
	Config     string          `json:"-"` // the config as resolved, in TOML
}

// Model says how to build the network, and what it takes and gives.
type Model struct {
	Spec    nn.Spec  `json:"spec"`
	Classes []string `json:"classes"` // names, by label
}

// ThreatModel is the set of perturbations that the network was hardened against, and how.
type ThreatModel struct {
	Norm    string  `json:"norm"`
	Epsilon float64 `json:"epsilon"` // pixels in [0,1]
	// AdversarialShare is the share of adversarial examples in a minibatch of the training.
	AdversarialShare float64 `json:"adversarial_share,omitempty"`
}

// Figure is a measured accuracy, a fraction of N examples. Attack is "" for clean accuracy.
type Figure struct {
	Attack   string  `json:"attack"`
	Split    string  `json:"split,omitempty"` // of the data: "held out", "test"
	Accuracy float64 `json:"accuracy"`
	N        int     `json:"n"`
}

// Provenance says what made the file.
type Provenance struct {
	Commit string `json:"commit,omitempty"` // of Rampart
	Dirty  bool   `json:"dirty,omitempty"`  // the tree had uncommitted changes
	Go     string `json:"go,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Data   string `json:"data,omitempty"` // checksum of the training data
}

// Write writes a checkpoint; see WriteAtomic for what an error leaves behind.
func Write(path string, f *File) error {
	return WriteAtomic(path, func(w io.Writer) error {
		meta := f.Meta
		meta.Version = Version
		metadata, err := encodeMetadata(meta)
		if err != nil {
			return err
		}
		metadata["rampart"], metadata["config"] = "checkpoint", meta.Config
		return writeContainer(w, metadata, f.Tensors)
	})
}

var errForeign = errors.New("a safetensors file without Rampart's metadata: it says neither the architecture nor the normalisation; only its tensors can be used")

// Read reads and verifies a checkpoint. Tensors come in the order of the file. A file that is
// damaged, foreign, or of a newer format is an error that says what to do.
func Read(path string) (*File, error) {
	c, err := openContainer(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the checkpoint: %w", err)
	}
	f, err := c.checkpoint()
	if err != nil {
		return nil, fmt.Errorf("cannot read the checkpoint: %q: %w", path, err)
	}
	return f, nil
}

func (c *container) checkpoint() (*File, error) {
	if err := c.verify("checkpoint"); err != nil {
		return nil, err
	}
	f := &File{Tensors: c.tensors, Checksum: c.sum}
	if err := decodeMetadata(c.metadata, &f.Meta); err != nil {
		return nil, err
	}
	f.Meta.Config = c.metadata["config"]
	return f, nil
}

// ReadForeign reads the tensors of any safetensors file, as float32. The checksum is verified
// where the file has one of ours.
func ReadForeign(path string) ([]Tensor, error) {
	c, err := openContainer(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the tensors: %w", err)
	}
	if kind, ours := c.metadata["rampart"]; ours {
		if err := c.verify(kind); err != nil {
			return nil, fmt.Errorf("cannot read the tensors: %q: %w", path, err)
		}
	}
	return c.tensors, nil
}

// Finite reports the first tensor that holds a NaN or an infinity.
func (f *File) Finite() error {
	for _, t := range f.Tensors {
		bad, first := 0, 0
		for i, x := range t.Data {
			if d := float64(x); math.IsNaN(d) || math.IsInf(d, 0) {
				if bad == 0 {
					first = i
				}
				bad++
			}
		}
		if bad > 0 {
			return fmt.Errorf("tensor %q holds %d values that are NaN or infinite, the first at %d: the training diverged; use an earlier checkpoint", t.Name, bad, first)
		}
	}
	return nil
}

// encodeMetadata turns each field of a struct into a string of JSON.
func encodeMetadata(v any) (map[string]string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(fields))
	for key, value := range fields {
		metadata[key] = string(value)
	}
	return metadata, nil
}

// decodeMetadata is the reverse. It refuses newer versions before it looks at anything else.
func decodeMetadata(metadata map[string]string, v any) error {
	version := 0
	if err := json.Unmarshal([]byte(metadata["version"]), &version); err != nil || version < 1 {
		return fmt.Errorf("the format version %q makes no sense: another program has changed the file", metadata["version"])
	}
	if version > Version {
		return fmt.Errorf("the file has format %d, and this Rampart reads up to %d: use a newer one", version, Version)
	}
	fields := map[string]json.RawMessage{}
	for key, value := range metadata {
		switch key {
		case "format", "rampart", "sha256", "config": // plain text
		default:
			fields[key] = json.RawMessage(value)
		}
	}
	text, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("the metadata makes no sense (%w): another program has changed the file", err)
	}
	return nil
}
