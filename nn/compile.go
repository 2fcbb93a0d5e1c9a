package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"rampart/nn/device"
	"rampart/nn/op"
)

// compiler lowers the part of a graph that some outputs need to a program.
type compiler struct {
	*graph
	program *device.Program
	trains  bool          // computes gradients of parameters
	buffers map[int64]int // by node
	// pools and norms find the second output of a forward kernel for its gradient's kernel.
	pools map[poolKey]int
	norms map[int]int // by the input's buffer
	err   error
}

type poolKey struct {
	x      int
	window device.Window
}

// compile walks back from the outputs and keeps what they need: gorgonia removes no dead code, and
// an attack never computes the gradient of a weight.
func (g *graph) compile(name string, rows int, inputGrad, paramGrads bool) (*device.Program, error) {
	c := &compiler{graph: g, trains: paramGrads, buffers: map[int64]int{}, pools: map[poolKey]int{}, norms: map[int]int{},
		program: &device.Program{Name: name, Rows: rows, X: -1, Logits: -1, Seed: -1, Value: -1, InputGrad: -1}}
	c.program.X = c.visit(g.x)
	c.program.Logits = c.visit(g.logits)
	if inputGrad {
		c.program.InputGrad = c.visit(g.dx)
	}
	if paramGrads {
		for i, n := range g.grads {
			if n != nil {
				c.output(n, i)
			}
		}
	}
	if c.err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, c.err)
	}
	c.poolBeforeReLU()
	fuseReLU(c.program)
	if normalisesBatch(c.program) {
		// The whole batch waits at every layer as it is. Elsewhere a tile goes through all layers in one.
		hoist(c.program)
	}
	return c.program, nil
}

func (c *compiler) buffer(b device.Buffer) int {
	c.program.Buffers = append(c.program.Buffers, b)
	return len(c.program.Buffers) - 1
}

// output makes the instruction that computes a parameter's gradient write where the optimiser looks.
func (c *compiler) output(n *gorgonia.Node, param int) {
	b := c.visit(n)
	if c.err != nil {
		return
	}
	grad := device.Buffer{Kind: device.ParamGrad, Size: c.program.Buffers[b].Size, Param: param}
	if c.program.Buffers[b].Kind != device.ParamGrad {
		c.program.Buffers[b] = grad
		return
	}
	// gorgonia merges equal nodes, so parameters may share a gradient, as the biases of a block's two
	// branches do: each gets its own copy by the same instruction.
	same := c.program.Instrs[producers(c.program)[b]]
	c.emit(same.Op, same.In, c.buffer(grad))
}

// visit returns the buffer that holds a node's value, after emitting what computes it.
func (c *compiler) visit(n *gorgonia.Node) int {
	if c.err != nil {
		return -1
	}
	if b, ok := c.buffers[n.ID()]; ok {
		return b
	}
	b := c.lower(n)
	c.buffers[n.ID()] = b
	return b
}

func (c *compiler) lower(n *gorgonia.Node) int {
	switch {
	case n == c.x:
		return c.buffer(device.Buffer{Size: n.Shape().TotalSize() / graphRows})
	case n == c.seed:
		return c.loss(n)
	case n.Op() == nil:
		if i := slices.Index(c.nodes, n); i >= 0 {
			return c.buffer(device.Buffer{Kind: device.Param, Size: n.Shape().TotalSize(), Param: i})
		}
		c.err = fmt.Errorf("node %v is neither computed nor an input", n)
		return -1
	}
	children := op.Inputs(n.Graph(), n)
	if op.IsSum(n) {
		a, b := c.visit(children[0]), c.visit(children[1])
		size := n.Shape().TotalSize() / graphRows
		return c.emit(device.Add{Size: size}, []int{a, b}, c.row(size))
	}
	o, ok := n.Op().(op.Op)
	if !ok {
		c.err = fmt.Errorf("no kernel for gorgonia's op %v", n.Op())
		return -1
	}
	kernel := o.Kernel()
	if kernel == nil { // a view of its first input
		return c.visit(children[0])
	}
	return c.kernel(n, kernel, children)
}

// loss emits the kernel that turns logits into the seed of the backward pass.
func (c *compiler) loss(n *gorgonia.Node) int {
	classes := n.Shape()[1]
	logits := c.visit(c.logits)
	c.program.Seed, c.program.Value = c.row(classes), c.row(1)
	c.program.Instrs = append(c.program.Instrs, device.Instr{Op: device.ApplyLoss{Classes: classes, Batch: c.trains},
		In: []int{logits}, Out: []int{c.program.Seed, c.program.Value}})
	return c.program.Seed
}

