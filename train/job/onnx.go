package job

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"rampart/checkpoints"
	"rampart/checkpoints/onnx"
	"rampart/nn"
)

func init() { formats["onnx"] = exportONNX }

// exportONNX writes the whole of what a checkpoint deploys.
func exportONNX(f *checkpoints.File, path string) (notes []string, err error) {
	return nil, onnx.Export(path, f)
}

// IsONNX reports whether a file is one, by its name.
func IsONNX(path string) bool { return strings.EqualFold(filepath.Ext(path), ".onnx") }

// ReadNetwork reads a checkpoint, or an ONNX file of anybody's network for images of a shape; zero is
// one that the file itself must tell. What the reader left out or assumed goes to opt.Stderr.
func ReadNetwork(path string, in nn.Shape, opt Options) (*checkpoints.File, error) {
	var f *checkpoints.File
	var notes []string
	var err error
	if IsONNX(path) {
		var n *onnx.Network
		if n, err = onnx.Read(path, onnx.Options{Input: in}); err == nil {
			f, notes = n.File, n.Notes
		}
	} else {
		f, err = checkpoints.Read(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UsageError{err}
	}
	if err != nil {
		return nil, err
	}
	if err := f.Finite(); err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	for _, note := range notes {
		fmt.Fprintf(opt.Stderr, "note: %s: %s\n", filepath.Base(path), note)
	}
	return f, nil
}

// infoONNX prints what an ONNX file holds: the graph, and the network that Rampart makes of it, or why it
// makes none.
func infoONNX(path string, opt Options) error {
	c, err := onnx.Inspect(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	w := &printer{w: opt.Stdout}
	w.printf("%s: an ONNX file\n", path)
	s := &checkpoints.Source{Tensors: c.Tensors, Types: c.Types}
	if c.Refused != nil {
		w.printf("note: attacks refuse it as it is: %v\n", c.Refused)
	} else {
		s = &checkpoints.Source{Meta: &c.Network.File.Meta, Tensors: c.Network.File.Tensors, Types: map[string]string{}, Notes: c.Network.Notes}
		for _, t := range s.Tensors {
			s.Types[t.Name] = "F32"
		}
	}
	for _, note := range s.Notes {
		w.printf("note: %s\n", note)
	}
	err = w.table(func(row infoRow) error {
		if c.Architecture != "" {
			row("architecture", "%s, by the file", printable(c.Architecture))
		}
		row("graph", "%s, opset %d: %s", printable(c.Source), c.Opset, printable(c.Operations))
		for _, v := range c.Inputs {
			row("graph's input", "%s", printable(v))
		}
		for _, v := range c.Outputs {
			row("graph's output", "%s", printable(v))
		}
		if s.Meta == nil {
			return nil
		}
		return infoMeta(row, s.Meta)
	})
	if err != nil {
		return err
	}
	infoTensors(w, s)
	return w.err
}

// adopt gives a network from elsewhere what its file does not say and the config does: the names of
// its classes, as many as its own, and the normalisation of its input where it has none.
func (r *run) adopt(f *checkpoints.File) {
	spec := &f.Meta.Model.Spec
	if !foreign(*spec) {
		return
	}
	f.Meta.Model.Classes = r.test.Classes
	if in := r.cfg.Input; len(in.Mean) > 0 {
		if len(spec.Mean) > 0 {
			fmt.Fprintln(r.opt.Stderr, "note: the network normalises its input itself: the config's input.mean and input.std are not used")
			return
		}
		spec.Mean, spec.Std = in.Mean, in.Std
		fmt.Fprintln(r.opt.Stderr, "note: the network's input is normalised by the config's input.mean and input.std")
	}
}

// foreign reports whether a network comes from a file that Rampart has not written.
func foreign(s nn.Spec) bool {
	t, ok := s.Options.(*nn.Topology)
	return ok && t.Source != onnx.Ours
}

// training says how a network was trained, as far as its file does.
func training(f *checkpoints.File) string {
	if foreign(f.Meta.Model.Spec) {
		return "how it was trained is not known"
	}
	return trainedAgainst(f.Meta.ThreatModel)
}
