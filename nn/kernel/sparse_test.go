package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

// thin keeps each value with the given probability; the others become zeros of either sign.
func thin(x []float32, density float64, seed uint64) {
	r := newRand(seed)
	for i := range x {
		if r.Float64() >= density {
			x[i] = float32(math.Copysign(0, float64(x[i])))
		}
	}
}

// checkSparse compares the two forms of Forward and InputGrad, bit by bit.
func checkSparse(t *testing.T, c Conv, density float64, seed uint64, values ...float32) {
	t.Helper()
	if !c.hasSparse() {
		return
	}
	k := newConvCase(c, 1, seed)
	for i, v := range values {
		k.x[(i*7919+int(seed))%len(k.x)], k.dy[(i*104729+int(seed))%len(k.dy)] = v, v
	}
	thin(k.x, density, seed)
	thin(k.dy, density, seed+1)
	k.pack(t)
	for _, relu := range []bool{false, true} {
		weights, _ := noted(k.packed)
		want, got := make([]float32, len(k.dy)), newGuarded(len(k.dy))
		c.denseForward(want, k.x, weights, k.bias, relu, make([]float32, c.Scratch()))
		scratch := newGuarded(c.Scratch())
		c.sparseForward(got.x, c.paddedImage().list(k.x, scratch.x), weights, k.bias, relu)
		sameBits(t, fmt.Sprintf("%+v, density %v: y", c, density), got.x, want)
		got.check(t, "y")
		scratch.check(t, "scratch")
	}
	if dotSlots(c.C) > 0 {
		return
	}
	weights, _ := noted(k.flipped)
	want, got := make([]float32, len(k.x)), newGuarded(len(k.x))
	c.denseInputGrad(want, k.dy, weights, make([]float32, c.Scratch()))
	scratch := newGuarded(c.Scratch())
	c.sparseInputGrad(got.x, c.gradientImage().list(k.dy, scratch.x), weights)
	sameBits(t, fmt.Sprintf("%+v, density %v: dx", c, density), got.x, want)
	got.check(t, "dx")
	scratch.check(t, "scratch")
}

var sparseConvs = []Conv{
	{window(14, 14, 32, 5, 1, 2), 64},
	{window(9, 7, 16, 3, 1, 1), 48}, // three panels
	{window(6, 6, 8, 3, 1, 1), 100}, // seven panels, the last with four columns
	{window(5, 5, 72, 2, 1, 0), 80}, // five panels
	{window(8, 9, 24, 4, 1, 2), 30},
}

var densities = []float64{0, .1, .5, 1}

func TestSparse(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range append(sparseConvs, convs...) {
			for _, d := range densities {
				checkSparse(t, c, d, uint64(i))
			}
		}
	})
}

func TestSparseRandomShapes(t *testing.T) {
	r := newRand(3)
	tiny, inf, nan := math.Float32frombits(1), float32(math.Inf(1)), float32(math.NaN())
	eachImplementation(t, func(t *testing.T) {
		for i := range 200 {
			c := Conv{device.Window{H: 1 + r.IntN(10), W: 1 + r.IntN(10), C: 1 + r.IntN(40),
				KH: 1 + r.IntN(6), KW: 2 + r.IntN(4), Stride: 1,
				PadTop: r.IntN(4), PadLeft: r.IntN(4), PadBottom: r.IntN(4), PadRight: r.IntN(4)}, 1 + r.IntN(90)}
			if !validWindow(c.Window) {
				continue
			}
			switch i % 4 {
			case 0:
				checkSparse(t, c, r.Float64(), uint64(i), inf, nan, -inf)
			case 1:
				checkSparse(t, c, r.Float64(), uint64(i), tiny, -tiny, 1e-38, -1e-38, math.MaxFloat32)
			default:
				checkSparse(t, c, r.Float64(), uint64(i))
			}
		}
	})
}
