package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dots computes rows x slots dot products at a time, 8 partial sums each. Where fewer rows are
// left, the last one is computed several times over.
func dots(rows, slots int) {
	name := fmt.Sprintf("dots%dAVX2", slots)
	TEXT(name, NOSPLIT, "func(a, w, y *float32, tiles, rest, width, aStep, aWrap, yStep, yWrap, outer, inner, aSkip, channels int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes tiles of %d rows; see the type dots. rest is the number of rows less one.", name, rows),
		"Distances are in bytes; aSkip is the distance from the end of one outer step of a to the start of the next.")
	g := grid{a: gp("a"), y: gp("y"), left: gp("width")}
	var ys []Mem
	saved := AllocLocal(8 * (rows + 3))
	for i := range rows {
		ys = append(ys, saved.Offset(8*i))
	}
	saveA, saveY, saveLeft := saved.Offset(8*rows), saved.Offset(8*rows+8), saved.Offset(8*rows+16)

	Label("next")
	var a []reg.GPVirtual
	rest := gp("rest")
	for i := range rows {
		a = append(a, g.nextUnlessLast(ys[i], rest, fmt.Sprint("last", i)))
	}
	Store(rest, Param("rest"))
	MOVQ(g.a, saveA)
	MOVQ(g.y, saveY)
	MOVQ(g.left, saveLeft)

	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range slots {
			acc[i] = append(acc[i], zero())
		}
	}
	w, index, outer := gp("w"), GP64(), gp("outer")
	XORQ(index, index)
	Label("outer")
	inner := gp("inner")
	Label("inner")
	var v []reg.VecVirtual
	for s := range slots {
		v = append(v, YMM())
		VMOVUPS(Mem{Base: w, Disp: s * vectorBytes}, v[s])
	}
	for i := range rows {
		from := Op(Mem{Base: a[i], Index: index, Scale: 1})
		if slots > 1 {
			x := YMM()
			VMOVUPS(from, x)
			from = x
		}
		for s := range slots {
			VFMADD231PS(from, v[s], acc[i][s])
		}
	}
	ADDQ(Imm(uint64(vectorBytes)), index)
	ADDQ(Imm(uint64(slots*vectorBytes)), w)
	DECQ(inner)
	JNZ(LabelRef("inner"))
	ADDQ(argument("aSkip"), index)
	DECQ(outer)
	JNZ(LabelRef("outer"))

	y := GP64()
	if slots == 1 {
		for i := 0; i < rows; i += 4 {
			sums := addLanes(acc[i][0], acc[i+1][0], acc[i+2][0], acc[i+3][0])
			for j := range 4 {
				MOVQ(ys[i+j], y)
				VEXTRACTPS(Imm(uint64(j)), sums, Mem{Base: y})
			}
		}
	} else {
		channels := gp("channels")
		var sums []reg.VecVirtual
		for i := range rows {
			sums = append(sums, addLanes(acc[i][0], acc[i][1], acc[i][2], acc[i][2]))
			MOVQ(ys[i], y)
			VMOVLPS(sums[i], Mem{Base: y})
		}
		CMPQ(channels, Imm(3))
		JNE(LabelRef("two"))
		for i := range rows {
			MOVQ(ys[i], y)
			VEXTRACTPS(Imm(2), sums[i], Mem{Base: y, Disp: 2 * floatBytes})
		}
		Label("two")
	}
	MOVQ(saveA, g.a)
	MOVQ(saveY, g.y)
	MOVQ(saveLeft, g.left)
	DECQ(argument("tiles"))
	JNZ(LabelRef("next"))
	VZEROUPPER()
	RET()
}

// nextUnlessLast is next, but stays where it is once rest is zero.
func (g grid) nextUnlessLast(y Mem, rest reg.GPVirtual, label string) reg.GPVirtual {
	p := GP64()
	MOVQ(g.a, p)
	MOVQ(g.y, y)
	TESTQ(rest, rest)
	JE(LabelRef(label))
	DECQ(rest)
	ADDQ(argument("aStep"), g.a)
	ADDQ(argument("yStep"), g.y)
	DECQ(g.left)
	JNZ(LabelRef(label))
	ADDQ(argument("aWrap"), g.a)
	ADDQ(argument("yWrap"), g.y)
	MOVQ(argument("width"), g.left)
	Label(label)
	return p
}

// addLanes returns the sums of the 8 lanes of each of a, b, c and d.
func addLanes(a, b, c, d reg.VecVirtual) reg.VecVirtual {
	ab, cd, high, sum := YMM(), YMM(), XMM(), XMM()
	VHADDPS(b, a, ab)
	VHADDPS(d, c, cd)
	VHADDPS(cd, ab, ab)
	VEXTRACTF128(Imm(1), ab, high)
	VADDPS(high, ab.AsX(), sum)
	return sum
}
