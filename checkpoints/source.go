package checkpoints

import (
	"bufio"
	"errors"
	"fmt"
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
	s, err := readSource(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the weights: %w", err)
	}
	return s, nil
}

func readSource(path string) (*Source, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read := readSafetensors
	if isTorch(f) {
		read = readTorch
	}
	s, err := read(f, size)
	if err == nil {
		err = (&File{Tensors: s.Tensors}).Finite()
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return s, nil
}

// isTorch looks at a file's beginning. The length of a safetensors header may begin like a pickle, but
// then JSON follows it.
func isTorch(f *os.File) bool {
	start := make([]byte, 9)
	n, _ := f.ReadAt(start, 0) // what fails here fails when it is read, too
	return pth.Is(start[:min(n, 4)]) && (n < len(start) || start[8] != '{')
}

func readTorch(file *os.File, size int64) (*Source, error) {
	f, err := pth.Read(file, size)
	if err != nil {
		return nil, err
	}
	s := &Source{Kind: "weights by torch.save", Types: map[string]string{}, Notes: f.Notes}
	for _, t := range f.Tensors {
		s.Tensors, s.Types[t.Name] = append(s.Tensors, Tensor{t.Name, t.Shape, t.Data}), t.Type
	}
	return s, nil
}

func readSafetensors(file *os.File, size int64) (*Source, error) {
	c, err := readContainer(bufio.NewReaderSize(file, 1<<16), size)
	if err != nil {
		return nil, err
	}
	s := &Source{Kind: "safetensors without Rampart's metadata", Tensors: c.tensors, Types: c.types}
	switch kind, ours := c.metadata["rampart"]; {
	case ours && kind == "tensors": // exported
		if err := c.verify(kind); err != nil {
			return nil, err
		}
	case ours:
		f, err := c.checkpoint()
		if err != nil {
			return nil, err
		}
		s.Kind, s.Meta = "Rampart checkpoint", &f.Meta
	}
	for i, t := range s.Tensors {
		if !dtype.Types[s.Types[t.Name]].Float {
			s.Tensors[i].Data = nil
		}
	}
	if len(s.Tensors) == 0 {
		return nil, errors.New("it holds no tensors")
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
