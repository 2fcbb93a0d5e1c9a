package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// norm generates the loops of batch normalisation, over n > 0 positions of 16 channels.
func norm() {
	normSums()

	function(of("normalize"), "func(mean, scale, shift, y, x *float32, n, stride int)",
		of("normalize")+" is portableNormalize of 16 channels; stride is in bytes.")
	mean, scale, shift := channels("mean"), channels("scale"), channels("shift")
	y, x := gp("y"), gp("x")
	positions([]reg.GPVirtual{y, x}, func(i int) {
		v := vector()
		VMOVUPS(Mem{Base: x, Disp: i * vectorBytes}, v)
		VSUBPS(mean[i], v, v)
		VMULPS(scale[i], v, v)
		VADDPS(shift[i], v, v)
		VMOVUPS(v, Mem{Base: y, Disp: i * vectorBytes})
	})

	function(of("normalizeGrad"), "func(mean, scale, shift, slope, dx, x, dy *float32, n, stride int)",
		of("normalizeGrad")+" is portableNormalizeGrad of 16 channels; stride is in bytes.")
	mean, scale, shift = channels("mean"), channels("scale"), channels("shift")
	slope := channels("slope")
	dx, x, dy := gp("dx"), gp("x"), gp("dy")
	positions([]reg.GPVirtual{dx, x, dy}, func(i int) {
		v, g := vector(), vector()
		VMOVUPS(Mem{Base: x, Disp: i * vectorBytes}, v)
		VMOVUPS(Mem{Base: dy, Disp: i * vectorBytes}, g)
		VSUBPS(mean[i], v, v)
		VSUBPS(shift[i], g, g)
		VMULPS(slope[i], v, v)
		VSUBPS(v, g, g)
		VMULPS(scale[i], g, g)
		VMOVUPS(g, Mem{Base: dx, Disp: i * vectorBytes})
	})
}

// channels loads the values of 16 channels.
func channels(name string) (v []reg.VecVirtual) {
	p := gp(name)
	for i := range panelVectors() {
		v = append(v, vector())
		VMOVUPS(Mem{Base: p, Disp: i * vectorBytes}, v[i])
	}
	return v
}

// positions runs body for the vectors of each position.
func positions(pointers []reg.GPVirtual, body func(vector int)) {
	n, stride := gp("n"), gp("stride")
	Label("position")
	for i := range panelVectors() {
		body(i)
	}
	for _, p := range pointers {
		ADDQ(stride, p)
	}
	DECQ(n)
	JNZ(LabelRef("position"))
	VZEROUPPER()
	RET()
}

// normSums has half as many channels to a register.
func normSums() {
	vectors := 2 * panelVectors() // of double precision
	function(of("normSums"), "func(sum, dot, meanA, meanB *float64, a, b *float32, n, stride int)",
		of("normSums")+" is portableNormSums of 16 channels; stride is in bytes.")
	sum, dot, meanA, meanB, a, b := gp("sum"), gp("dot"), gp("meanA"), gp("meanB"), gp("a"), gp("b")
	n, stride := gp("n"), gp("stride")
	var s, d, m [4]reg.VecVirtual
	for i := range vectors {
		s[i], d[i], m[i] = vector(), vector(), vector()
		VMOVUPD(Mem{Base: sum, Disp: i * vectorBytes}, s[i])
		VMOVUPD(Mem{Base: dot, Disp: i * vectorBytes}, d[i])
		VMOVUPD(Mem{Base: meanB, Disp: i * vectorBytes}, m[i])
	}
	Label("position")
	for i := range vectors {
		v, w := vector(), vector()
		VCVTPS2PD(Mem{Base: a, Disp: i * vectorBytes / 2}, v)
		VCVTPS2PD(Mem{Base: b, Disp: i * vectorBytes / 2}, w)
		VADDPD(v, s[i], s[i])
		VSUBPD(m[i], w, w)
		VSUBPD(Mem{Base: meanA, Disp: i * vectorBytes}, v, v)
		VMULPD(v, w, w)
		VADDPD(w, d[i], d[i])
	}
	ADDQ(stride, a)
	ADDQ(stride, b)
	DECQ(n)
	JNZ(LabelRef("position"))
	for i := range vectors {
		VMOVUPD(s[i], Mem{Base: sum, Disp: i * vectorBytes})
		VMOVUPD(d[i], Mem{Base: dot, Disp: i * vectorBytes})
	}
	VZEROUPPER()
	RET()
}
