package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// grid walks over rows that lie in lines: after each row two pointers advance by their steps, at
// the end of a line by their wraps too.
type grid struct{ a, y, left reg.GPVirtual }

// next stores the place of y in memory, returns that of a, and goes on by one row.
func (g grid) next(y Mem) reg.GPVirtual {
	p := GP64()
	MOVQ(g.a, p)
	MOVQ(g.y, y)
	ADDQ(argument("aStep"), g.a)
	ADDQ(argument("yStep"), g.y)
	a, b := GP64(), GP64()
	MOVQ(argument("aWrap"), a)
	MOVQ(argument("yWrap"), b)
	ADDQ(g.a, a)
	ADDQ(g.y, b)
	DECQ(g.left)
	CMOVQEQ(a, g.a)
	CMOVQEQ(b, g.y)
	CMOVQEQ(argument("width"), g.left)
	return p
}

// tile computes rows x 16 sums in registers: for each inner step two vectors of b, and one
// broadcast for each row of a. With six rows the sums fill 12 of the 16 registers, which covers the
// latency of the multiply-adds; so do five and four.
func tile(rows int) {
	name := fmt.Sprintf("tile%dAVX2", rows)
	TEXT(name, NOSPLIT, "func(a, b, y, bias *float32, mask *int32, tiles, width, left, aStep, aWrap, yStep, yWrap, outer, inner, aSkip, aK, bK int, ahead *float32, aheadStep, accumulate int, floor float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes a tile of %d rows, tiles times; see the type tile. Distances are in bytes.", name, rows),
		"aSkip is the distance from the end of one outer step of a to the start of the next; mask is nil for",
		"all 16 columns; floor is 0 for ReLU, else -Inf. Memory from ahead on is prefetched, aheadStep bytes",
		"with each inner step.")
	g := grid{a: gp("a"), y: gp("y"), left: gp("left")}
	var ys []Mem
	saved := AllocLocal(8 * (rows + 3))
	for i := range rows {
		ys = append(ys, saved.Offset(8*i))
	}
	saveA, saveY, saveLeft := saved.Offset(8*rows), saved.Offset(8*rows+8), saved.Offset(8*rows+16)

	Label("next")
	var a []reg.GPVirtual
	for i := range rows {
		to := g.y
		PREFETCHT0(Mem{Base: to}) // sums are stored long after
		a = append(a, g.next(ys[i]))
	}
	MOVQ(g.a, saveA)
	MOVQ(g.y, saveY)
	MOVQ(g.left, saveLeft)

	var acc [][2]reg.VecVirtual
	for range rows {
		acc = append(acc, [2]reg.VecVirtual{zero(), zero()})
	}
	b, index, outer, aK, bK := gp("b"), GP64(), gp("outer"), gp("aK"), gp("bK")
	ahead := gp("ahead")
	XORQ(index, index)
	Label("outer")
	inner := gp("inner")
	Label("inner")
	b0, b1 := YMM(), YMM()
	VMOVUPS(Mem{Base: b}, b0)
	VMOVUPS(Mem{Base: b, Disp: vectorBytes}, b1)
	x := [2]reg.VecVirtual{YMM(), YMM()}
	for i := range rows {
		VBROADCASTSS(Mem{Base: a[i], Index: index, Scale: 1}, x[i%2])
		VFMADD231PS(b0, x[i%2], acc[i][0])
		VFMADD231PS(b1, x[i%2], acc[i][1])
	}
	PREFETCHT1(Mem{Base: ahead})
	ADDQ(argument("aheadStep"), ahead)
	ADDQ(aK, index)
	ADDQ(bK, b)
	DECQ(inner)
	JNZ(LabelRef("inner"))
	ADDQ(argument("aSkip"), index)
	DECQ(outer)
	JNZ(LabelRef("outer"))

	Store(ahead, Param("ahead"))
	tileEnd(acc, ys)

	MOVQ(saveA, g.a)
	MOVQ(saveY, g.y)
	MOVQ(saveLeft, g.left)
	DECQ(argument("tiles"))
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}

// tileEnd adds bias or earlier sums, applies the floor, and stores.
func tileEnd(acc [][2]reg.VecVirtual, ys []Mem) {
	floor := broadcast("floor")
	mask, y := gp("mask"), GP64()
	bias := gp("bias")
	TESTQ(mask, mask)
	JNZ(LabelRef("masked"))

	CMPQ(argument("accumulate"), Imm(0))
	JE(LabelRef("bias"))
	for i := range acc {
		MOVQ(ys[i], y)
		for j, s := range acc[i] {
			VADDPS(Mem{Base: y, Disp: j * vectorBytes}, s, s)
		}
	}
	JMP(LabelRef("store"))
	Label("bias")
	for i := range acc {
		for j, s := range acc[i] {
			VADDPS(Mem{Base: bias, Disp: j * vectorBytes}, s, s)
		}
	}
	Label("store")
	for i := range acc {
		MOVQ(ys[i], y)
		for j, s := range acc[i] {
			VMAXPS(s, floor, s) // of a NaN, the second operand: s
			VMOVUPS(s, Mem{Base: y, Disp: j * vectorBytes})
		}
	}
	JMP(LabelRef("done"))

	Label("masked")
	m := [2]reg.VecVirtual{YMM(), YMM()}
	VMOVUPS(Mem{Base: mask}, m[0])
	VMOVUPS(Mem{Base: mask, Disp: vectorBytes}, m[1])
	from := GP64()
	for i := range acc {
		MOVQ(ys[i], y)
		MOVQ(bias, from)
		CMPQ(argument("accumulate"), Imm(0))
		CMOVQNE(y, from)
		for j, s := range acc[i] {
			v := YMM()
			VMASKMOVPS(Mem{Base: from, Disp: j * vectorBytes}, m[j], v)
			VADDPS(v, s, s)
			VMAXPS(s, floor, s)
			VMASKMOVPS(s, m[j], Mem{Base: y, Disp: j * vectorBytes})
		}
	}
	Label("done")
}
