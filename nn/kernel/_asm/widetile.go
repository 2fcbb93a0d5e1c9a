package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsPerPointer is the number of rows that one pointer and three multiples of their distance reach.
const rowsPerPointer = 7

// rowGrid finds rows at equal distances.
type rowGrid struct{ step, triple, fivefold reg.GPVirtual }

// row is the place of a row, given the pointers to every seventh.
func (g rowGrid) row(pointers []reg.GPVirtual, i int) Mem {
	m := Mem{Base: pointers[i/rowsPerPointer]}
	switch k := i % rowsPerPointer; k {
	case 1, 2, 4:
		m.Index, m.Scale = g.step, uint8(k)
	case 3, 6:
		m.Index, m.Scale = g.triple, uint8(k/3)
	case 5:
		m.Index, m.Scale = g.fivefold, 1
	}
	return m
}

// wideTile computes rows x 16 or 32 sums in registers: for each inner step one or two vectors of b, and
// one broadcast for each row of a. 14 rows of 32 take 28 registers for the sums and the other four for
// operands: 16 loads for 28 multiply-adds, where two loads and two multiply-adds can start in a cycle.
func wideTile(rows, panels int) {
	name := fmt.Sprintf("tile%dx%dAVX512", rows, panels)
	function(name, "func(a, b, y, from *float32, mask *int32, tiles, perLine, aTile, yTile, aLine, yLine, aStep, yStep, fromStep, fromTile, fromLine, outer, inner, aSkip, aK, bK, bPanel int, ahead *float32, aheadStep int, floor float32)",
		fmt.Sprintf("%s computes a tile of %d rows and %d panels, tiles times, perLine of them in each line; see the", name, rows, panels),
		"type tile. Distances are in bytes: of the tiles, from the last tile of a line to the first of the next,",
		"and of the rows. from, which is added to the sums, is the bias or y; aSkip is the distance from the end",
		"of one outer step of a to the start of the next; mask is nil where the last panel has all 16 columns;",
		"floor is 0 for ReLU, else -Inf. Memory from ahead on is prefetched for each panel, aheadStep bytes with",
		"each inner step.")
	left := AllocLocal(8)
	MOVQ(gp("perLine"), left)

	Label("next")
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range panels {
			acc[i] = append(acc[i], zero())
		}
	}
	wideProducts(acc)
	wideEnd(acc)

	advance := func(by string) {
		for _, p := range []string{"a", "y", "from"} {
			ADDQ(gp(p+by), argument(p))
		}
	}
	advance("Tile")
	DECQ(left)
	JNZ(LabelRef("sameLine"))
	advance("Line")
	MOVQ(gp("perLine"), left)
	Label("sameLine")
	DECQ(argument("tiles"))
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}

// wideProducts adds up the products of a tile.
func wideProducts(acc [][]reg.VecVirtual) {
	rows, panels := len(acc), len(acc[0])
	g := rowGrid{step: gp("aStep"), triple: GP64(), fivefold: GP64()}
	LEAQ(Mem{Base: g.step, Index: g.step, Scale: 2}, g.triple)
	LEAQ(Mem{Base: g.step, Index: g.step, Scale: 4}, g.fivefold)
	a := []reg.GPVirtual{gp("a")}
	if rows > rowsPerPointer {
		p := GP64()
		LEAQ(Mem{Base: a[0], Index: g.triple, Scale: 2}, p)
		ADDQ(g.step, p)
		a = append(a, p)
	}
	b, aK, bK, ahead, outer := gp("b"), gp("aK"), gp("bK"), gp("ahead"), gp("outer")
	bPanel := gp("bPanel")
	Label("outer")
	inner := gp("inner")
	Label("inner")
	lines := []Mem{{Base: b}, {Base: b, Index: bPanel, Scale: 1}}[:panels]
	w := load(lines)
	x := [2]reg.VecVirtual{vector(), vector()}
	for i := range rows {
		VBROADCASTSS(g.row(a, i), x[i%2])
		for p := range panels {
			VFMADD231PS(w[p], x[i%2], acc[i][p])
		}
	}
	PREFETCHT1(Mem{Base: ahead})
	if panels > 1 {
		PREFETCHT1(Mem{Base: ahead, Index: bPanel, Scale: 1})
	}
	ADDQ(argument("aheadStep"), ahead)
	for _, p := range a {
		ADDQ(aK, p)
	}
	ADDQ(bK, b)
	DECQ(inner)
	JNZ(LabelRef("inner"))
	skip := gp("aSkip")
	for _, p := range a {
		ADDQ(skip, p)
	}
	DECQ(outer)
	JNZ(LabelRef("outer"))
	Store(ahead, Param("ahead"))
}

// wideEnd adds bias or earlier sums, applies the floor, and stores.
func wideEnd(acc [][]reg.VecVirtual) {
	floor := broadcast("floor")
	y, from, mask := gp("y"), gp("from"), gp("mask")
	yStep, fromStep := gp("yStep"), gp("fromStep")
	k := K()
	KXNORW(k, k, k)
	TESTQ(mask, mask)
	JE(LabelRef("whole"))
	KMOVW(maskOf(Mem{Base: mask}), k)
	Label("whole")
	for i, sums := range acc {
		if i > 0 {
			ADDQ(fromStep, from)
			ADDQ(yStep, y)
		}
		for p, s := range sums {
			add, to := Mem{Base: from, Disp: p * panelBytes}, Mem{Base: y, Disp: p * panelBytes}
			if p+1 < len(sums) {
				VADDPS(add, s, s)
				VMAXPS(s, floor, s) // of a NaN, the second operand: s
				VMOVUPS(s, to)
				continue
			}
			VADDPS(add, s, k, s)
			VMAXPS(s, floor, s)
			VMOVUPS(s, k, to)
		}
	}
}
