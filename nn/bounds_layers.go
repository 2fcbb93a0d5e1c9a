package nn

import (
	"gorgonia.org/gorgonia"

	"rampart/nn/device"
	"rampart/nn/op"
)

func (b *boundsBuilder) windowed(in interval, l Layer) interval {
	w, err := l.window(in.shape)
	if err != nil {
		b.fail(err)
		return in
	}
	in.shape = Shape{w.OutH(), w.OutW(), in.shape.C}
	switch l.Type {
	case "maxpool": // monotone
		pool := func(x *gorgonia.Node) *gorgonia.Node {
			return b.do(func() (*gorgonia.Node, error) { return op.MaxPool(x, w) })
		}
		in.lower, in.upper = pool(in.lower), pool(in.upper)
		return in
	case "avgpool", "globalavgpool":
		pool := func(x *gorgonia.Node) (*gorgonia.Node, error) { return op.AvgPool(x, w) }
		return b.affine(in, w.KH*w.KW, pool, pool)
	}
	return b.conv(in, l, w)
}

func (b *boundsBuilder) conv(in interval, l Layer, w device.Window) interval {
	in.shape.C = l.Out
	groups := max(l.Groups, 1)
	n := w.KH * w.KW * w.C / groups
	conv := func(x, weight, bias *gorgonia.Node) (*gorgonia.Node, error) {
		if groups > 1 {
			return op.GroupConv(x, weight, bias, w, groups)
		}
		return op.Conv(x, weight, bias, w)
	}
	if l.NoBias {
		weight, _ := b.weights(1)
		return b.affine(in, n, func(x *gorgonia.Node) (*gorgonia.Node, error) {
			return conv(x, b.own(weight), nil)
		}, func(x *gorgonia.Node) (*gorgonia.Node, error) {
			least := constant(func(dst []float32) {
				for i := range dst {
					dst[i] = underflow
				}
			})
			return conv(x, b.of(weight, "|.|", absolute(weight)), b.shaped(weight, "margin", []int{l.Out}, least))
		})
	}
	weight, bias := b.weights(2)
	return b.affine(in, n, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return conv(x, b.own(weight), b.own(bias))
	}, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return conv(x, b.of(weight, "|.|", absolute(weight)), b.of(bias, "margin", margin(bias, rounding(n))))
	})
}

// monotone bounds an activation that never falls, by its values at the ends, widened by what an
// executor's evaluation can be off: a few roundings of the value.
func (b *boundsBuilder) monotone(in interval, l Layer) interval {
	f, slope := l.activation()
	apply := func(x *gorgonia.Node) *gorgonia.Node {
		return b.do(func() (*gorgonia.Node, error) { return op.Activation(x, f, slope) })
	}
	in.lower, in.upper = apply(in.lower), apply(in.upper)
	switch share := rounding(1); {
	case in.positive || f == device.Sigmoid: // so is the value
		in.lower, in.upper, in.positive = b.scale(in.lower, 1-share), b.scale(in.upper, 1+share), true
	default:
		wider := b.scale(b.largest(in), share)
		in.lower, in.upper = b.add(in.lower, b.scale(wider, -1)), b.add(in.upper, wider)
	}
	return in
}
