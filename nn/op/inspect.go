package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// hasRule reports whether n is one of this package's ops, made by a rule of type R.
func hasRule[R rule](n *gorgonia.Node) bool {
	o, ok := n.Op().(operation)
	if !ok {
		return false
	}
	_, ok = o.rule.(R)
	return ok
}

// IsSum reports whether n is the sum of two nodes that gorgonia.Grad itself makes where
// gradients meet. The op's type is not exported, so it is known by its name.
func IsSum(n *gorgonia.Node) bool {
	o, ok := n.Op().(gorgonia.BinaryOp)
	return ok && fmt.Sprintf("%T", o) == "gorgonia.elemBinOp" && o.String() == "+ false"
}

// Inputs gives the nodes that n is computed from, in order.
func Inputs(g *gorgonia.ExprGraph, n *gorgonia.Node) []*gorgonia.Node {
	var in []*gorgonia.Node
	for it := g.From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*gorgonia.Node))
	}
	return in
}