func (c *compiler) kernel(n *gorgonia.Node, kernel device.Op, children []*gorgonia.Node) int {
	var in []int
	visit := func(nodes ...*gorgonia.Node) {
		for _, child := range nodes {
			in = append(in, c.visit(child))
		}
	}
	size := n.Shape().TotalSize()
	switch k := kernel.(type) {
	case device.MaxPool:
		visit(children...)
		y, index := c.row(size/graphRows), c.row((size/graphRows+3)/4)
		c.pools[poolKey{in[0], k.Window}] = index
		return c.emit(k, in, y, index)
	case device.MaxPoolGrad: // (x, dy) in the graph, (index, dy) for the kernel
		index, ok := c.pools[poolKey{c.visit(children[0]), k.Window}]
		if !ok && c.err == nil {
			c.err = fmt.Errorf("no max pooling belongs to gradient %v", n)
			return -1
		}
		in = []int{index}
		visit(children[1])
		return c.emit(k, in, c.row(size/graphRows))
	case device.BatchNormTrain:
		visit(children...)
		y, stats := c.row(size/graphRows), c.buffer(device.Buffer{Kind: device.Whole, Size: 2 * k.Channels})
		if c.err == nil {
			c.norms[in[0]] = stats
		}
		return c.emit(k, in, y, stats)
	case device.BatchNormSplit:
		visit(children...)
		y, stats := c.row(size/graphRows), c.buffer(device.Buffer{Kind: device.Whole, Size: 4 * k.Channels})
		if c.err == nil {
			c.norms[in[0]] = stats
		}
		return c.emit(k, in, y, stats)
	case device.BatchNormTrainInputGrad, device.BatchNormTrainGammaGrad,
		device.BatchNormSplitInputGrad, device.BatchNormSplitGammaGrad:
		visit(children...)
		if c.err != nil {
			return -1
		}
		in = append(in, c.norms[in[0]])
	default:
		visit(children...)
	}
	if perParameter(kernel) {
		return c.emit(kernel, in, c.buffer(device.Buffer{Kind: device.Whole, Size: size}))
	}
	return c.emit(kernel, in, c.row(size/graphRows))
}

// perParameter reports whether a kernel's result has no rows.
func perParameter(o device.Op) bool {
	switch o.(type) {
	case device.ConvWeightGrad, device.GroupConvWeightGrad, device.DenseWeightGrad, device.BiasGrad,
		device.BatchNormGammaGrad, device.BatchNormTrainGammaGrad, device.GroupNormGammaGrad,
		device.BatchNormSplitGammaGrad, device.BatchNormSplitBetaGrad:
		return true
	}
	return false
}

func (c *compiler) row(size int) int { return c.buffer(device.Buffer{Size: size}) }

func (c *compiler) emit(o device.Op, in []int, out ...int) int {
	if c.err == nil {
		c.program.Instrs = append(c.program.Instrs, device.Instr{Op: o, In: in, Out: out})
	}
	return out[0]
}

// uses counts how many instructions read each buffer, outputs of the program included.
func uses(p *device.Program) []int {
	uses := make([]int, len(p.Buffers))
	for _, in := range p.Instrs {
		for _, b := range in.In {
			uses[b]++
		}
	}
	for _, b := range []int{p.Logits, p.InputGrad} {
		if b >= 0 {
			uses[b]++
		}
	}
	return uses
}

// producers returns the instruction that writes each buffer, -1 for inputs.
func producers(p *device.Program) []int {
	list := make([]int, len(p.Buffers))
	for i := range list {
		list[i] = -1
	}
	for i, in := range p.Instrs {
		for _, b := range in.Out {
			list[b] = i
		}
	}
	return list
}

// poolBeforeReLU moves the gradient of a ReLU below the pooling that follows it: the largest
// value of a window is positive exactly where its pooled value is, so
// ReLUGrad(y, MaxPoolGrad(index, d)) = MaxPoolGrad(index, ReLUGrad(pooled, d)), on a quarter of
// the values, and y is dead after the forward pass.
func (c *compiler) poolBeforeReLU() {
	used, produced := uses(c.program), producers(c.program)
	for i, in := range c.program.Instrs {
		relu, ok := in.Op.(device.ReLUGrad)
		if !ok || produced[in.In[1]] < 0 {
			continue
		}
		j := produced[in.In[1]]
		grad, ok := c.program.Instrs[j].Op.(device.MaxPoolGrad)
		if !ok || used[in.In[1]] != 1 {
			continue
		}
		forward := c.program.Instrs[produced[c.program.Instrs[j].In[0]]]
		if forward.In[0] != in.In[0] { // the pooling of another value
			continue
		}
		size := grad.OutH() * grad.OutW() * grad.C
		relu.Size = size
		small := c.row(size)
		c.program.Instrs[j].Op, c.program.Instrs[j].In, c.program.Instrs[j].Out, c.program.Instrs[i] = relu,
			[]int{forward.Out[0], c.program.Instrs[j].In[1]}, []int{small},
			device.Instr{Op: grad, In: []int{c.program.Instrs[j].In[0], small}, Out: in.Out}
		used, produced = uses(c.program), producers(c.program)
	}
}

// fuseReLU lets a convolution or a dense layer apply the ReLU that alone reads its result.
func fuseReLU(p *device.Program) {
	uses, producers := uses(p), producers(p)
	kept := p.Instrs[:0:0]
	index := make([]int, len(p.Instrs))
	for i, in := range p.Instrs {
		if _, ok := in.Op.(device.ReLU); ok && uses[in.In[0]] == 1 && producers[in.In[0]] >= 0 {
			before := &kept[index[producers[in.In[0]]]]
			switch k := before.Op.(type) {
			case device.Conv:
				k.ReLU = true
				before.Op, before.Out = k, in.Out
				index[i] = index[producers[in.In[0]]]
				continue
			case device.Dense:
				k.ReLU = true
				before.Op, before.Out = k, in.Out
				index[i] = index[producers[in.In[0]]]
				continue
			}
		}
		index[i] = len(kept)
		kept = append(kept, in)
	}
	p.Instrs = kept
}
