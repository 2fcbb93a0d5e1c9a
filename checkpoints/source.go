package checkpoints

import (
	"fmt"
	"io"
	"os"

	"rampart/nn"
	"rampart/nn/dtype"
	"rampart/nn/pth"
)

// Source is what a file gives a network to start from. Of three kinds: a checkpoint of ours, any
// other safetensors file, a file by PyTorch's torch.save.
type Source struct {
	// Kind names the format, for a person.
	Kind string
	// Meta is nil for files of others, which say neither architecture nor normalisation.
	Meta *Meta
	// Tensors are in PyTorch's layouts and in the order of the file. Whole numbers, such as batch
	// norm's counters, have no Data.
	Tensors []Tensor
	Types   map[string]string // number formats, by tensor, as safetensors calls them
	// Notes say where in the file the tensors were found.
	Notes []string
}

// ReadSource reads any file of weights. Those of ours are verified as Read does; values that are not
// finite are an error.
func ReadSource(path string) (*Source, error) {
	torch, err := isTorch(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the weights: %w", err)
	}
	var s *Source
	if torch {
		s, err = readTorch(path)
	} else {
		s, err = readSafetensors(path)
	}
	if err == nil {
		if err = (&File{Tensors: s.Tensors}).Finite(); err != nil {
			err = fmt.Errorf("%q: %w", path, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the weights: %w", err)
	}
	return s, nil
}

func isTorch(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, 4)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	if n < len(start) || !pth.Is(start) {
		return false, nil
	}
	// The length of a safetensors header may begin like a pickle, but then JSON follows it.
	head := make([]byte, 5)
	_, err = io.ReadFull(f, head)
	return err != nil || head[4] != '{', nil
}

func readTorch(path string) (*Source, error) {
	f, err := pth.Read(path)
	if err != nil {
		return nil, err
	}
	s := &Source{Kind: "weights by torch.save", Types: map[string]string{}, Notes: f.Notes}
	for _, t := range f.Tensors {
		s.Tensors, s.Types[t.Name] = append(s.Tensors, Tensor{t.Name, t.Shape, t.Data}), t.Type
	}
	return s, nil
}

func readSafetensors(path string) (*Source, error) {
	c, err := openContainer(path)
	if err != nil {
		return nil, err
	}
	s := &Source{Kind: "safetensors without Rampart's metadata", Tensors: c.tensors, Types: c.types}
	switch kind, ours := c.metadata["rampart"]; {
	case ours && kind == "tensors": // exported
		if err := c.verify(kind); err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
	case ours:
		f, err := c.checkpoint()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		s.Kind, s.Meta = "Rampart checkpoint", &f.Meta
	}
	for i, t := range s.Tensors {
		if !dtype.Types[s.Types[t.Name]].Float {
			s.Tensors[i].Data = nil
		}
	}
	if len(s.Tensors) == 0 {
		return nil, fmt.Errorf("%q: it holds no tensors", path)
	}
	return s, nil
}

// Weights are the tensors that a network can take: those with values.
func (s *Source) Weights() (list []nn.Weight) {
	for _, t := range s.Tensors {
		if t.Data != nil {
			list = append(list, nn.Weight(t))
		}
	}
	return list
}
