package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// BatchNormSplit is BatchNormTrain with a branch for the adversarial rows of x, the first of the batch, and
// one for the clean rows (Xie et al. 2020, section 4.1): each normalises its rows by their own mean and
// variance, has its own gamma and beta, and moves its own running statistics. A branch is gamma, beta, mean
// and variance. How many rows are adversarial is set between runs: a node's op implements Splitting.
func BatchNormSplit(x *gorgonia.Node, adversarial, clean [4]*gorgonia.Node, eps, momentum float32) (*gorgonia.Node, error) {
	positions, channels, err := channelsOf(x.Shape(), eps)
	if err != nil {
		return nil, err
	}
	if !(momentum >= 0 && momentum <= 1) {
		return nil, fmt.Errorf("%s: momentum is %v, want 0 to 1 (input of shape %v)", batchNormName, momentum, x.Shape())
	}
	k := device.BatchNormSplit{Positions: positions, Channels: channels, Epsilon: eps, Momentum: momentum}
	r := batchNormSplit{k, new(int)}
	in := append(append([]*gorgonia.Node{x}, adversarial[:]...), clean[:]...)
	o, err := newOperation(r, in)
	if err != nil {
		return nil, err
	}
	return gorgonia.ApplyOp(splittingOperation{o, r.split}, in...)
}

// Splitting is an op whose Do depends on how many of a batch's rows, the first, are adversarial. Its
// gradients follow.
type Splitting interface {
	Op
	SetAdversarial(rows int)
}

type splittingOperation struct {
	operation
	split *int
}

func (o splittingOperation) SetAdversarial(rows int) { *o.split = rows }

// batchNormSplit shares the number of adversarial rows, no attribute of the node, with its gradients.
type batchNormSplit struct {
	device.BatchNormSplit
	split *int
}

func (b batchNormSplit) kernel() device.Op { return b.BatchNormSplit }

func (b batchNormSplit) wrt() []bool {
	return []bool{true, true, true, false, false, true, true, false, false}
}

func (b batchNormSplit) infer(in []tensor.Shape) (tensor.Shape, error) {
	for branch := range 2 {
		if err := checkChannels(in[0], b.Positions, b.Channels, batchNormInputs, in[1+4*branch:][:4]...); err != nil {
			return nil, err
		}
	}
	return in[0].Clone(), nil
}

// rowsOf is a branch's share of values in rows.
func rowsOf[T any](v []T, split, row, branch int) []T {
	at := min(split*row, len(v))
	if branch == 0 {
		return v[:at]
	}
	return v[at:]
}

func (b batchNormSplit) do(y []float32, in [][]float32) {
	one := batchNormTrain{device.BatchNormTrain(b.BatchNormSplit)}
	for branch := range 2 {
		x := rowsOf(in[0], *b.split, b.Positions*b.Channels, branch)
		if len(x) > 0 {
			one.do(rowsOf(y, *b.split, b.Positions*b.Channels, branch), append([][]float32{x}, in[1+4*branch:][:4]...))
		}
	}
}

func (b batchNormSplit) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	shape := device.BatchNormSplitInputGrad{Positions: b.Positions, Channels: b.Channels, Epsilon: b.Epsilon}
	var g gradients
	g.add(apply(batchNormSplitInputGrad{shape, b.split}, in[0], in[1], in[5], dy))
	for _, clean := range []bool{false, true} {
		g.add(apply(batchNormSplitGammaGrad{device.BatchNormSplitGammaGrad{Positions: b.Positions, Channels: b.Channels, Epsilon: b.Epsilon, Clean: clean}, b.split}, in[0], dy))
		g.add(apply(batchNormSplitBetaGrad{device.BatchNormSplitBetaGrad{Positions: b.Positions, Channels: b.Channels, Clean: clean}, b.split}, dy))
		g.add(nil, nil)
		g.add(nil, nil)
	}
	return g.nodes, g.err
}

// batchNormSplitInputGrad takes x, both gammas and dy to dx. Its kernel wants the statistics, too.
type batchNormSplitInputGrad struct {
	device.BatchNormSplitInputGrad
	split *int
}

func (b batchNormSplitInputGrad) kernel() device.Op { return b.BatchNormSplitInputGrad }

func (b batchNormSplitInputGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	x, dy := in[0], in[3]
	if err := checkChannels(x, b.Positions, b.Channels, []string{"gamma", "gamma"}, in[1], in[2]); err != nil {
		return nil, err
	}
	if err := match(batchNormName, "gradient", dy, "an input", x, x...); err != nil {
		return nil, err
	}
	return x.Clone(), nil
}

func (b batchNormSplitInputGrad) do(dx []float32, in [][]float32) {
	one, row := batchNormTrainInputGrad{device.BatchNormTrainInputGrad(b.BatchNormSplitInputGrad)}, b.Positions*b.Channels
	for branch := range 2 {
		if x := rowsOf(in[0], *b.split, row, branch); len(x) > 0 {
			one.do(rowsOf(dx, *b.split, row, branch), [][]float32{x, in[1+branch], rowsOf(in[3], *b.split, row, branch)})
		}
	}
}

// batchNormSplitGammaGrad takes x and dy to the dgamma of a branch. Its kernel, too, wants the statistics.
type batchNormSplitGammaGrad struct {
	device.BatchNormSplitGammaGrad
	split *int
}

func (b batchNormSplitGammaGrad) kernel() device.Op { return b.BatchNormSplitGammaGrad }

func (b batchNormSplitGammaGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return batchNormTrainGammaGrad{device.BatchNormTrainGammaGrad{Positions: b.Positions, Channels: b.Channels, Epsilon: b.Epsilon}}.infer(in)
}

func (b batchNormSplitGammaGrad) do(dgamma []float32, in [][]float32) {
	one := batchNormTrainGammaGrad{device.BatchNormTrainGammaGrad{Positions: b.Positions, Channels: b.Channels, Epsilon: b.Epsilon}}
	row, branch := b.Positions*b.Channels, device.Branch(b.Clean)
	if x := rowsOf(in[0], *b.split, row, branch); len(x) > 0 {
		one.do(dgamma, [][]float32{x, rowsOf(in[1], *b.split, row, branch)})
	}
}

// batchNormSplitBetaGrad sums dy over the rows of a branch.
type batchNormSplitBetaGrad struct {
	device.BatchNormSplitBetaGrad
	split *int
}

func (b batchNormSplitBetaGrad) kernel() device.Op { return b.BatchNormSplitBetaGrad }

func (b batchNormSplitBetaGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkChannels(in[0], b.Positions, b.Channels, nil); err != nil {
		return nil, err
	}
	return tensor.Shape{b.Channels}, nil
}

func (b batchNormSplitBetaGrad) do(dbeta []float32, in [][]float32) {
	sums := make([]float64, b.Channels)
	for i, v := range rowsOf(in[0], *b.split, b.Positions*b.Channels, device.Branch(b.Clean)) {
		sums[i%b.Channels] += float64(v)
	}
	round(dbeta, sums)
}
