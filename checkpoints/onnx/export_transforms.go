package onnx

import (
	"fmt"

	"rampart/defenses/transform"
	"rampart/nn"
)

// transforms puts what stands before the network into the graph.
func (e *exporter) transforms(chain transform.Chain, x tensor) (tensor, error) {
	for _, t := range chain {
		switch v := t.Value.(type) {
		case *transform.BitDepth:
			most := e.floats("levels", []float32{float32(int(1)<<v.Bits - 1)})
			x.name = e.add("Div", nil, e.add("Round", nil, e.add("Mul", nil, x.name, most)), most)
		case *transform.Gaussian:
			rows, columns := e.floats("rows", filter1D(v, x.shape.H, false), x.shape.H, x.shape.H), e.floats("columns", filter1D(v, x.shape.W, true), x.shape.W, x.shape.W)
			x.name = e.add("MatMul", nil, rows, e.add("MatMul", nil, x.name, columns))
		default:
			return x, fmt.Errorf("the transformation before the network, %s, has no form in ONNX: bit_depth and gaussian have", v.Label())
		}
	}
	return x, nil
}

// filter1D is what a filter does along an axis of n values, as a matrix [to,from], or its transpose: the
// borders, which it mirrors, are in it.
func filter1D(t transform.Transform, n int, transposed bool) []float32 {
	m := make([]float32, n*n)
	for from := range n {
		line := make([]float32, n)
		line[from] = 1
		t.Forward(&transform.View{In: nn.Shape{H: n, W: 1, C: 1}, X: line})
		for to, v := range line {
			if transposed {
				m[from*n+to] = v
			} else {
				m[to*n+from] = v
			}
		}
	}
	return m
}
