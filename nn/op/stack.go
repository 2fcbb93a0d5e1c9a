package op

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Stack lays the members' logits, each [N,classes], one after the other: [N,members*classes]. It
// is the head of an ensemble in joint training, whose loss looks at every member.
func Stack(members []*gorgonia.Node) (*gorgonia.Node, error) {
	if len(members) == 0 {
		return nil, errors.New("stack: no members, want at least one")
	}
	return apply(stack{device.Stack{Members: len(members), Classes: size(members[0].Shape())}}, members...)
}

type stack struct{ device.Stack }

func (s stack) kernel() device.Op { return s.Stack }
func (s stack) wrt() []bool       { return slices.Repeat([]bool{true}, s.Members) }

func (s stack) infer(in []tensor.Shape) (tensor.Shape, error) {
	shape, err := checkMembers("stack", s.Classes, in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{shape[0], s.Members * s.Classes}, nil
}

func (s stack) do(y []float32, in [][]float32) {
	width := s.Members * s.Classes
	for m, z := range in {
		for row := range len(y) / width {
			copy(y[row*width+m*s.Classes:], z[row*s.Classes:(row+1)*s.Classes])
		}
	}
}

func (s stack) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	for i := range in {
		g.add(apply(stackGrad{device.StackGrad{Members: s.Members, Classes: s.Classes, Index: i}}, dy))
	}
	return g.nodes, g.err
}

// stackGrad takes dy to the part of member Index.
type stackGrad struct{ device.StackGrad }

func (s stackGrad) kernel() device.Op { return s.StackGrad }

func (s stackGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	if len(in[0]) != 2 || in[0][1] != s.Members*s.Classes || s.Index >= s.Members {
		return nil, fmt.Errorf("stack's gradient: shape %v, want (N, %d*%d)", in[0], s.Members, s.Classes)
	}
	return tensor.Shape{in[0][0], s.Classes}, nil
}

func (s stackGrad) do(dx []float32, in [][]float32) {
	width := s.Members * s.Classes
	for row := range len(dx) / s.Classes {
		copy(dx[row*s.Classes:(row+1)*s.Classes], in[0][row*width+s.Index*s.Classes:])
	}
}
