package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vectors runs body for n vectors; at addresses the current vector of a pointer.
func vectors(n reg.GPVirtual, body func(at func(pointer reg.GPVirtual) Mem)) {
	index := GP64()
	XORQ(index, index)
	Label("loop")
	body(func(p reg.GPVirtual) Mem { return Mem{Base: p, Index: index, Scale: 1} })
	ADDQ(Imm(uint64(vectorBytes)), index)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// elementwise generates loops over n vectors of 8 values, n > 0, with the rounding of the portable
// ones.
func elementwise() {
	function(of("relu"), "func(y, x *float32, n int)",
		of("relu")+" is portableReLU on n vectors.")
	y, x, n, floor := gp("y"), gp("x"), gp("n"), zero()
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		v := vector()
		VMAXPS(at(x), floor, v) // of a NaN, the second operand: x
		VMOVUPS(v, at(y))
	})

	function(of("reluGrad"), "func(dx, y, dy *float32, n int)",
		of("reluGrad")+" is portableReLUGrad on n vectors.")
	dx, y, dy, n, floor := gp("dx"), gp("y"), gp("dy"), gp("n"), zero()
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		VMOVUPS(selectWhere(lessThan, at(y), floor, at(dy)), at(dx))
	})

	function(of("add"), "func(dst, a, b *float32, n int)",
		of("add")+" is portableAdd on n vectors.")
	dst, a, b, n := gp("dst"), gp("a"), gp("b"), gp("n")
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		v := vector()
		VMOVUPS(at(a), v)
		VADDPS(at(b), v, v)
		VMOVUPS(v, at(dst))
	})

	function(of("scale"), "func(dst, x *float32, f float32, n int)",
		of("scale")+" is portableScale on n vectors.")
	dst, x, f, n := gp("dst"), gp("x"), broadcast("f"), gp("n")
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		v := vector()
		VMULPS(at(x), f, v)
		VMOVUPS(v, at(dst))
	})

	function(of("axpy"), "func(y *float32, f float32, x *float32, n int)",
		of("axpy")+" is portableAxpy on n vectors.")
	y, f, x, n = gp("y"), broadcast("f"), gp("x"), gp("n")
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		v := vector()
		VMULPS(at(x), f, v)
		VADDPS(at(y), v, v)
		VMOVUPS(v, at(y))
	})

	function(of("finite"), "func(x *float32, n int) bool",
		of("finite")+" is portableFinite on n vectors.")
	x, n = gp("x"), gp("n")
	finite(x, n)

	function(of("countNonZeros"), "func(x *float32, n int) int",
		of("countNonZeros")+" is portableCountNonZeros on n vectors.")
	countNonZeros()

	function(of("signStep"), "func(adv, x, grad *float32, step, eps float32, n int)",
		of("signStep")+" is portableSignStep on n vectors.")
	signStep()

	for _, width := range []int{1, 4} {
		columnSum(width)
	}
}

// transpose takes blocks of 8 lines and 8 columns: lines i and i+4 share a register, so that shuffles within its
// halves do.
func transpose() {
	function("transposeAVX2", "func(dst, x *float32, n, dstStep, step int)",
		"transposeAVX2 is portableTranspose on 8 lines of n times 8 columns, n > 0; steps are in bytes.")
	dst, x, n, dstStep, step := gp("dst"), gp("x"), gp("n"), gp("dstStep"), gp("step")
	step3, dstStep3, fourth := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, step3)
	LEAQ(Mem{Base: dstStep, Index: dstStep, Scale: 2}, dstStep3)
	LEAQ(Mem{Base: x, Index: step, Scale: 4}, fourth)
	lines := func(base, step, step3 reg.GPVirtual, disp int) [4]Mem {
		return [4]Mem{{Base: base, Disp: disp}, {Base: base, Index: step, Scale: 1, Disp: disp},
			{Base: base, Index: step, Scale: 2, Disp: disp}, {Base: base, Index: step3, Scale: 1, Disp: disp}}
	}
	Label("block")
	for half := range 2 {
		var in, pairs, out [4]reg.VecVirtual
		top, bottom := lines(x, step, step3, 16*half), lines(fourth, step, step3, 16*half)
		for i := range in {
			in[i], pairs[i], out[i] = YMM(), YMM(), YMM()
			VMOVUPS(top[i], in[i].AsX())
			VINSERTF128(Imm(1), bottom[i], in[i], in[i])
		}
		for i := range 2 {
			VUNPCKLPS(in[2*i+1], in[2*i], pairs[2*i])
			VUNPCKHPS(in[2*i+1], in[2*i], pairs[2*i+1])
		}
		for i := range 2 {
			VUNPCKLPD(pairs[2+i], pairs[i], out[2*i])
			VUNPCKHPD(pairs[2+i], pairs[i], out[2*i+1])
		}
		for i, to := range lines(dst, dstStep, dstStep3, 0) {
			VMOVUPS(out[i], to)
		}
		LEAQ(Mem{Base: dst, Index: dstStep, Scale: 4}, dst)
	}
	ADDQ(Imm(32), x)
	ADDQ(Imm(32), fourth)
	DECQ(n)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// copyRuns has a loop of its own for the runs of two vectors, a panel.
