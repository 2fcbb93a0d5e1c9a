package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Head is the scalar sum(logits*seed), for logits and seed of one shape [N,..]. gorgonia.Grad
// wants a scalar; this one makes the seed the gradient with respect to the logits, so that any
// loss can be applied outside of the graph. There is no gradient with respect to the seed.
func Head(logits, seed *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(head{size(logits.Shape())}, logits, seed)
}

// IsHead reports whether n is a Head.
func IsHead(n *gorgonia.Node) bool { return hasRule[head](n) }

// IsHeadGrad reports whether n is the gradient of a Head: its inputs are the seed and the
// gradient of the scalar, which is 1 where the Head is what gorgonia.Grad differentiates.
func IsHeadGrad(n *gorgonia.Node) bool { return hasRule[headGrad](n) }

type head struct{ Size int }

func (h head) kernel() device.Op { return nil }
func (h head) wrt() []bool       { return []bool{true, false} }

func (h head) infer(in []tensor.Shape) (tensor.Shape, error) {
	if _, err := elementwise("head", h.Size, in); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

func (h head) do(y []float32, in [][]float32) {
	sum := 0.0
	for i, v := range in[0] {
		sum += float64(v) * float64(in[1][i])
	}
	y[0] = float32(sum)
}

func (h head) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(headGrad(h), in[1], dy))
	g.add(nil, nil)
	return g.nodes, g.err
}

// headGrad takes the seed and the gradient of the scalar to their product.
type headGrad struct{ Size int }

func (h headGrad) kernel() device.Op { return nil }

func (h headGrad) infer(in []tensor.Shape) (tensor.Shape, error) {
	seed, dy := in[0], in[1]
	if err := match("head's gradient", "gradient", dy, "a seed", seed); err != nil {
		return nil, err
	}
	return elementwise("head's gradient", h.Size, in[:1])
}

func (h headGrad) do(dx []float32, in [][]float32) {
	for i, v := range in[0] {
		dx[i] = v * in[1][0]
	}
}
