// Package op is the closed set of operations of which models are built: nodes of a gorgonia
// expression graph. gorgonia.Grad differentiates such a graph; package nn lowers each node to
// the device kernel that Op.Kernel names, with the node's inputs in the kernel's order; and
// gorgonia's own machines can run it, through Do.
//
// Do is the reference that the fast kernels are compared with: plain loops that accumulate in
// float64. Every value is a float32 tensor with the batch first: images [N,H,W,C], flat [N,F].
// Convolutions have weights [KH,KW,C,Out] and dense layers [In,Out].
//
// gorgonia takes input nodes of equal name, type and shape for the same node, so the inputs of a
// graph need different names.
package op

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Op is what every node of a model's graph implements besides gorgonia's own fan-out sum (see
// IsSum).
type Op interface {
	gorgonia.SDOp
	// Kernel is the kernel that the op lowers to: nil for a view (see IsView), Head and HeadGrad.
	Kernel() device.Op
}

// rule is what distinguishes one op from another; operation makes a gorgonia op of it.
type rule interface {
	kernel() device.Op
	// infer checks the shapes of the inputs and gives that of the result.
	infer(in []tensor.Shape) (tensor.Shape, error)
	// do computes the result into out, which is zero, from inputs that infer has accepted.
	do(out []float32, in [][]float32)
}

// differentiable is a rule with a gradient.
type differentiable interface {
	rule
	// grad gives the gradient with respect to each input, nil where there is none, from the
	// inputs, the result and the gradient with respect to the result.
	grad(in []*gorgonia.Node, out, dy *gorgonia.Node) ([]*gorgonia.Node, error)
	// wrt says which inputs have a gradient.
	wrt() []bool
}

// operation is a rule as a gorgonia op.
type operation struct {
	rule
	arity int
	rank  int // of the result
}

// apply adds the node that applies r to the inputs. All nodes must be of one graph.
func apply(r rule, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	o, err := newOperation(r, in)
	if err != nil {
		return nil, err
	}
	return gorgonia.ApplyOp(o, in...)
}

func newOperation(r rule, in []*gorgonia.Node) (operation, error) {
	shapes := make([]tensor.Shape, len(in))
	for i, n := range in {
		if n.Dtype() != tensor.Float32 {
			return operation{}, fmt.Errorf("%T: input %d (%q) holds %v, want float32", r, i, n.Name(), n.Dtype())
		}
		shapes[i] = n.Shape()
	}
	shape, err := r.infer(shapes)
	if err != nil {
		return operation{}, err
	}
	return operation{r, len(in), len(shape)}, nil
}

func (o operation) Kernel() device.Op    { return o.kernel() }
func (o operation) Arity() int           { return o.arity }
func (o operation) ReturnsPtr() bool     { return true }
func (o operation) CallsExtern() bool    { return false }
func (o operation) OverwritesInput() int { return -1 }

// Type leaves the types of the inputs open: infer checks ranks, with better messages.
func (o operation) Type() hm.Type {
	types := make([]hm.Type, o.arity, o.arity+1)
	for i := range types {
		types[i] = hm.TypeVariable('c' + rune(i)) // gorgonia itself uses 'a' and 'b'
	}
	if o.rank == 0 {
		return hm.NewFnType(append(types, tensor.Float32)...)
	}
	return hm.NewFnType(append(types, gorgonia.TensorType{Dims: o.rank, Of: tensor.Float32})...)
}

func (o operation) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	shapes, err := gorgonia.DimSizersToShapes(in)
	if err != nil {
		return nil, err
	}
	return o.infer(shapes)
}

func (o operation) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	if len(values) != o.arity {
		return nil, fmt.Errorf("%v: got %d inputs, want %d", o, len(values), o.arity)
	}
	shapes := make([]tensor.Shape, len(values))
	in := make([][]float32, len(values))
	for i, v := range values {
		var err error
		if in[i], err = floats(v); err != nil {
			return nil, fmt.Errorf("%v: input %d: %w", o, i, err)
		}
		shapes[i] = v.Shape()
	}
	shape, err := o.infer(shapes)
	if err != nil {
		return nil, err
	}
	out := make([]float32, shape.TotalSize())
	o.do(out, in)
	if shape.IsScalar() {
		return gorgonia.NewF32(out[0]), nil
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(out)), nil
}

// floats gives the memory of a value, or a copy where it is a scalar.
func floats(v gorgonia.Value) ([]float32, error) {
	if d, ok := v.(*tensor.Dense); ok && d.RequiresIterator() {
		return nil, fmt.Errorf("tensor of shape %v is not contiguous; copy it first", d.Shape())
	}
	switch data := v.Data().(type) {
	case []float32:
		return data, nil
	case float32:
		return []float32{data}, nil
	}
	return nil, fmt.Errorf("%T holds %v, want float32", v, v.Dtype())
}

func (o operation) DiffWRT(inputs int) []bool {
	if d, ok := o.rule.(differentiable); ok {
		return d.wrt()
	}
	return make([]bool, inputs)
}

func (o operation) SymDiff(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	d, ok := o.rule.(differentiable)
	if !ok {
		return nil, fmt.Errorf("%v has no gradient", o)
	}
	return d.grad(in, out, dy)
}

// String names the op with all of its attributes: the kernel holds them where there is one.
func (o operation) String() string {
	if k := o.kernel(); k != nil {
		return fmt.Sprintf("%#v", k)
	}
	return fmt.Sprintf("%#v", o.rule)
}

// WriteHash covers the kind of the op and every attribute: gorgonia merges nodes of equal hash.
func (o operation) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%T %v", o.rule, o) }

func (o operation) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// gradients collects nodes that are made one after the other, and the first error.
type gradients struct {
	nodes []*gorgonia.Node
	err   error
}

func (g *gradients) add(n *gorgonia.Node, err error) {
	g.nodes = append(g.nodes, n)
	if g.err == nil {
		g.err = err
	}
}

// match reports an input of a wrong shape; ref is the shape that asks for want.
func match(op, what string, got tensor.Shape, of string, ref tensor.Shape, want ...int) error {
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%s: %s has shape %v, want %v to fit %s of shape %v",
		op, what, got, tensor.Shape(want), of, ref)
}

// example checks that x has a batch dimension and then the given ones.
func example(op, what string, x tensor.Shape, want ...int) error {
	if len(x) == 0 || !slices.Equal(x[1:], want) {
		return fmt.Errorf("%s: %s has shape %v, want (N, %s", op, what, x, fmt.Sprint(tensor.Shape(want))[1:])
	}
	return nil
}

// round stores sums that were taken in float64.
func round(dst []float32, src []float64) {
	for i, v := range src {
		dst[i] = float32(v)
	}
}
