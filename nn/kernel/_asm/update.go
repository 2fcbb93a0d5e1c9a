package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// optimizer generates the updates of SGD and Adam, in the order of the portable loops.
func optimizer() {
	function(of("momentum"), "func(w, grad, v *float32, n int, clip, decay, momentum, fresh, old, rate float32)",
		of("momentum")+" is portableMomentum on n vectors.")
	momentumStep()

	function(of("adam"), "func(w, grad, m, v *float32, n int, clip, decay, shrink, mean, beta2, square, root, epsilon, rate float32)",
		of("adam")+" is portableAdam on n vectors.")
	w, grad, m, v, n := gp("w"), gp("grad"), gp("m"), gp("v"), gp("n")
	clip, decay, shrink := broadcast("clip"), broadcast("decay"), broadcast("shrink")
	mean, beta2, square := broadcast("mean"), broadcast("beta2"), broadcast("square")
	root, epsilon, rate := broadcast("root"), broadcast("epsilon"), broadcast("rate")
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		x, d, first, second, t := vector(), vector(), vector(), vector(), vector()
		VMOVUPS(at(w), x)
		VMULPS(at(grad), clip, d)
		VMULPS(decay, x, t)
		VADDPS(t, d, d)

		VMOVUPS(at(m), first)
		VSUBPS(first, d, t)
		VMULPS(t, mean, t)
		VADDPS(t, first, first)
		VMOVUPS(first, at(m))

		VMULPS(at(v), beta2, second)
		VMULPS(square, d, t)
		VMULPS(d, t, t)
		VADDPS(t, second, second)
		VMOVUPS(second, at(v))

		VSQRTPS(second, second)
		VDIVPS(root, second, second)
		VADDPS(epsilon, second, second)
		VMULPS(rate, first, first)
		VDIVPS(second, first, first)
		VMULPS(shrink, x, x)
		VSUBPS(first, x, x)
		VMOVUPS(x, at(w))
	})
}

func momentumStep() {
	w, grad, v, n := gp("w"), gp("grad"), gp("v"), gp("n")
	clip, decay, momentum := broadcast("clip"), broadcast("decay"), broadcast("momentum")
	fresh, old, rate := broadcast("fresh"), broadcast("old"), broadcast("rate")
	vectors(n, func(at func(reg.GPVirtual) Mem) {
		x, d, sum, t := vector(), vector(), vector(), vector()
		VMOVUPS(at(w), x)
		VMULPS(at(grad), clip, d)
		VMULPS(decay, x, t)
		VADDPS(t, d, d)
		VMULPS(at(v), momentum, sum)
		VADDPS(d, sum, sum)
		VMOVUPS(sum, at(v))
		VMULPS(fresh, d, d)
		VMULPS(old, sum, sum)
		VADDPS(sum, d, d)
		VMULPS(rate, d, d)
		VSUBPS(d, x, x)
		VMOVUPS(x, at(w))
	})
}

// pooling generates maximum pooling of 2x2 windows and its gradient, for channels in whole vectors.
func pooling() {
	function("maxPool2AVX2", "func(y *float32, index *uint8, top, bottom *float32, n, channels int)",
		"maxPool2AVX2 is portableMaxPool2; channels counts vectors.")
	y, index, top, bottom := gp("y"), gp("index"), gp("top"), gp("bottom")
	n, channels := gp("n"), gp("channels")
	line := GP64()
	MOVQ(channels, line)
	SHLQ(Imm(5), line)
	numbers := integers(1, 2, 3)
	Label("window")
	c := GP64()
	MOVQ(channels, c)
	Label("channel")
	best, at := YMM(), zero()
	VMOVUPS(Mem{Base: top}, best)
	for i, from := range []Mem{{Base: top, Index: line, Scale: 1}, {Base: bottom}, {Base: bottom, Index: line, Scale: 1}} {
		v, greater, nan := YMM(), YMM(), YMM()
		VMOVUPS(from, v)
		VCMPPS(Imm(greaterThan), best, v, greater)
		VCMPPS(Imm(unordered), v, v, nan)
		VORPS(nan, greater, greater)
		VBLENDVPS(greater, v, best, best)
		VBLENDVPS(greater, numbers[i], at, at)
	}
	VMOVUPS(best, Mem{Base: y})
	high := XMM()
	VEXTRACTI128(Imm(1), at, high)
	VPACKUSDW(high, at.AsX(), high)
	VPACKUSWB(high, high, high)
	VMOVQ(high, Mem{Base: index})
	ADDQ(Imm(8), index)
	for _, p := range []reg.GPVirtual{y, top, bottom} {
		ADDQ(Imm(uint64(vectorBytes)), p)
	}
	DECQ(c)
	JNZ(LabelRef("channel"))
	ADDQ(line, top)
	ADDQ(line, bottom)
	DECQ(n)
	JNZ(LabelRef("window"))
	VZEROUPPER()
	RET()

	function("unpool2AVX2", "func(top, bottom *float32, index *uint8, dy *float32, n, channels int)",
		"unpool2AVX2 is portableUnpool2; channels counts vectors.")
	top, bottom, index = gp("top"), gp("bottom"), gp("index")
	dy, n, channels := gp("dy"), gp("n"), gp("channels")
	line = GP64()
	MOVQ(channels, line)
	SHLQ(Imm(5), line)
	numbers = integers(0, 1, 2, 3)
	Label("window")
	c = GP64()
	MOVQ(channels, c)
	Label("channel")
	d, at := YMM(), YMM()
	VMOVUPS(Mem{Base: dy}, d)
	VPMOVZXBD(Mem{Base: index}, at)
	for i, to := range []Mem{{Base: top}, {Base: top, Index: line, Scale: 1}, {Base: bottom}, {Base: bottom, Index: line, Scale: 1}} {
		v := YMM()
		VPCMPEQD(numbers[i], at, v)
		VANDPS(d, v, v)
		VMOVUPS(v, to)
	}
	ADDQ(Imm(8), index)
	for _, p := range []reg.GPVirtual{dy, top, bottom} {
		ADDQ(Imm(uint64(vectorBytes)), p)
	}
	DECQ(c)
	JNZ(LabelRef("channel"))
	ADDQ(line, top)
	ADDQ(line, bottom)
	DECQ(n)
	JNZ(LabelRef("window"))
	VZEROUPPER()
	RET()
}

// integers returns vectors that hold each number in all lanes.
func integers(numbers ...uint32) []reg.VecVirtual {
	var vs []reg.VecVirtual
	for _, k := range numbers {
		v, bits := YMM(), GP32()
		MOVL(U32(k), bits)
		VMOVD(bits, v.AsX())
		VPBROADCASTD(v.AsX(), v)
		vs = append(vs, v)
	}
	return vs
}
