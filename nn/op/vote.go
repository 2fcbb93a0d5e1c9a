package op

import (
	"errors"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Vote is log((votes + mean of the members' softmaxes) / (members + 1)): the logits of an ensemble
// that votes, each member for its largest logit (the first of equals). A vote outweighs any
// difference of means, which decide between equal counts alone. The count has no gradient: that of
// LogMeanSoftmax stands in for it, as in BPDA (Athalye et al. 2018, section 4.1.1).
func Vote(members []*gorgonia.Node) (*gorgonia.Node, error) {
	if len(members) == 0 {
		return nil, errors.New("vote: no members, want at least one")
	}
	return apply(vote{device.Vote{Members: len(members), Classes: size(members[0].Shape())}}, members...)
}

type vote struct{ device.Vote }

func (v vote) kernel() device.Op { return v.Vote }
func (v vote) wrt() []bool       { return slices.Repeat([]bool{true}, v.Members) }

func (v vote) infer(in []tensor.Shape) (tensor.Shape, error) {
	return checkMembers("vote", v.Classes, in)
}

func (v vote) do(y []float32, in [][]float32) {
	for row := range len(y) / v.Classes {
		_, sum := logSums(in, row, v.Classes)
		score := y[row*v.Classes : (row+1)*v.Classes]
		for c, s := range sum {
			score[c] = float32(math.Exp(s) / float64(v.Members))
		}
		for _, m := range in {
			score[device.Argmax(m[row*v.Classes:(row+1)*v.Classes])]++
		}
		for c, s := range score {
			// Log of a share, kept finite where no member knows of the class.
			score[c] = float32(math.Log(max(float64(s), device.VoteFloor) / float64(v.Members+1)))
		}
	}
}

func (v vote) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	return logMeanSoftmax{device.LogMeanSoftmax(v.Vote)}.grad(in, nil, dy)
}
