package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/device"
)

// exportOpset is that of the files that are written: any ONNX Runtime since 1.12 reads it.
const exportOpset = 17

// Export writes a checkpoint's network as an ONNX file: "input" [N,C,H,W] of pixels in [0,1] to
// "logits" [N,classes], with the normalisation, the combination of an ensemble, and the
// transformations before it. What has no form in ONNX is an error. See checkpoints.WriteAtomic for what
// an error leaves behind.
func Export(path string, f *checkpoints.File) error {
	model, err := encode(f)
	if err != nil {
		return fmt.Errorf("cannot export to ONNX: %w", err)
	}
	return checkpoints.WriteAtomic(path, func(w io.Writer) error {
		_, err := w.Write(model)
		return err
	})
}

func encode(f *checkpoints.File) ([]byte, error) {
	spec := f.Meta.Model.Spec
	inference, err := nn.NewInference(spec, f.Weights())
	if err != nil {
		return nil, err
	}
	e := &exporter{params: inference.Params, buffers: map[int]tensor{}, program: inference.Program, names: map[string]bool{}}
	x, err := e.transforms(f.Meta.Transforms, tensor{"input", spec.Input, false})
	if err != nil {
		return nil, err
	}
	e.buffers[inference.Program.X] = x
	for _, in := range inference.Program.Instrs {
		if err := e.instruction(in); err != nil {
			return nil, err
		}
	}
	logits := e.flat(e.buffers[inference.Program.Logits])
	e.graph.nodes = append(e.graph.nodes, &nodeProto{op: "Identity", name: "logits", inputs: []string{logits.name}, outputs: []string{"logits"}})
	e.graph.name = spec.Name()
	e.graph.inputs = []valueProto{{name: "input", elemType: typeFloat, dims: []dimProto{{param: "N"}, {value: int64(spec.Input.C)}, {value: int64(spec.Input.H)}, {value: int64(spec.Input.W)}}}}
	e.graph.outputs = []valueProto{{name: "logits", elemType: typeFloat, dims: []dimProto{{param: "N"}, {value: int64(spec.Classes)}}}}
	m := &modelProto{irVersion: 8, producer: "Rampart", opset: exportOpset, graph: e.graph}
	for _, item := range []struct {
		key   string
		value any
	}{{keyClasses, f.Meta.Model.Classes}, {keyThreatModel, f.Meta.ThreatModel}, {keyArch, spec.Name()}, {keyFigures, f.Meta.Figures}, {keyTransforms, f.Meta.Transforms}} {
		text, err := json.Marshal(item.value)
		if err != nil {
			return nil, err
		}
		m.metadata = append(m.metadata, entryProto{item.key, string(text)})
	}
	content := encodeModel(m)
	if len(content) >= maxModel {
		return nil, errors.New("the network takes more than 2 GB, which a protobuf message cannot hold")
	}
	return content, nil
}

// exporter writes a program's instructions as nodes.
type exporter struct {
	graph   graphProto
	program *device.Program
	params  []nn.Weight
	buffers map[int]tensor // by number
	names   map[string]bool
	count   int
}

// tensor is a value of the graph: an image [N,C,H,W], or flat, [N,values] in the order H,W,C.
type tensor struct {
	name  string
	shape nn.Shape
	flat  bool
}

// add appends a node and returns its output.
func (e *exporter) add(op string, attributes []attributeProto, inputs ...string) string {
	e.count++
	name := fmt.Sprintf("%s_%d", op, e.count)
	e.graph.nodes = append(e.graph.nodes, &nodeProto{op: op, name: name, attributes: attributes, inputs: inputs, outputs: []string{name + "_out"}})
	return name + "_out"
}

func ints(name string, values ...int) attributeProto {
	a := attributeProto{name: name, kind: attributeInts}
	for _, v := range values {
		a.ints = append(a.ints, int64(v))
	}
	return a
}

func number(name string, v int) attributeProto {
	return attributeProto{name: name, kind: attributeInt, i: int64(v)}
}

func float(name string, v float32) attributeProto {
	return attributeProto{name: name, kind: attributeFloat, f: v}
}

func text(name, v string) attributeProto {
	return attributeProto{name: name, kind: attributeString, s: []byte(v)}
}

// floats adds a constant.
func (e *exporter) floats(name string, values []float32, dims ...int) string {
	return e.initializer(&tensorProto{name: name, dataType: typeFloat, floats: values}, dims)
}

// list adds a constant of whole numbers.
func (e *exporter) list(values ...int) string {
	t := &tensorProto{name: "shape", dataType: typeInt64}
	for _, v := range values {
		t.ints = append(t.ints, int64(v))
	}
	return e.initializer(t, []int{len(values)})
}

func (e *exporter) initializer(t *tensorProto, dims []int) string {
	base := t.name
	for i := 2; e.names[t.name]; i++ {
		t.name = fmt.Sprintf("%s_%d", base, i)
	}
	e.names[t.name] = true
	for _, d := range dims {
		t.dims = append(t.dims, int64(d))
	}
	e.graph.initializers = append(e.graph.initializers, t)
	return t.name
}

// flat gives a value two axes.
func (e *exporter) flat(x tensor) tensor {
	if x.flat {
		return x
	}
	name := x.name
	if x.shape.H*x.shape.W > 1 && x.shape.C > 1 {
		name = e.add("Transpose", []attributeProto{ints("perm", 0, 2, 3, 1)}, name)
	}
	return tensor{e.add("Reshape", nil, name, e.list(-1, x.shape.Size())), nn.Shape{H: 1, W: 1, C: x.shape.Size()}, true}
}

// image gives a value of as many elements the shape of an image.
func (e *exporter) image(x tensor, s nn.Shape) tensor {
	if !x.flat && x.shape == s {
		return x
	}
	x = e.flat(x)
	if s.H*s.W == 1 || s.C == 1 {
		return tensor{e.add("Reshape", nil, x.name, e.list(-1, s.C, s.H, s.W)), s, false}
	}
	name := e.add("Reshape", nil, x.name, e.list(-1, s.H, s.W, s.C))
	return tensor{e.add("Transpose", []attributeProto{ints("perm", 0, 3, 1, 2)}, name), s, false}
}

// alike gives two values of as many elements one shape.
func (e *exporter) alike(x, y tensor) (tensor, tensor) {
	if x.flat == y.flat && (x.flat || x.shape == y.shape) {
		return x, y
	}
	return e.flat(x), e.flat(y)
}
