package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// groupPanels is the most panels that sparseRows takes: eight sums cover the latency.
func groupPanels() int { return 8 / panelVectors() }

// lines returns a function that gives the places of a line of all panels, from its offset. Up to four
// panels have a pointer each; for more, there are multiples of their distance.
func lines(panels int) func(offset reg.GPVirtual) []Mem {
	bPanel, b := gp("bPanel"), gp("b")
	if panels > 4 {
		triple := GP64()
		LEAQ(Mem{Base: bPanel, Index: bPanel, Scale: 2}, triple)
		return func(offset reg.GPVirtual) (at []Mem) {
			ADDQ(b, offset)
			fifth := GP64()
			LEAQ(Mem{Base: offset, Index: bPanel, Scale: 4}, fifth)
			for _, base := range []reg.GPVirtual{offset, fifth} {
				at = append(at, Mem{Base: base}, Mem{Base: base, Index: bPanel, Scale: 1},
					Mem{Base: base, Index: bPanel, Scale: 2}, Mem{Base: base, Index: triple, Scale: 1})
			}
			return at[:panels]
		}
	}
	bases := []reg.GPVirtual{b}
	for i := 1; i < panels; i++ {
		p := GP64()
		MOVQ(bases[i-1], p)
		ADDQ(bPanel, p)
		bases = append(bases, p)
	}
	return func(offset reg.GPVirtual) (at []Mem) {
		for _, p := range bases {
			at = append(at, Mem{Base: p, Index: offset, Scale: 1})
		}
		return at
	}
}

// sparseRows multiplies the non-zeros of a part of each row with some panels; for each non-zero there is
// one broadcast.
func sparseRows(panels int) {
	name := of(fmt.Sprint("sparseRows", panels))
	function(name, "func(values *float32, offsets, starts *int32, b, from, add, to, ahead *float32, mask *int32, rows, startStep, bPanel, fromStep, addStep, toStep, fetches int, floor float32)",
		fmt.Sprintf("%s computes %d panels; see the type sparseRows. Distances are in bytes; mask is nil where the", name, panels),
		"last panel has all 16 columns. With each row, that many lines of each panel are fetched ahead.")
	values, offsets, starts := gp("values"), gp("offsets"), gp("starts")
	from, add, to := gp("from"), gp("add"), gp("to")
	toStep := argument("toStep")
	line := lines(panels)
	floor, mask := broadcast("floor"), argument("mask")

	Label("row")
	var sums []reg.VecVirtual
	for i := range panels * panelVectors() {
		s := vector()
		VMOVUPS(Mem{Base: from, Disp: i * vectorBytes}, s)
		sums = append(sums, s)
	}
	{
		ahead, n := gp("ahead"), gp("fetches")
		TESTQ(n, n)
		JE(LabelRef("fetched"))
		Label("fetch")
		p := GP64()
		MOVQ(ahead, p)
		for i := range panels {
			if i > 0 {
				ADDQ(argument("bPanel"), p)
			}
			PREFETCHT1(Mem{Base: p})
		}
		ADDQ(Imm(panelBytes), ahead)
		DECQ(n)
		JNZ(LabelRef("fetch"))
		Store(ahead, Param("ahead"))
	}
	Label("fetched")
	{ // the sums go there some rows later
		p := GP64()
		MOVQ(toStep, p)
		LEAQ(Mem{Base: to, Index: p, Scale: 4}, p)
		for i := range panels {
			PREFETCHT0(Mem{Base: p, Disp: i * panelBytes})
		}
	}
	at, end := GP64(), GP64()
	MOVL(Mem{Base: starts}, at.As32())
	MOVL(Mem{Base: starts, Disp: 4}, end.As32())
	ADDQ(argument("startStep"), starts)
	CMPQ(at, end)
	JE(LabelRef("multiplied"))
	Label("multiply")
	x, offset := vector(), GP64()
	VBROADCASTSS(Mem{Base: values, Index: at, Scale: 1}, x)
	MOVL(Mem{Base: offsets, Index: at, Scale: 1}, offset.As32())
	for i, m := range line(offset) {
		for j := range panelVectors() {
			VFMADD231PS(m.Offset(j*vectorBytes), x, sums[i*panelVectors()+j])
		}
	}
	ADDQ(Imm(floatBytes), at)
	CMPQ(at, end)
	JNE(LabelRef("multiply"))
	Label("multiplied")
	sparseEnd(sums, floor, add, to, mask, "")
	ADDQ(argument("fromStep"), from)
	ADDQ(argument("addStep"), add)
	ADDQ(toStep, to)
	DECQ(argument("rows"))
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
