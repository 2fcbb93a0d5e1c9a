package nn

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
	"rampart/nn/op"
)

// cursor is the place in the graph that the next layer continues from.
type cursor struct {
	node      *gorgonia.Node
	shape     Shape // of an image
	flat      bool
	features  int   // of a flat row
	flattened Shape // the image that was flattened, until a dense layer mixes its values
}

func (c cursor) describe() string {
	if c.flat {
		return fmt.Sprintf("%d features", c.features)
	}
	return fmt.Sprintf("%v images", c.shape)
}

var errFlat = errors.New("needs images, but the layers before have flattened them")

func (b *builder) layer(c *cursor, l Layer, classes int) (err error) {
	switch l.Type {
	case "conv", "maxpool", "avgpool", "globalavgpool":
		return b.windowed(c, l)
	case "gelu", "leaky_relu", "sigmoid", "silu", "tanh":
		f, slope := l.activation()
		c.node, err = op.Activation(c.node, f, slope)
	case "groupnorm", "layernorm":
		return b.ownNorm(c, l)
	case "dense":
		return b.dense(c, l, classes)
	case "relu":
		c.node, err = op.ReLU(c.node)
	case "flatten":
		return b.flatten(c)
	case "batchnorm":
		return b.batchNorm(c, l)
	case "dropout":
		if b.mode == training {
			c.node, err = op.Dropout(c.node, float32(l.Rate), b.dropouts)
		}
		b.dropouts++
	case "residual":
		return b.residual(c, l, classes)
	}
	return err
}

func (b *builder) windowed(c *cursor, l Layer) error {
	if c.flat {
		return errFlat
	}
	w, err := l.window(c.shape)
	if err != nil {
		return err
	}
	c.shape = Shape{w.OutH(), w.OutW(), c.shape.C}
	switch l.Type {
	case "maxpool":
		c.node, err = op.MaxPool(c.node, w)
	case "avgpool", "globalavgpool":
		c.node, err = op.AvgPool(c.node, w)
	default:
		return b.conv(c, l, w)
	}
	return err
}

func (b *builder) conv(c *cursor, l Layer, w device.Window) (err error) {
	c.shape.C = l.Out
	groups := max(l.Groups, 1)
	if w.C%groups != 0 || l.Out%groups != 0 {
		return fmt.Errorf("%d channels in and %d out do not fall into %d groups", w.C, l.Out, groups)
	}
	name, init := b.name(l, "conv"), l.init()
	weight := b.param(param{name: name + ".weight", shape: []int{w.KH, w.KW, w.C / groups, l.Out}, init: init})
	var bias *gorgonia.Node
	if !l.NoBias {
		bias = b.bias(name, l.Out, w.KH*w.KW*w.C/groups, init)
	}
	if groups > 1 {
		c.node, err = op.GroupConv(c.node, weight, bias, w, groups)
	} else {
		c.node, err = op.Conv(c.node, weight, bias, w)
	}
	return err
}

func (b *builder) dense(c *cursor, l Layer, classes int) error {
	if !c.flat {
		if err := b.flatten(c); err != nil {
			return err
		}
	}
	out := l.Out
	if out == 0 {
		out = classes
	}
	name, init := b.name(l, "fc"), l.init()
	weight := b.param(param{name: name + ".weight", shape: []int{c.features, out}, init: init, flattened: c.flattened})
	bias := b.bias(name, out, c.features, init)
	c.features, c.flattened = out, Shape{}
	var err error
	c.node, err = op.Dense(c.node, weight, bias)
	return err
}

func (b *builder) bias(layer string, out, fanIn int, init Init) *gorgonia.Node {
	p := param{name: layer + ".bias", shape: []int{out}, fill: float32(init.Bias)}
	if init.Weights == "pytorch" {
		p.init, p.fanIn = init, fanIn
	}
	return b.param(p)
}

func (b *builder) flatten(c *cursor) (err error) {
	if c.flat {
		return nil
	}
	c.node, err = op.Flatten(c.node)
	c.flat, c.features, c.flattened = true, c.shape.Size(), c.shape
	return err
}

// Batch normalisation's constants are PyTorch's defaults.
const (
	batchNormEpsilon  = 1e-5
	batchNormMomentum = 0.1
)

func (b *builder) batchNorm(c *cursor, l Layer) (err error) {
	channels := c.shape.C
	if c.flat {
		if c.flattened != (Shape{}) {
			return errors.New("must come before flatten or after a dense layer")
		}
		channels = c.features
	}
	name := b.name(l, "bn")
	main, aux := b.branches(name, channels, false)
	c.node, err = b.normalise(c.node, name, main, aux, batchNormEpsilon)
	return err
}

// ownNorm normalises each example by its own statistics, by groups of channels or by positions.
func (b *builder) ownNorm(c *cursor, l Layer) (err error) {
	channels, prefix := c.shape.C, map[string]string{"groupnorm": "gn", "layernorm": "ln"}[l.Type]
	if c.flat {
		if c.flattened != (Shape{}) {
			return errors.New("must come before flatten or after a dense layer")
		}
		channels = c.features
	}
	name := b.name(l, prefix)
	gamma := b.param(param{name: name + ".weight", shape: []int{channels}, fill: 1})
	beta := b.param(param{name: name + ".bias", shape: []int{channels}})
	if l.Type == "layernorm" {
		c.node, err = op.LayerNorm(c.node, gamma, beta, batchNormEpsilon)
	} else {
		c.node, err = op.GroupNorm(c.node, gamma, beta, l.Groups, batchNormEpsilon)
	}
	return err
}

func (b *builder) residual(c *cursor, l Layer, classes int) error {
	branch := func(layers []Layer) (cursor, error) {
		at := *c
		for i, inner := range layers {
			if err := b.layer(&at, inner, classes); err != nil {
				return at, fmt.Errorf("residual, layer %d (%s): %w", i+1, inner.Type, err)
			}
		}
		return at, nil
	}
	body, err := branch(l.Body)
	if err != nil {
		return err
	}
	shortcut, err := branch(l.Shortcut)
	if err != nil {
		return err
	}
	if body.flattened != shortcut.flattened {
		// A flattened image keeps its C,H,W order in PyTorch; a dense layer's outputs have none.
		return errors.New("the block adds a flattened image to something else: put a dense layer between flatten and the block")
	}
	if body.flat != shortcut.flat || body.shape != shortcut.shape || body.features != shortcut.features {
		return fmt.Errorf("the block's branches give %s and %s: both must have one shape", body.describe(), shortcut.describe())
	}
	*c = body
	c.node, err = op.Add(body.node, shortcut.node)
	return err
}

func (l Layer) init() Init {
	if l.Init != nil {
		return *l.Init
	}
	return Init{Weights: "kaiming"}
}

func (b *builder) name(l Layer, kind string) string {
	b.counts[kind]++
	if l.Name != "" {
		return b.prefix + l.Name
	}
	return fmt.Sprintf("%s%s%d", b.prefix, kind, b.counts[kind])
}

// param declares a weight; a name that is taken already is reported by newModel.
func (b *builder) param(p param) *gorgonia.Node {
	p.held = p.held || b.held(p.name)
	n := gorgonia.NewTensor(b.g, tensor.Float32, len(p.shape), gorgonia.WithShape(p.shape...), gorgonia.WithName(p.name))
	b.params = append(b.params, p)
	b.nodes = append(b.nodes, n)
	return n
}
