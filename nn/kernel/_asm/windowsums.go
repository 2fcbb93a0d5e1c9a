package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// eight is the size of a vector as windowSums counts them; of an odd number the last is half of a wide one.
const eight = 32

// windowSums adds up parts of windows of x, each times a value; the sums of a channel stay in registers.
func windowSums(vectors int) {
	name := of(fmt.Sprint("windowSums", vectors))
	function(name, "func(counts *int32, channels int, pairs, x, to *float32, pairStep, toStep int)",
		fmt.Sprintf("%s sums %d vectors of 8 for each channel; see the type windowSums. Steps are in bytes.", name, vectors))
	counts, channels := gp("counts"), gp("channels")
	pairs, x, to := gp("pairs"), gp("x"), gp("to")
	pairStep, toStep := gp("pairStep"), gp("toStep")
	Label("channel")
	pair, count := GP64(), GP64()
	MOVL(Mem{Base: counts}, count.As32())
	ADDQ(Imm(4), counts)
	MOVQ(pairs, pair)
	TESTQ(count, count)
	JE(LabelRef("next"))
	var sums []reg.VecVirtual
	for left := vectors * eight; left > 0; left -= vectorBytes {
		s := zero()
		if left < vectorBytes {
			s = s.AsY().(reg.VecVirtual)
		}
		sums = append(sums, s)
	}
	Label("pair")
	value, at := vector(), GP64()
	MOVL(Mem{Base: pair, Disp: floatBytes}, at.As32())
	VBROADCASTSS(Mem{Base: pair}, value)
	for v, s := range sums {
		x := Mem{Base: x, Index: at, Scale: 1, Disp: v * vectorBytes}
		if s.Size() < uint(vectorBytes) {
			VFMADD231PS(x, value.AsY(), s)
		} else {
			VFMADD231PS(x, value, s)
		}
	}
	ADDQ(Imm(2*floatBytes), pair)
	DECQ(count)
	JNZ(LabelRef("pair"))
	for v, s := range sums {
		m := Mem{Base: to, Disp: v * vectorBytes}
		VADDPS(m, s, s)
		VMOVUPS(s, m)
	}
	Label("next")
	ADDQ(pairStep, pairs)
	ADDQ(toStep, to)
	DECQ(channels)
	JNZ(LabelRef("channel"))
	VZEROUPPER()
	RET()
}
