package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// window holds the sums of the taps output positions that an input position reaches, a panel or
// more each. Position p has the registers sums[p%taps], so that nothing moves when the window does.
type window struct {
	taps, panels int
	sums         [][]reg.VecVirtual
	values       reg.GPVirtual
	offsets      reg.GPVirtual
	b            reg.GPVirtual
	multiples    map[int]reg.GPVirtual // of the distance of taps in b
}

// tap is the place of a tap's weights, given that of tap 0.
func (w *window) tap(base reg.GPVirtual, k int) Mem {
	switch k {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: w.multiples[3], Scale: 1}
	}
	return Mem{Base: base, Index: w.multiples[1], Scale: uint8(k)} // 1, 2 or 4
}

// multiply adds the products of the non-zero at, in a column with the given remainder by taps.
func (w *window) multiply(column int, at reg.GPVirtual) {
	x, b := vector(), GP64()
	VBROADCASTSS(Mem{Base: w.values, Index: at, Scale: 1}, x)
	MOVL(Mem{Base: w.offsets, Index: at, Scale: 1}, b.As32())
	ADDQ(w.b, b)
	for p := range w.panels {
		if p > 0 {
			ADDQ(argument("bPanel"), b)
		}
		for k := range w.taps {
			s := w.sums[(column-k+w.taps)%w.taps]
			m := w.tap(b, k)
			for i := range panelVectors() {
				VFMADD231PS(m.Offset(i*vectorBytes), x, s[p*panelVectors()+i])
			}
		}
	}
}

// sparsePanels lists the numbers of panels that there are functions for. The more, the fewer broadcasts
// for a sum; and more than 8 sums are to cover the latency of the multiply-adds.
func sparsePanels(taps int) []int {
	switch {
	case wide:
		return []int{1, 2, 4}
	case taps <= 3:
		return []int{1, 2}
	}
	return []int{1}
}

