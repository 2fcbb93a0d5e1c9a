package op

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// LogMeanSoftmax is log(mean over members of softmax(logits)): the logits of an ensemble that
// averages its members' probabilities. Each member is [N,classes].
func LogMeanSoftmax(members []*gorgonia.Node) (*gorgonia.Node, error) {
	if len(members) == 0 {
		return nil, errors.New("log-mean-softmax: no members, want at least one")
	}
	k := device.LogMeanSoftmax{Members: len(members), Classes: size(members[0].Shape())}
	return apply(logMeanSoftmax{k}, members...)
}

type logMeanSoftmax struct{ device.LogMeanSoftmax }

func (l logMeanSoftmax) kernel() device.Op { return l.LogMeanSoftmax }
func (l logMeanSoftmax) wrt() []bool       { return slices.Repeat([]bool{true}, l.Members) }

func (l logMeanSoftmax) infer(in []tensor.Shape) (tensor.Shape, error) {
	return checkMembers("log-mean-softmax", l.Classes, in)
}

func checkMembers(op string, classes int, in []tensor.Shape) (tensor.Shape, error) {
	if len(in[0]) != 2 || in[0][1] != classes || classes < 1 {
		return nil, fmt.Errorf("%s: logits have shape %v, want (N, classes)", op, in[0])
	}
	for i, s := range in[1:] {
		if err := match(op, fmt.Sprintf("input %d", i+1), s, "input 0", in[0], in[0]...); err != nil {
			return nil, err
		}
	}
	return in[0].Clone(), nil
}

// logSoftmax of one row.
func logSoftmax(logits []float32) []float64 {
	y := make([]float64, len(logits))
	for i, v := range logits {
		y[i] = float64(v)
	}
	norm := logSumExp(y)
	for i := range y {
		y[i] -= norm
	}
	return y
}

// logSumExp is log(sum(exp(v))), without overflow.
func logSumExp(v []float64) float64 {
	top, sum := slices.Max(v), 0.0
	for _, v := range v {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

// logSums gives, for one row, each member's log-softmax and the log of the sum of softmaxes.
func logSums(members [][]float32, row, classes int) (each [][]float64, sum []float64) {
	for _, m := range members {
		each = append(each, logSoftmax(m[row*classes:(row+1)*classes]))
	}
	sum = make([]float64, classes)
	column := make([]float64, len(members))
	for c := range sum {
		for i := range each {
			column[i] = each[i][c]
		}
		sum[c] = logSumExp(column)
	}
	return each, sum
}

func (l logMeanSoftmax) do(y []float32, in [][]float32) {
	for row := range len(y) / l.Classes {
		_, sum := logSums(in, row, l.Classes)
		for c, v := range sum {
			y[row*l.Classes+c] = float32(v - math.Log(float64(l.Members)))
		}
	}
}

func (l logMeanSoftmax) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	inputs := append(slices.Clone(in), dy)
	for i := range in {
		k := device.LogMeanSoftmaxGrad{Members: l.Members, Classes: l.Classes, Index: i}
		g.add(apply(logMeanSoftmaxGrad{k}, inputs...))
	}
	return g.nodes, g.err
}

// logMeanSoftmaxGrad takes the logits of all members and dy to the gradient for member Index.
type logMeanSoftmaxGrad struct{ device.LogMeanSoftmaxGrad }

func (l logMeanSoftmaxGrad) kernel() device.Op { return l.LogMeanSoftmaxGrad }

func (l logMeanSoftmaxGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	return checkMembers("log-mean-softmax's gradient", l.Classes, in)
}

// do: with the member's probabilities p and its share r = p / (sum of all members' p) of each
// class, dlogits = r*dy - p*sum(r*dy).
func (l logMeanSoftmaxGrad) do(dx []float32, in [][]float32) {
	members, dy := in[:l.Members], in[l.Members]
	for row := range len(dx) / l.Classes {
		each, sum := logSums(members, row, l.Classes)
		mine, total := each[l.Index], 0.0
		shared := make([]float64, l.Classes)
		for c := range shared {
			shared[c] = math.Exp(mine[c]-sum[c]) * float64(dy[row*l.Classes+c])
			total += shared[c]
		}
		for c := range shared {
			dx[row*l.Classes+c] = float32(shared[c] - math.Exp(mine[c])*total)
		}
	}
}
