package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/checkpoints"
	"rampart/defenses/transform"
	"rampart/nn"
)

// symbolicBatch stands for a batch of any size in shapes: a prime that no axis is likely to have.
const symbolicBatch = 1000003

// translator turns a graph into the nodes of a topology.
type translator struct {
	opset int64
	batch int
	files *folder

	constants map[string]*constant
	values    map[string]*value
	producers map[string]*nodeProto // of each name, among the nodes so far
	ordered   map[*value]*value     // see arranged
	uses      map[string]int        // of each name
	folded    int                   // elements that constant folding has made

	input   nn.Shape
	chain   transform.Chain     // what stands before the network
	before  map[*nodeProto]bool // its nodes
	classes int
	nodes   []nn.Node
	tensors []checkpoints.Tensor
	byName  map[string]int // of tensors
	norm    *affine        // of the input, once it is settled
	notes   []string
	opened  map[string]bool // notes that are given once
}

// failure is why a value is not there. It is reported only where something needs the value.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// value is a tensor that depends on the input.
type value struct {
	layout
	id int // of the topology's value
	// phys is the shape of that value in the topology.
	phys nn.Shape
	// raw says that the value is the input with an affine map by channel on top, which becomes the
	// network's normalisation.
	raw *affine
	// inner is the image within zeros that the next convolution makes: top, left, bottom, right.
	inner *value
	pads  [4]int
	// owner is the node (its number plus one) whose bias a constant can be added to, 0 for none.
	owner int
	// failed says why there is no value.
	failed error
	// ended names the softmax that was left out; the network must end there.
	ended string
}

func translate(m *modelProto, files *folder, o Options) (*translator, error) {
	t := &translator{opset: m.opset, files: files, constants: map[string]*constant{}, values: map[string]*value{},
		producers: map[string]*nodeProto{}, ordered: map[*value]*value{}, uses: map[string]int{}, byName: map[string]int{}, opened: map[string]bool{},
		before: map[*nodeProto]bool{}}
	if m.opset < 7 || m.opset > 23 {
		return nil, fmt.Errorf("opset %d: 7 to 23 are supported", m.opset)
	}
	for _, p := range m.graph.initializers {
		c, err := constantOf(p, files)
		if err != nil {
			return nil, err
		}
		t.constants[p.name] = c
	}
	for _, n := range m.graph.nodes {
		for _, name := range n.inputs {
			t.uses[name]++
		}
	}
	for _, v := range m.graph.outputs {
		t.uses[v.name]++
	}
	if err := t.enter(m.graph, o.Input); err != nil {
		return nil, err
	}
	if err := t.deployed(m.graph, m.transforms()); err != nil {
		return nil, err
	}
	for i, n := range m.graph.nodes {
		if t.before[n] {
			continue
		}
		if len(n.outputs) == 0 {
			return nil, fmt.Errorf("node %d, %q (%s): it has no output", i+1, n.name, n.op)
		}
		if err := t.node(&node{nodeProto: n, opset: t.opset, batch: t.batch, files: files}); err != nil {
			if _, known := err.(failure); !known {
				err = failure{fmt.Errorf("node %d, %q (%s): %w", i+1, n.name, n.op, err)}
			}
			for _, name := range n.outputs {
				t.values[name] = &value{failed: err}
			}
		}
		for _, name := range n.outputs {
			t.producers[name] = n
		}
	}
	if err := t.leave(m.graph); err != nil {
		return nil, err
	}
	return t, nil
}

var errDomain = errors.New("the operation is none of ONNX's own: export the network in standard operations")

func (t *translator) node(n *node) error {
	if n.domain != "" && n.domain != "ai.onnx" {
		return fmt.Errorf("domain %q: %w", n.domain, errDomain)
	}
	if n.op == "Constant" {
		c, err := n.constant()
		if err == nil {
			t.constants[n.outputs[0]] = c
		}
		return err
	}
	var constants []*constant
	var values []*value
	dynamic := false
	var failed error
	known := operations[n.op] != nil || folds[n.op] != nil
	for _, name := range n.inputs {
		v, c := t.values[name], t.constants[name]
		if v == nil && c == nil && name != "" && known {
			return fmt.Errorf("input %q is computed by nothing before", name)
		}
		if v != nil && v.failed != nil && failed == nil {
			failed = v.failed
		}
		dynamic = dynamic || v != nil
		constants, values = append(constants, c), append(values, v)
	}
	if f := fusions[n.op]; f != nil && dynamic {
		v, err := f(&call{translator: t, node: n, in: values, c: constants})
		if v != nil || err != nil {
			t.values[n.outputs[0]] = v
			return err
		}
	}
	if failed != nil {
		return failed
	}
	if !known {
		return unsupported(n.op)
	}
	if len(constants) == 0 || constants[0] == nil && values[0] == nil {
		return errors.New("its first input is missing")
	}
	if n.op == "Shape" && dynamic {
		c, err := n.shapeOf(t.shape(values[0]))
		t.constants[n.outputs[0]] = c
		return err
	}
	if !dynamic {
		return t.fold(n, constants)
	}
	return t.apply(n, values, constants)
}

// shape is that of a value as the file sees it, the batch first.
func (t *translator) shape(v *value) []int { return append([]int{t.batch}, v.dims()...) }

// optional are operations whose later inputs may be left out.
var optional = []string{"Slice", "Squeeze", "Unsqueeze", "ReduceProd", "ReduceSum", "Dropout", "Reshape"}

// shared are operations that make no new values.
var shared = []string{"Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}

func (t *translator) fold(n *node, in []*constant) error {
	f := folds[n.op]
	if f == nil {
		return errors.New("the operation is not supported on constants: simplify the model, with onnxsim for example")
	}
	if slices.Contains(in, nil) && !slices.Contains(optional, n.op) {
		return errors.New("an input is missing")
	}
	c, err := f(n, in)
	if err != nil {
		return err
	}
	if !slices.Contains(shared, n.op) {
		if t.folded += c.len(); t.folded > maxFolded {
			return fmt.Errorf("operations on constants make more than %d values", maxFolded)
		}
	}
	t.constants[n.outputs[0]] = c
	return nil
}

// constant is the value of a Constant node.
func (n *node) constant() (*constant, error) {
	for _, a := range n.attributes {
		switch {
		case a.name == "value" && a.t != nil:
			return constantOf(a.t, n.files)
		case a.name == "value_float":
			return &constant{floats: []float32{a.f}}, nil
		case a.name == "value_int":
			return &constant{ints: []int64{a.i}, whole: true}, nil
		case a.name == "value_floats":
			return &constant{dims: []int{len(a.floats)}, floats: a.floats}, nil
		case a.name == "value_ints":
			return wholes(a.ints...), nil
		}
	}
	return nil, errors.New("it holds neither a tensor nor numbers")
}

// note adds one for a person, once.
func (t *translator) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if !t.opened[s] {
		t.opened[s] = true
		t.notes = append(t.notes, s)
	}
}

// emit adds a node to the topology and returns its value's number.
func (t *translator) emit(n nn.Node) int {
	t.nodes = append(t.nodes, n)
	return len(t.nodes)
}
