package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	patchSide  = 6
	patchStep  = 4
	filterSide = 3

	pointA = float32(math.Sqrt2 / 2)
	pointB = float32(math.Sqrt2)
)

// constant broadcasts a number.
func constant(f float32) reg.VecVirtual {
	v, bits := vector(), GP32()
	MOVL(U32(math.Float32bits(f)), bits)
	VMOVD(bits, v.AsX())
	VBROADCASTSS(v.AsX(), v)
	return v
}

// multiples returns where the first n multiples of a distance lead from a base: every third has a
// pointer of its own.
func multiples(base, step reg.GPVirtual, n int) (at []Mem) {
	for i := 0; i < n; i += 3 {
		p := base
		if i > 0 {
			p = GP64()
			LEAQ(Mem{Base: at[i-1].Base, Index: step, Scale: 2}, p)
			ADDQ(step, p)
		}
		for k := 0; k < 3 && i+k < n; k++ {
			if k == 0 {
				at = append(at, Mem{Base: p})
			} else {
				at = append(at, Mem{Base: p, Index: step, Scale: uint8(k)})
			}
		}
	}
	return at
}

// load reads vectors into registers.
func load(from []Mem) (v []reg.VecVirtual) {
	for _, m := range from {
		r := vector()
		VMOVUPS(m, r)
		v = append(v, r)
	}
	return v
}

func store(v []reg.VecVirtual, to []Mem) {
	for i, r := range v {
		VMOVUPS(r, to[i])
	}
}

// column is the places of a column of vectors, width to a line, in the scratch of a patch.
func column(p reg.GPVirtual, j, n, width int) (at []Mem) {
	for i := range n {
		at = append(at, Mem{Base: p, Disp: (i*width + j) * vectorBytes})
	}
	return at
}

// row is column for a line.
func row(p reg.GPVirtual, i, n int) (at []Mem) {
	for j := range n {
		at = append(at, Mem{Base: p, Disp: (i*n + j) * vectorBytes})
	}
	return at
}

// winogradInputs is portableWinogradInput.
func winogradInputs() {
	function(of("winogradInputs"), "func(v, x, registers *float32, step, line, channels int)",
		of("winogradInputs")+" is portableWinogradInput; distances and channels are in bytes.")
	v, x, tmp := gp("v"), gp("x"), gp("registers")
	step, line, channels := gp("step"), gp("line"), gp("channels")
	end := GP64()
	LEAQ(Mem{Base: x, Index: channels, Scale: 1}, end)
	two, half, a, b := constant(2), constant(.5), constant(pointA), constant(pointB)
	transform := func(d []reg.VecVirtual) (t []reg.VecVirtual) {
		e, f, g, h := vector(), d[4], vector(), vector()
		VMOVAPS(d[4], e)
		VFNMADD231PS(d[2], two, e)
		VFNMADD231PS(d[2], half, f)
		VMOVAPS(d[3], g)
		VFNMADD231PS(d[1], two, g)
		VMULPS(a, g, g)
		VMOVAPS(d[3], h)
		VFNMADD231PS(d[1], half, h)
		VMULPS(b, h, h)
		VFNMADD231PS(d[2], two, d[0])
		VADDPS(f, d[0], d[0])
		VFNMADD231PS(d[3], half, d[1])
		VFNMADD231PS(d[3], two, d[5])
		VADDPS(d[1], d[5], d[5])
		VADDPS(g, e, d[1])
		VSUBPS(g, e, d[2])
		VADDPS(h, f, d[3])
		VSUBPS(h, f, f)
		return []reg.VecVirtual{d[0], d[1], d[2], d[3], f, d[5]}
	}
	Label("channel")
	at := GP64()
	MOVQ(x, at)
	for j := range patchSide {
		store(transform(load(multiples(at, line, patchSide))), column(tmp, j, patchSide, patchSide))
		ADDQ(channels, at)
	}
	MOVQ(v, at)
	for i := range patchSide {
		to := multiples(at, step, patchSide)
		store(transform(load(row(tmp, i, patchSide))), to)
		if i+1 < patchSide {
			LEAQ(Mem{Base: to[3].Base, Index: step, Scale: 2}, at)
			ADDQ(step, at)
		}
	}
	ADDQ(Imm(uint64(vectorBytes)), x)
	ADDQ(Imm(uint64(vectorBytes)), v)
	CMPQ(x, end)
	JNE(LabelRef("channel"))
	VZEROUPPER()
	RET()
}

