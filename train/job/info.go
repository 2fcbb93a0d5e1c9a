package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/nn"
)

// Info prints what a file of weights holds: of a checkpoint its network, threat model and figures, of
// any file its tensors.
func Info(path string, opt Options) error {
	if IsONNX(path) {
		return infoONNX(path, opt)
	}
	s, err := checkpoints.ReadSource(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	w := &printer{w: opt.Stdout}
	w.printf("%s: %s\n", path, s.Kind)
	for _, note := range s.Notes {
		w.printf("note: %s\n", note)
	}
	if s.Meta != nil {
		if err := w.table(func(row infoRow) error { return infoMeta(row, s.Meta) }); err != nil {
			return err
		}
	}
	infoTensors(w, s)
	return w.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// infoRow adds what is known of a file under a key.
type infoRow func(key, format string, args ...any)

// table aligns rows.
func (p *printer) table(fill func(row infoRow) error) error {
	table := tabwriter.NewWriter(p.w, 0, 8, 2, ' ', 0)
	err := fill(func(key, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", key, fmt.Sprintf(format, args...))
	})
	if err != nil {
		return err
	}
	return errors.Join(p.err, table.Flush())
}

func infoMeta(row infoRow, m *checkpoints.Meta) error {
	spec := m.Model.Spec
	row("network", "%s", spec.Name())
	if err := infoOptions(row, "", spec); err != nil {
		return err
	}
	row("input", "%v images, pixels in [0,1]", spec.Input)
	row("classes", "%d: %s", spec.Classes, listed(m.Model.Classes, 16))
	if len(m.Transforms) > 0 {
		row("deployed behind", "%s", m.Transforms.Label())
	}
	threat := "none: an undefended network"
	if foreign(spec) {
		threat = "not known: the file does not say how it was trained"
	}
	if t := m.ThreatModel; t.Norm != "" {
		if threat = fmt.Sprintf("%v, eps %.4g", attacks.Norm(t.Norm), t.Epsilon); t.AdversarialShare > 0 {
			threat += fmt.Sprintf("; %.3g %% of each minibatch adversarial in training", 100*t.AdversarialShare)
		}
	}
	row("threat model", "%s", threat)
	for _, f := range m.Figures {
		attack := f.Attack
		if attack == "" {
			attack = "clean"
		}
		row("accuracy", "%.1f %% %s (%s, n = %d)", 100*f.Accuracy, attack, f.Split, f.N)
	}
	if _, imported := spec.Options.(*nn.Topology); !imported { // an ONNX file holds none
		row("seed", "%d", m.Seed)
	}
	if p := m.Provenance; p.Commit != "" {
		row("made by", "commit %s%s, %s, %s", p.Commit, map[bool]string{true: " with changes that were not committed"}[p.Dirty], p.Go, p.CPU)
	}
	return nil
}

// infoOptions adds what a network, or each member of an ensemble, has for options and normalisation.
func infoOptions(row infoRow, of string, s nn.Spec) error {
	for i, member := range s.Members {
		if err := infoOptions(row, fmt.Sprintf("%smember %d: ", of, i+1), member); err != nil {
			return err
		}
	}
	if len(s.Members) > 0 {
		return nil
	}
	if t, ok := s.Options.(*nn.Topology); ok {
		row("nodes", "%s%d", of, len(t.Nodes))
	} else if options, err := json.Marshal(s.Options); err != nil {
		return err
	} else if string(options) != "{}" {
		row("options", "%s%s", of, options)
	}
	if s.Auxiliary != "" {
		row("batch normalisation", "%sthat of %s rows is deployed; that of %s rows is under aux_bn", of, s.Auxiliary.Other(), s.Auxiliary)
	}
	if len(s.Mean) > 0 {
		row("normalisation", "%smean %v, std %v", of, s.Mean, s.Std)
	}
	return nil
}

func infoTensors(w *printer, s *checkpoints.Source) {
	table := tabwriter.NewWriter(w.w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "tensor\tshape\ttype\tvalues")
	weights, statistics := 0, 0
	for _, t := range s.Tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		fmt.Fprintf(table, "%s\t%v\t%s\t%d\n", printable(t.Name), t.Shape, s.Types[t.Name], n)
		switch {
		case t.Data == nil: // a counter
		case strings.HasSuffix(t.Name, ".running_mean"), strings.HasSuffix(t.Name, ".running_var"):
			statistics += n
		default:
			weights += n
		}
	}
	if w.err = errors.Join(w.err, table.Flush()); statistics > 0 {
		w.printf("%d parameters and %d running statistics in %d tensors\n", weights, statistics, len(s.Tensors))
		return
	}
	w.printf("%d parameters in %d tensors\n", weights, len(s.Tensors))
}
