package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sparseRows multiplies the non-zeros of a part of each row with up to four panels: eight sums cover
// the latency, and for each non-zero there is one broadcast.
func sparseRows(panels int) {
	name := fmt.Sprintf("sparseRows%dAVX2", panels)
	TEXT(name, NOSPLIT, "func(values *float32, offsets, starts *int32, b, from, add, to, ahead *float32, mask *int32, rows, startStep, bPanel, fromStep, addStep, toStep, fetches int, floor float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes %d panels; see the type sparseRows. Distances are in bytes; mask is nil where the", name, panels),
		"last panel has all 16 columns. With each row, that many lines of each panel are fetched ahead.")
	values, offsets, starts := gp("values"), gp("offsets"), gp("starts")
	from, add, to := gp("from"), gp("add"), gp("to")
	bPanel, toStep := gp("bPanel"), argument("toStep")
	b := []reg.GPVirtual{gp("b")}
	for i := 1; i < panels; i++ {
		p := GP64()
		MOVQ(b[i-1], p)
		ADDQ(bPanel, p)
		b = append(b, p)
	}
	floor, mask := broadcast("floor"), argument("mask")

	Label("row")
	var sums []reg.VecVirtual
	for i := range 2 * panels {
		s := YMM()
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
	x, offset := YMM(), GP64()
	VBROADCASTSS(Mem{Base: values, Index: at, Scale: 1}, x)
	MOVL(Mem{Base: offsets, Index: at, Scale: 1}, offset.As32())
	for i, s := range sums {
		VFMADD231PS(Mem{Base: b[i/2], Index: offset, Scale: 1, Disp: i % 2 * vectorBytes}, x, s)
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