// sparse slides a window over each line of positions.
func sparse(taps, panels int) {
	name := of(fmt.Sprintf("sparse%dx%d", taps, panels))
	function(name, "func(values *float32, offsets, starts *int32, b, y, bias, partial, zeros *float32, mask *int32, lines, width, startLine, bTap, bOuter, bPanel, yStep, yLine, outer, accumulate int, floor float32)",
		fmt.Sprintf("%s computes %d panels for windows of %d columns; see the type sparse. Distances are in", name, panels, taps),
		"bytes; partial has room for width+taps positions of all panels, and zeros are as many as the panels",
		"have columns; mask is nil where the last panel has all 16; floor is 0 for ReLU, else -Inf.")
	position := panels * panelBytes
	saved := AllocLocal(5 * 8)
	fromStep, addStep, toStep, left, rowStart := saved, saved.Offset(8), saved.Offset(16), saved.Offset(24), saved.Offset(32)
	floors, maskNow := AllocLocal(8), AllocLocal(8)

	w := &window{taps: taps, panels: panels, values: gp("values"), offsets: gp("offsets"), multiples: map[int]reg.GPVirtual{}}
	w.multiples[1] = gp("bTap")
	if taps > 3 {
		w.multiples[3] = GP64()
		LEAQ(Mem{Base: w.multiples[1], Index: w.multiples[1], Scale: 2}, w.multiples[3])
	}

	Label("row")
	{
		p := gp("starts")
		MOVQ(p, rowStart)
		p = gp("outer")
		MOVQ(p, left)
	}
	w.b = gp("b")
	Label("outer")
	// The first line of the window starts from zeros, the last one ends in y; sums of the lines
	// between wait in partial.
	from, add, to := gp("zeros"), gp("zeros"), gp("partial")
	{
		n, step := GP64(), GP64()
		MOVQ(left, n)
		XORQ(step, step)
		CMPQ(n, argument("outer"))
		CMOVQNE(to, from)
		tmp := GP64()
		MOVQ(U32(uint32(position)), tmp)
		CMOVQNE(tmp, step)
		MOVQ(step, fromStep)
		MOVQ(tmp, toStep)
		XORQ(step, step)
		MOVQ(step, addStep)
		MOVQ(step, maskNow)
		MOVL(U32(0xff800000), step.As32())
		MOVQ(step, floors)
		CMPQ(n, Imm(1))
		JNE(LabelRef("ready"))
		MOVQ(argument("y"), to)
		MOVQ(argument("bias"), add)
		MOVQ(argument("yStep"), tmp)
		MOVQ(tmp, toStep)
		XORQ(step, step)
		CMPQ(argument("accumulate"), Imm(0))
		CMOVQNE(to, add)
		CMOVQNE(tmp, step)
		MOVQ(step, addStep)
		MOVQ(argument("mask"), tmp)
		MOVQ(tmp, maskNow)
		MOVL(argument("floor"), tmp.As32())
		MOVQ(tmp, floors)
	}
	Label("ready")
	floor := vector()
	VBROADCASTSS(floors, floor)
	w.sums = nil
	for range taps {
		var s []reg.VecVirtual
		for range panels * panelVectors() {
			s = append(s, zero())
		}
		w.sums = append(w.sums, s)
	}
	starts, at, column := GP64(), GP64(), GP64()
	MOVQ(rowStart, starts)
	MOVL(Mem{Base: starts}, at.As32())
	MOVQ(I32(int32(1-taps)), column)

	Label("columns")
	for c := range taps {
		label := func(s string) string { return fmt.Sprint(s, c) }
		for i, s := range w.sums[c] {
			VMOVUPS(Mem{Base: from, Disp: i * vectorBytes}, s)
		}
		ADDQ(fromStep, from)
		end := GP64()
		ADDQ(Imm(4), starts)
		MOVL(Mem{Base: starts}, end.As32())
		CMPQ(at, end)
		JE(LabelRef(label("multiplied")))
		Label(label("multiply"))
		w.multiply(c, at)
		ADDQ(Imm(floatBytes), at)
		CMPQ(at, end)
		JNE(LabelRef(label("multiply")))
		Label(label("multiplied"))
		TESTQ(column, column)
		JL(LabelRef(label("next")))
		sparseEnd(w.sums[(c+1)%taps], floor, add, to, maskNow, fmt.Sprint(c))
		ADDQ(addStep, add)
		ADDQ(toStep, to)
		Label(label("next"))
		INCQ(column)
		CMPQ(column, argument("width"))
		JE(LabelRef("lineDone"))
	}
	JMP(LabelRef("columns"))

	Label("lineDone")
	step := gp("startLine")
	ADDQ(step, rowStart)
	ADDQ(argument("bOuter"), w.b)
	DECQ(left)
	JNZ(LabelRef("outer"))

	ADDQ(step, argument("starts"))
	ADDQ(gp("yLine"), argument("y"))
	DECQ(argument("lines"))
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// sparseEnd adds bias or earlier sums, applies the floor, and stores, as tileEnd does. The suffix
// tells its labels apart.
func sparseEnd(sums []reg.VecVirtual, floor reg.VecVirtual, add, to reg.GPVirtual, mask Mem, suffix string) {
	label := func(s string) string { return s + suffix }
	last := len(sums) - panelVectors()
	store := func(i int) {
		s, disp := sums[i], i*vectorBytes
		VADDPS(Mem{Base: add, Disp: disp}, s, s)
		VMAXPS(s, floor, s) // of a NaN, the second operand: s
		VMOVUPS(s, Mem{Base: to, Disp: disp})
	}
	for i := range last {
		store(i)
	}
	CMPQ(mask, Imm(0))
	JNE(LabelRef(label("masked")))
	for i := last; i < len(sums); i++ {
		store(i)
	}
	JMP(LabelRef(label("stored")))
	Label(label("masked"))
	from := GP64()
	MOVQ(mask, from)
	for i, s := range sums[last:] {
		disp := (last + i) * vectorBytes
		if wide {
			k := maskOf(Mem{Base: from})
			VADDPS(Mem{Base: add, Disp: disp}, s, k, s)
			VMAXPS(s, floor, s)
			VMOVUPS(s, k, Mem{Base: to, Disp: disp})
			continue
		}
		m, v := vector(), vector()
		VMOVUPS(Mem{Base: from, Disp: i * vectorBytes}, m)
		VMASKMOVPS(Mem{Base: add, Disp: disp}, m, v)
		VADDPS(v, s, s)
		VMAXPS(s, floor, s)
		VMASKMOVPS(s, m, Mem{Base: to, Disp: disp})
	}
	Label(label("stored"))
}

// nonZeros lists the non-zeros of a line of positions.
func nonZeros() {
	name := of("nonZeros")
	signature := "func(values *float32, offsets, starts *int32, x *float32, order *uint8, at, positions, channels int) (end int)"
	doc := []string{name + " is portableNonZeros; channels counts vectors, and order[m] lists the set bits of m first.",
		"It writes whole vectors, up to 7 values beyond the end."}
	if wide {
		signature = strings.Replace(signature, "order *uint8, ", "", 1)
		doc = []string{name + " is portableNonZeros; channels counts vectors. It writes whole vectors."}
	}
	function(name, signature, doc...)
	values, offsets, starts, x := gp("values"), gp("offsets"), gp("starts"), gp("x")
	var order reg.GPVirtual
	if !wide {
		order = gp("order")
	}
	at, positions := gp("at"), gp("positions")
	lanes := vectorBytes / floatBytes
	null, first, step := zero(), vector(), vector()
	{
		bits := GP32()
		MOVL(U32(uint32(lanes*panelBytes)), bits)
		VMOVD(bits, step.AsX())
		VPBROADCASTD(step.AsX(), step)
		steps := GLOBL(of("panelOffsets"), RODATA|NOPTR)
		for i := range lanes {
			DATA(4*i, U32(uint32(i*panelBytes)))
		}
		move(steps, first)
	}
	Label("position")
	each := vector()
	VMOVAPS(first, each)
	MOVL(at.As32(), Mem{Base: starts})
	ADDQ(Imm(4), starts)
	channels := gp("channels")
	Label("channel")
	v, o := vector(), vector()
	bits, count := GP32(), GP32()
	VMOVUPS(Mem{Base: x}, v)
	if wide {
		k := K()
		VCMPPS(Imm(notEqual), null, v, k)
		KMOVW(k, bits)
		VCOMPRESSPS_Z(v, k, v)
		VPCOMPRESSD_Z(each, k, o)
	} else {
		m := vector()
		VCMPPS(Imm(notEqual), null, v, m)
		VMOVMSKPS(m, bits)
		VPMOVZXBD(Mem{Base: order, Index: bits.As64(), Scale: 8}, m)
		VPERMPS(v, m, v)
		VPERMD(each, m, o)
	}
	VMOVUPS(v, Mem{Base: values, Index: at, Scale: 1})
	move(o, Mem{Base: offsets, Index: at, Scale: 1})
	POPCNTL(bits, count)
	LEAQ(Mem{Base: at, Index: count.As64(), Scale: 4}, at)
	VPADDD(step, each, each)
	ADDQ(Imm(uint64(vectorBytes)), x)
	DECQ(channels)
	JNZ(LabelRef("channel"))
	DECQ(positions)
	JNZ(LabelRef("position"))
	VZEROUPPER()
	Store(at, ReturnIndex(0))
	RET()
}

// move moves a vector of integers.
func move(from, to Op) {
	if wide {
		VMOVDQU32(from, to)
	} else {
		VMOVDQU(from, to)
	}
}
