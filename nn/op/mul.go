package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// Mul is a*b by element, for a [N,..,C] and b of its shape, or [N,1,1,C] for an image a: a factor for
// each channel of an example, as in squeeze-and-excitation (Hu et al. 2018, section 3).
func Mul(a, b *gorgonia.Node) (*gorgonia.Node, error) {
	if b.Dims() < 2 {
		return nil, fmt.Errorf("mul: second input has shape %v, want a batch", b.Shape())
	}
	return apply(mul{device.Mul{Size: size(a.Shape()), Channels: size(b.Shape())}}, a, b)
}

type mul struct{ device.Mul }

func (m mul) kernel() device.Op { return m.Mul }
func (m mul) wrt() []bool       { return []bool{true, true} }

func (m mul) infer(in []tensor.Shape) (tensor.Shape, error) {
	a, b := in[0], in[1]
	if m.Channels == m.Size {
		return elementwise("mul", m.Size, in)
	}
	if len(a) != 4 || len(b) != 4 || b[0] != a[0] || b[1]*b[2] != 1 || b[3] != a[3] || size(a) != m.Size || size(b) != m.Channels {
		return nil, fmt.Errorf("mul: shapes %v and %v, want equal ones, or images and a factor for each channel", a, b)
	}
	return a.Clone(), nil
}

func (m mul) do(y []float32, in [][]float32) {
	for i, v := range in[0] {
		y[i] = v * in[1][i/m.Size*m.Channels+i%m.Channels]
	}
}

func (m mul) grad(in []*gorgonia.Node, _, dy *gorgonia.Node) ([]*gorgonia.Node, error) {
	var g gradients
	g.add(apply(m, dy, in[1]))
	// A factor's gradient is a sum over the positions that it stands at.
	db, err := Mul(in[0], dy)
	if s := in[0].Shape(); err == nil && m.Channels != m.Size {
		if db, err = AvgPool(db, device.Window{H: s[1], W: s[2], C: s[3], KH: s[1], KW: s[2], Stride: 1}); err == nil {
			db, err = Scale(db, float32(s[1]*s[2]))
		}
	}
	g.add(db, err)
	return g.nodes, g.err
}