func copyRuns() {
	function("copyRunsAVX2", "func(dst, x *float32, n, step, vectors int)",
		"copyRunsAVX2 is portableCopyRuns on n runs of whole vectors; step is in bytes.")
	dst, x, n, step, count := gp("dst"), gp("x"), gp("n"), gp("step"), gp("vectors")
	CMPQ(count, Imm(2))
	JNE(LabelRef("run"))
	Label("panel")
	a, b := vector(), vector()
	VMOVUPS(Mem{Base: x}, a)
	VMOVUPS(Mem{Base: x, Disp: vectorBytes}, b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: vectorBytes})
	ADDQ(step, x)
	ADDQ(Imm(panelBytes), dst)
	DECQ(n)
	JNZ(LabelRef("panel"))
	VZEROUPPER()
	RET()

	Label("run")
	index, left := GP64(), GP64()
	XORQ(index, index)
	MOVQ(count, left)
	Label("vector")
	v := vector()
	VMOVUPS(Mem{Base: x, Index: index, Scale: 1}, v)
	VMOVUPS(v, Mem{Base: dst})
	ADDQ(Imm(uint64(vectorBytes)), index)
	ADDQ(Imm(uint64(vectorBytes)), dst)
	DECQ(left)
	JNZ(LabelRef("vector"))
	ADDQ(step, x)
	DECQ(n)
	JNZ(LabelRef("run"))
	VZEROUPPER()
	RET()
}

// finite adds up 0*x, which is 0 or, once and for all, NaN.
func finite(x, n reg.GPVirtual) {
	index, sum, null := GP64(), zero(), zero()
	XORQ(index, index)
	Label("loop")
	v := vector()
	VMULPS(Mem{Base: x, Index: index, Scale: 1}, null, v)
	VADDPS(v, sum, sum)
	ADDQ(Imm(uint64(vectorBytes)), index)
	DECQ(n)
	JNZ(LabelRef("loop"))
	mask := compareBits(unordered, sum, sum)
	VZEROUPPER()
	TESTL(mask, mask)
	ok := GP8()
	SETEQ(ok)
	Store(ok, ReturnIndex(0))
	RET()
}

func countNonZeros() {
	x, n := gp("x"), gp("n")
	null, count := zero(), GP64()
	XORQ(count, count)
	Label("loop")
	bits := compareBits(notEqual, Mem{Base: x}, null)
	POPCNTL(bits, bits)
	ADDQ(bits.As64(), count)
	ADDQ(Imm(uint64(vectorBytes)), x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	Store(count, ReturnIndex(0))
	RET()
}

func signStep() {
	adv, x, grad, n := gp("adv"), gp("x"), gp("grad"), gp("n")
	step, eps, null := broadcast("step"), broadcast("eps"), zero()
	minus, one := vector(), vector()
	VSUBPS(step, null, minus)
	bits := GP32()
	MOVL(U32(0x3f800000), bits)
	VMOVD(bits, one.AsX())
	VBROADCASTSS(one.AsX(), one)
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		g, v, clean, bound := vector(), vector(), vector(), vector()
		VMOVUPS(at(grad), g)
		up, down := selectWhere(greaterThan, null, g, step), selectWhere(lessThan, null, g, minus)
		VORPS(up, down, up)
		VADDPS(at(adv), up, v)
		VMOVUPS(at(x), clean)
		VSUBPS(eps, clean, bound)
		VMAXPS(v, bound, v) // of equals and of NaNs, the second operand: v
		VADDPS(eps, clean, bound)
		VMINPS(v, bound, v)
		VMAXPS(v, null, v)
		VMINPS(v, one, v)
		VMOVUPS(v, at(adv))
	})
}

func affine() {
	function("affineAVX2", "func(y, x, scale, shift *float32, n, channels int)",
		"affineAVX2 is portableAffine on n positions of channels vectors.")
	y, x, scale, shift := gp("y"), gp("x"), gp("scale"), gp("shift")
	n, channels := gp("n"), gp("channels")
	SHLQ(vectorShift(), channels) // bytes
	Label("position")
	index := GP64()
	XORQ(index, index)
	Label("channel")
	at := func(p reg.GPVirtual) Mem { return Mem{Base: p, Index: index, Scale: 1} }
	v := vector()
	VMOVUPS(at(x), v)
	VMULPS(at(scale), v, v)
	VADDPS(at(shift), v, v)
	VMOVUPS(v, at(y))
	ADDQ(Imm(uint64(vectorBytes)), index)
	CMPQ(index, channels)
	JNE(LabelRef("channel"))
	ADDQ(channels, x)
	ADDQ(channels, y)
	DECQ(n)
	JNZ(LabelRef("position"))
	VZEROUPPER()
	RET()
}

// columnSum adds up columns of width vectors.
func columnSum(width int) {
	name := of(fmt.Sprint("columnSum", width*vectorBytes/floatBytes))
	function(name, "func(dst, x *float32, n, stride int)",
		name+" is portableColumnSum on that many columns; stride is in bytes.")
	dst, x, n, stride := gp("dst"), gp("x"), gp("n"), gp("stride")
	var sum []reg.VecVirtual
	for range width {
		sum = append(sum, zero())
	}
	Label("loop")
	for i, s := range sum {
		VADDPS(Mem{Base: x, Disp: i * vectorBytes}, s, s)
	}
	ADDQ(stride, x)
	DECQ(n)
	JNZ(LabelRef("loop"))
	for i, s := range sum {
		at := Mem{Base: dst, Disp: i * vectorBytes}
		VADDPS(at, s, s)
		VMOVUPS(s, at)
	}
	VZEROUPPER()
	RET()
}
