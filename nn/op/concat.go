package op

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Concat lays the channels of a [N,..,A] and b [N,..,B] side by side: [N,..,A+B].
func Concat(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	s, t := a.Shape(), b.Shape()
	if len(s) < 2 || len(t) != len(s) || !slices.Equal(s[:len(s)-1], t[:len(t)-1]) || s.TotalSize() == 0 || t.TotalSize() == 0 {
		return nil, fmt.Errorf("concat: shapes %v and %v, want two that differ in the last axis only", s, t)
	}
	channels := s[len(s)-1]
	return apply(concat{device.Concat{Positions: size(s) / channels, A: channels, B: t[len(t)-1]}}, a, b)
}

type concat struct{ device.Concat }

func (c concat) kernel() device.Op { return c.Concat }
func (c concat) wrt() []bool       { return []bool{true, true} }

func (c concat) infer(in []tensor.Shape) (tensor.Shape, error) {
	for i, channels := range []int{c.A, c.B} {
		if s := in[i]; len(s) < 2 || s[len(s)-1] != channels || size(s) != c.Positions*channels {
			return nil, fmt.Errorf("concat: input %d has shape %v, want %d positions of %d channels", i, s, c.Positions, channels)
		}
	}
	shape := in[0].Clone()
	shape[len(shape)-1] = c.A + c.B
	return shape, nil
}

func (c concat) do(y []float32, in [][]float32) {
	width := c.A + c.B
	for p := range len(y) / width {
		copy(y[p*width:], in[0][p*c.A:(p+1)*c.A])
		copy(y[p*width+c.A:], in[1][p*c.B:(p+1)*c.B])
	}
}

func (c concat) grad(_ []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(part{device.Part{Positions: c.Positions, Channels: c.A + c.B, From: 0, Out: c.A}}, dy))
	g.add(apply(part{device.Part{Positions: c.Positions, Channels: c.A + c.B, From: c.A, Out: c.B}}, dy))
	return g.nodes, g.err
}

// part takes some of the channels: of a concatenation's gradient.
type part struct{ device.Part }

func (p part) kernel() device.Op { return p.Part }

func (p part) infer(in []tensor.Shape) (tensor.Shape, error) {
	s := in[0]
	if len(s) < 2 || s[len(s)-1] != p.Channels || size(s) != p.Positions*p.Channels || p.From+p.Out > p.Channels {
		return nil, fmt.Errorf("concat's gradient: shape %v, want %d positions of %d channels", s, p.Positions, p.Channels)
	}
	shape := s.Clone()
	shape[len(shape)-1] = p.Out
	return shape, nil
}

func (p part) do(y []float32, in [][]float32) {
	for i := range len(y) / p.Out {
		copy(y[i*p.Out:(i+1)*p.Out], in[0][i*p.Channels+p.From:])
	}
}
