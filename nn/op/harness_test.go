package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// input is an input node of a test's graph. Its values lie on a grid of 1/256, so that adding a
// step of finite differences is exact.
type input struct {
	name   string
	shape  []int
	values []float32
	fixed  bool // has no gradient
}

// random values in [-2,2), but none nearer to 0 than 1/4, where ReLU has its kink.
func random(name string, seed uint64, shape ...int) input {
	r := rand.New(rand.NewPCG(seed, 7))
	values := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range values {
		values[i] = float32(64+r.IntN(448)) / 256
		if r.IntN(2) == 0 {
			values[i] = -values[i]
		}
	}
	return input{name: name, shape: shape, values: values}
}

// spread is a shuffle of values that are at least 1/4 apart, so that no step changes a maximum.
func spread(name string, seed uint64, shape ...int) input {
	in := random(name, seed, shape...)
	for i, p := range rand.New(rand.NewPCG(seed, 8)).Perm(len(in.values)) {
		in.values[i] = float32(p-len(in.values)/2) / 4
	}
	return in
}

// given values.
func given(name string, shape []int, values ...float32) input {
	return input{name: name, shape: shape, values: values}
}

// positive makes the values positive; fixed says that there is no gradient.
func (in input) positive() input {
	for i, v := range in.values {
		in.values[i] = float32(math.Abs(float64(v)))
	}
	return in
}

func (in input) withoutGrad() input { in.fixed = true; return in }

func (in input) tensor() *tensor.Dense {
	return tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(slices.Clone(in.values)))
}

func (in input) node(g *gorgonia.ExprGraph) *gorgonia.Node {
	return gorgonia.NewTensor(g, tensor.Float32, len(in.shape), gorgonia.WithShape(in.shape...),
		gorgonia.WithName(in.name), gorgonia.WithValue(in.tensor()))
}

type builder func(in []*gorgonia.Node) (*gorgonia.Node, error)

// built is a graph with a head on top, differentiated.
type built struct {
	g                 *gorgonia.ExprGraph
	in                []*gorgonia.Node
	out, seed, scalar *gorgonia.Node
	grads             map[*gorgonia.Node]*gorgonia.Node // by input
}

func build(t *testing.T, inputs []input, f builder) *built {
	t.Helper()
	b := &built{g: gorgonia.NewGraph(), grads: map[*gorgonia.Node]*gorgonia.Node{}}
	var wrt []*gorgonia.Node
	for _, in := range inputs {
		n := in.node(b.g)
		b.in = append(b.in, n)
		if !in.fixed {
			wrt = append(wrt, n)
		}
	}
	var err error
	if b.out, err = f(b.in); err != nil {
		t.Fatal(err)
	}
	b.seed = random("seed", 99, b.out.Shape()...).node(b.g)
	if b.scalar, err = Head(b.out, b.seed); err != nil {
		t.Fatal(err)
	}
	grads, err := gorgonia.Grad(b.scalar, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range wrt {
		b.grads[n] = grads[i]
	}
	return b
}

// run runs the graph on gorgonia's own machine.
func (b *built) run(t *testing.T) {
	t.Helper()
	m := gorgonia.NewTapeMachine(b.g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
}

// forward evaluates a node by Do alone, without gorgonia's machine.
func forward(t *testing.T, g *gorgonia.ExprGraph, n *gorgonia.Node) gorgonia.Value {
	t.Helper()
	return evaluate(t, g, n, map[*gorgonia.Node]gorgonia.Value{})
}

func evaluate(t *testing.T, g *gorgonia.ExprGraph, n *gorgonia.Node, known map[*gorgonia.Node]gorgonia.Value) gorgonia.Value {
	t.Helper()
	if n.IsVar() {
		return n.Value()
	}
	if v, ok := known[n]; ok {
		return v
	}
	var in []gorgonia.Value
	for _, child := range Inputs(g, n) {
		in = append(in, evaluate(t, g, child, known))
	}
	v, err := n.Op().Do(in...)
	if err != nil {
		t.Fatal(err)
	}
	known[n] = v
	return v
}

// loss is sum(out*seed), in float64.
func (b *built) loss(t *testing.T) float64 {
	t.Helper()
	y, seed, sum := values(t, forward(t, b.g, b.out)), values(t, b.seed.Value()), 0.0
	for i := range y {
		sum += float64(y[i]) * float64(seed[i])
	}
	return sum
}

func values(t *testing.T, v gorgonia.Value) []float32 {
	t.Helper()
	data, err := floats(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// derivative of the loss with respect to *v, by five points: with steps of h the error of the
// method is h^4/30 times the fifth derivative, and rounding adds about 1e-6/h.
func (b *built) derivative(t *testing.T, v *float32, h float32) float64 {
	t.Helper()
	at := *v
	defer func() { *v = at }()
	f := func(d float32) float64 { *v = at + d; return b.loss(t) }
	return (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * float64(h))
}

// checkGradients compares all gradients that gorgonia's machine computes with finite differences.
func (b *built) checkGradients(t *testing.T, h float32, tolerance float64) {
	t.Helper()
	want := b.loss(t)
	b.run(t)
	if got := float64(values(t, b.scalar.Value())[0]); math.Abs(got-want) > 1e-4*(1+math.Abs(want)) {
		t.Errorf("gorgonia's machine computes %v, Do alone %v", got, want)
	}
	for _, n := range b.in {
		grad, ok := b.grads[n]
		if !ok {
			continue
		}
		got, x := values(t, grad.Value()), values(t, n.Value())
		if !slices.Equal(grad.Shape(), n.Shape()) || len(got) != len(x) {
			t.Errorf("gradient of %s has shape %v, want %v", n.Name(), grad.Shape(), n.Shape())
			continue
		}
		got = slices.Clone(got)
		for i := range x {
			want := b.derivative(t, &x[i], h)
			if math.Abs(float64(got[i])-want) > tolerance*(1+math.Abs(want)) {
				t.Errorf("gradient of %s[%d] is %v, by finite differences %v", n.Name(), i, got[i], want)
			}
		}
	}
}

// gradientOps lists the nodes that Grad made, each as "Kernel(inputs)", sorted.
func (b *built) gradientOps() []string {
	names := map[*gorgonia.Node]string{b.out: "y", b.seed: "seed"}
	for _, n := range b.in {
		names[n] = n.Name()
	}
	var ops []string
	for _, n := range b.g.AllNodes() {
		if IsHeadGrad(n) {
			names[n] = "dy"
		}
	}
	for _, n := range b.g.AllNodes() {
		o, ok := n.Op().(Op)
		if !ok || o.Kernel() == nil || n == b.out {
			continue
		}
		var in []string
		for _, child := range Inputs(b.g, n) {
			in = append(in, names[child])
		}
		kind := strings.TrimPrefix(fmt.Sprintf("%T", o.Kernel()), "device.")
		ops = append(ops, fmt.Sprintf("%s(%s)", kind, strings.Join(in, ",")))
	}
	slices.Sort(ops)
	return ops
}
