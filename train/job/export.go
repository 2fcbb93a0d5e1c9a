package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/registry"
)

// ExportOptions say what is exported, and where to.
type ExportOptions struct {
	Checkpoint string
	Format     string // one of formats
	Out        string // the file to write, which must not be there yet
}

// formats write a network to a file. What they return besides is for the user: what the
// format cannot hold.
var formats = map[string]func(f *checkpoints.File, path string) (notes []string, err error){
	"safetensors": exportSafetensors,
}

// Export writes a checkpoint's network in a format that other programs read.
func Export(e ExportOptions, opt Options) error {
	export, known := formats[e.Format]
	if !known {
		return &UsageError{fmt.Errorf("-format: %w", registry.Unknown("format", e.Format, sortedKeys(formats)))}
	}
	if _, err := os.Lstat(e.Out); err == nil {
		return &UsageError{fmt.Errorf("%q is there already: choose another name with -o", e.Out)}
	}
	if IsONNX(e.Checkpoint) {
		return &UsageError{fmt.Errorf("%q is an ONNX file: what is exported is a checkpoint", e.Checkpoint)}
	}
	f, err := checkpoints.Read(e.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	if err := f.Finite(); err != nil {
		return fmt.Errorf("%q: %w", e.Checkpoint, err)
	}
	notes, err := export(f, e.Out)
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(opt.Stderr, "note:", note)
	}
	_, err = fmt.Fprintf(opt.Stdout, "%s: %s\n", e.Out, f.Meta.Model.Spec.Name())
	return err
}

// exportSafetensors writes the weights alone, under PyTorch's names and in its layouts, those of an
// ensemble's members behind members.N. What one must know to use them stands in the metadata.
func exportSafetensors(f *checkpoints.File, path string) (notes []string, err error) {
	if chain := f.Meta.Transforms; len(chain) > 0 {
		notes = append(notes, fmt.Sprintf("%s stands before the network and is no tensor: the file does not hold it", chain.Label()))
	}
	if separated(f.Meta.Model.Spec) {
		notes = append(notes, "batch normalisations have a second branch under aux_bn, as timm's SplitBatchNorm2d has it; the network that is deployed does without")
	}
	if normalised(f.Meta.Model.Spec) {
		notes = append(notes, "the network normalises its input by channel, (x-mean)/std of pixels in [0,1]: mean and std are in the file's metadata, not among its tensors")
	}
	return notes, checkpoints.WriteTensors(path, f.Tensors, f.Meta.Model)
}

// normalised says whether a network, or a member of an ensemble, normalises its input.
func normalised(s nn.Spec) bool {
	return len(s.Mean) > 0 || slices.ContainsFunc(s.Members, normalised)
}

// separated says whether a network, or a member of an ensemble, has auxiliary batch normalisations.
func separated(s nn.Spec) bool { return s.Auxiliary != "" || slices.ContainsFunc(s.Members, separated) }

// Formats lists what can be exported to.
func Formats() []string { return sortedKeys(formats) }
