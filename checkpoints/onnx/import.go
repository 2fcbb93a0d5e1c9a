package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rampart/checkpoints"
	"rampart/nn"
)

// Options say what is known of a network besides its file.
type Options struct {
	// Input is the shape of its images; zero takes what the file says, which may not be enough.
	Input nn.Shape
}

// Network is what a file holds.
type Network struct {
	// File is the network as a checkpoint: it can be built, and written as one.
	File *checkpoints.File
	// Named reports whether the file names its classes; they are numbered where it does not.
	Named bool
	// Notes say what was left out or assumed, for a person.
	Notes []string
}

// Ours is the source (see nn.Topology) of the files that Export writes.
const Ours = "ONNX by Rampart"

// maxModel bounds a model's file; larger ones keep their weights in files of their own.
const maxModel = 1 << 31

// Read reads a network. Tensors outside of the file are read from its folder alone. What the network
// does that Rampart cannot is an error that names the node and its operation.
func Read(path string, o Options) (*Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the network: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("a folder or a device, not a file")
	case info.Size() > maxModel:
		err = fmt.Errorf("%d bytes are more than an ONNX file can have", info.Size())
	}
	var content []byte
	var root *os.Root
	if err == nil {
		content, err = io.ReadAll(f)
	}
	if err == nil {
		root, err = os.OpenRoot(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the network: %q: %w", path, err)
	}
	defer root.Close()
	n, err := decode(content, root, o)
	if err != nil {
		return nil, fmt.Errorf("cannot use the network: %q: %w", path, err)
	}
	return n, nil
}

// decode reads a model whose tensors may lie in root, which may be nil.
func decode(content []byte, root *os.Root, o Options) (*Network, error) {
	model, err := decodeModel(content)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	sum.Write(content)
	t, err := translate(model, &folder{root, sum}, o)
	if err != nil {
		return nil, err
	}
	source := strings.TrimSpace("ONNX by " + model.producer + " " + model.version)
	if model.producer == "" {
		source = "ONNX"
	}
	n := &Network{Notes: t.notes, File: &checkpoints.File{Tensors: t.tensors}}
	spec := nn.Spec{Arch: "onnx", Options: &nn.Topology{Source: source, Nodes: t.nodes}, Input: t.input, Classes: t.classes}
	spec.Mean, spec.Std = t.normalisation()
	n.File.Meta.Model.Spec = spec
	n.File.Meta.Version = checkpoints.Version
	n.File.Checksum = hex.EncodeToString(sum.Sum(nil))
	n.describe(model.metadata)
	return n, spec.Options.Validate()
}

// Keys of a model's metadata that Export writes.
const (
	keyClasses     = "rampart.classes"
	keyThreatModel = "rampart.threat_model"
	keyArch        = "rampart.architecture"
	keyFigures     = "rampart.figures"
)

// describe takes what our own files say of their network, and numbers the classes of others.
func (n *Network) describe(metadata []entryProto) {
	meta := &n.File.Meta
	for _, e := range metadata {
		switch e.key {
		case keyClasses:
			var names []string
			if json.Unmarshal([]byte(e.value), &names) == nil && len(names) == meta.Model.Spec.Classes {
				meta.Model.Classes, n.Named = names, true
			}
		case keyThreatModel:
			var t checkpoints.ThreatModel
			if json.Unmarshal([]byte(e.value), &t) == nil {
				meta.ThreatModel = t
			}
		}
	}
	if n.Named {
		return
	}
	for i := range meta.Model.Spec.Classes {
		meta.Model.Classes = append(meta.Model.Classes, fmt.Sprint(i))
	}
}