// winogradOutputs is portableWinogradOutput.
func winogradOutputs() {
	function(of("winogradOutputs"), "func(y, m, registers, bias *float32, biasStep, step, line, channels int, floor float32)",
		of("winogradOutputs")+" is portableWinogradOutput; distances and channels are in bytes, floor is 0 for ReLU,",
		"else -Inf.")
	y, m, tmp, bias := gp("y"), gp("m"), gp("registers"), gp("bias")
	step, line, channels := gp("step"), gp("line"), gp("channels")
	end := GP64()
	LEAQ(Mem{Base: m, Index: channels, Scale: 1}, end)
	two, half, a, b, floor := constant(2), constant(.5), constant(pointA), constant(pointB), broadcast("floor")
	transform := func(m []reg.VecVirtual) (t []reg.VecVirtual) {
		p, q, r, s := vector(), vector(), vector(), vector()
		VADDPS(m[2], m[1], p)
		VSUBPS(m[2], m[1], q)
		VMULPS(a, q, q)
		VADDPS(m[4], m[3], r)
		VSUBPS(m[4], m[3], s)
		VMULPS(b, s, s)
		VADDPS(p, m[0], m[0])
		VADDPS(r, m[0], m[0])
		VFMADD231PS(q, half, m[5])
		VFMADD231PS(s, two, m[5])
		VADDPS(s, q, q)
		VMULPS(half, p, p)
		VFMADD231PS(r, two, p)
		return []reg.VecVirtual{m[0], q, p, m[5]}
	}
	Label("channel")
	at, lines := GP64(), GP64()
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, lines)
	ADDQ(lines, lines)
	MOVQ(m, at)
	for j := range patchSide {
		store(transform(load(multiples(at, lines, patchSide))), column(tmp, j, patchStep, patchSide))
		ADDQ(step, at)
	}
	MOVQ(y, at)
	for i := range patchStep {
		t, b := transform(load(row(tmp, i, patchSide))), vector()
		VMOVUPS(Mem{Base: bias}, b)
		for _, s := range t {
			VADDPS(b, s, s)
			VMAXPS(s, floor, s) // of a NaN, the second operand: s
		}
		store(t, multiples(at, channels, patchStep))
		ADDQ(line, at)
	}
	ADDQ(argument("biasStep"), bias)
	ADDQ(Imm(uint64(vectorBytes)), y)
	ADDQ(Imm(uint64(vectorBytes)), m)
	CMPQ(m, end)
	JNE(LabelRef("channel"))
	VZEROUPPER()
	RET()
}

// winogradFilters is portableWinogradWeights.
func winogradFilters() {
	function(of("winogradFilters"), "func(u, w, registers *float32, step, tap, line, lines, vectors int)",
		of("winogradFilters")+" is portableWinogradWeights; distances are in bytes.")
	u, w, tmp := gp("u"), gp("w"), gp("registers")
	step, tap, lines := gp("step"), gp("tap"), gp("lines")
	two, half, a, b := constant(2), constant(.5), constant(pointA), constant(pointB)
	sixth, third := constant(float32(1)/6), constant(-float32(2)/3)
	transform := func(g []reg.VecVirtual) (t []reg.VecVirtual) {
		e, f, h, k := vector(), vector(), vector(), vector()
		VMULPS(half, g[2], e)
		VADDPS(g[0], e, e)
		VMULPS(two, g[2], f)
		VADDPS(g[0], f, f)
		VMULPS(a, g[1], h)
		VMULPS(b, g[1], k)
		sum, difference := vector(), vector()
		VADDPS(h, e, sum)
		VSUBPS(h, e, difference)
		VMULPS(third, sum, sum)
		VMULPS(third, difference, difference)
		VADDPS(k, f, e)
		VSUBPS(k, f, f)
		VMULPS(sixth, e, e)
		VMULPS(sixth, f, f)
		return []reg.VecVirtual{g[0], sum, difference, e, f, g[2]}
	}
	taps, line, rest := GP64(), gp("line"), GP64()
	LEAQ(Mem{Base: tap, Index: tap, Scale: 2}, taps)
	{ // from the last vector of a line to the first of the next one
		vectors := gp("vectors")
		SHLQ(vectorShift(), vectors)
		SUBQ(vectors, line)
		MOVQ(U32(panelBytes), rest)
		SUBQ(vectors, rest)
	}
	Label("line")
	left := gp("vectors")
	Label("vector")
	at := GP64()
	MOVQ(w, at)
	for j := range filterSide {
		store(transform(load(multiples(at, taps, filterSide))), column(tmp, j, patchSide, filterSide))
		ADDQ(tap, at)
	}
	MOVQ(u, at)
	for i := range patchSide {
		to := multiples(at, step, patchSide)
		store(transform(load(row(tmp, i, filterSide))), to)
		if i+1 < patchSide {
			LEAQ(Mem{Base: to[3].Base, Index: step, Scale: 2}, at)
			ADDQ(step, at)
		}
	}
	ADDQ(Imm(uint64(vectorBytes)), w)
	ADDQ(Imm(uint64(vectorBytes)), u)
	DECQ(left)
	JNZ(LabelRef("vector"))
	ADDQ(line, w)
	ADDQ(rest, u)
	DECQ(lines)
	JNZ(LabelRef("line"))
	VZEROUPPER()
	RET()
}
