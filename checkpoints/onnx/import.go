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
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/registry"
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
	content, root, err := open(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	n, err := decode(content, root, o)
	if err != nil {
		return nil, unusable(path, err)
	}
	return n, nil
}

func unusable(path string, err error) error {
	return fmt.Errorf("cannot use the network: %q: %w", path, err)
}

// open reads a file, and opens its folder.
func open(path string) (content []byte, root *os.Root, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the network: %w", registry.Quoted(err))
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
	if err == nil {
		content, err = io.ReadAll(f)
	}
	if err == nil {
		root, err = os.OpenRoot(filepath.Dir(path))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the network: %q: %w", path, err)
	}
	return content, root, nil
}

// decode reads a model whose tensors may lie in root, which may be nil.
func decode(content []byte, root *os.Root, o Options) (*Network, error) {
	model, err := decodeModel(content)
	if err != nil {
		return nil, err
	}
	return model.network(content, root, o)
}

// network makes one of a model and the file that it is.
func (m *modelProto) network(content []byte, root *os.Root, o Options) (*Network, error) {
	sum := sha256.New()
	sum.Write(content)
	t, err := translate(m, &folder{root, sum}, o)
	if err != nil {
		return nil, err
	}
	n := &Network{Notes: t.notes, File: &checkpoints.File{Tensors: t.tensors}}
	spec := nn.Spec{Arch: "onnx", Options: &nn.Topology{Source: m.source(), Nodes: t.nodes}, Input: t.input, Classes: t.classes}
	spec.Mean, spec.Std = t.normalisation()
	n.File.Meta.Model.Spec = spec
	n.File.Meta.Transforms = t.chain
	n.File.Meta.Version = checkpoints.Version
	n.File.Checksum = hex.EncodeToString(sum.Sum(nil))
	n.describe(m)
	return n, spec.Options.Validate()
}

// source says what has written a model.
func (m *modelProto) source() string {
	if m.producer == "" {
		return "ONNX"
	}
	return strings.TrimSpace("ONNX by " + m.producer + " " + m.version)
}

// Keys of a model's metadata that Export writes.
const (
	keyClasses     = "rampart.classes"
	keyThreatModel = "rampart.threat_model"
	keyArch        = "rampart.architecture"
	keyFigures     = "rampart.figures"
	keyTransforms  = "rampart.transforms"
)

// said decodes what the metadata have under a key; it reports whether they have it.
func (m *modelProto) said(key string, to any) bool {
	for _, e := range m.metadata {
		if e.key == key {
			return json.Unmarshal([]byte(e.value), to) == nil
		}
	}
	return false
}

// transforms are those that the graph begins with, by our own files.
func (m *modelProto) transforms() (chain transform.Chain) {
	if !m.said(keyTransforms, &chain) {
		return nil
	}
	return chain
}

// describe takes what our own files say of their network, and numbers the classes of others.
func (n *Network) describe(m *modelProto) {
	meta := &n.File.Meta
	var names []string
	if m.said(keyClasses, &names) && len(names) == meta.Model.Spec.Classes {
		meta.Model.Classes, n.Named = names, true
	}
	var threat checkpoints.ThreatModel
	if m.said(keyThreatModel, &threat) {
		meta.ThreatModel = threat
	}
	var figures []checkpoints.Figure
	if m.said(keyFigures, &figures) {
		meta.Figures = figures
	}
	if n.Named {
		return
	}
	for i := range meta.Model.Spec.Classes {
		meta.Model.Classes = append(meta.Model.Classes, fmt.Sprint(i))
	}
}
