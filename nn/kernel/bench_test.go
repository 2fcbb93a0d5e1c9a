package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"

	"rampart/nn/device"
)

// benchRows is the rows of a block of examples.
const benchRows = 25

var benchConvs = []struct {
	name string
	Conv
}{
	{"madry1", Conv{window(28, 28, 1, 5, 1, 2), 32}},
	{"madry2", Conv{window(14, 14, 32, 5, 1, 2), 64}},
	{"fast1", Conv{window(28, 28, 1, 4, 2, 1), 16}},
	{"fast2", Conv{window(14, 14, 16, 4, 2, 1), 32}},
	// ResNet-18 on images of 32x32: its first layer, and of each stage the layer that halves the
	// image, its shortcut, and the others.
	{"resnet", Conv{window(32, 32, 3, 3, 1, 1), 64}},
	{"resnet64", Conv{window(32, 32, 64, 3, 1, 1), 64}},
	{"resnet128/2", Conv{window(32, 32, 64, 3, 2, 1), 128}},
	{"resnet128/2short", Conv{window(32, 32, 64, 1, 2, 0), 128}},
	{"resnet128", Conv{window(16, 16, 128, 3, 1, 1), 128}},
	{"resnet256/2", Conv{window(16, 16, 128, 3, 2, 1), 256}},
	{"resnet256/2short", Conv{window(16, 16, 128, 1, 2, 0), 256}},
	{"resnet256", Conv{window(8, 8, 256, 3, 1, 1), 256}},
	{"resnet512/2", Conv{window(8, 8, 256, 3, 2, 1), 512}},
	{"resnet512/2short", Conv{window(8, 8, 256, 1, 2, 0), 512}},
	{"resnet512", Conv{window(4, 4, 512, 3, 1, 1), 512}},
	// WRN-16-4's first block; the others are among the above.
	{"wide64", Conv{window(32, 32, 16, 3, 1, 1), 64}},
}

var benchDenses = []struct {
	name string
	Dense
}{
	{"madry_fc1", Dense{3136, 1024}},
	{"madry_fc2", Dense{1024, 10}},
	{"fast_fc1", Dense{1568, 100}},
}

// measure runs f, which does that many multiply-adds, and reports its rate: of the whole loop, and
// of the best call, which other programs on the machine disturb less.
func measure(b *testing.B, products int, f func()) {
	measureUnits(b, products, 1, func(int) { f() })
}

// measureUnits is measure of work in pieces, and adds up the best call of each.
func measureUnits(b *testing.B, products, units int, f func(unit int)) {
	bests := make([]time.Duration, units)
	for i := range bests {
		bests[i] = math.MaxInt64
	}
	for b.Loop() {
		for i := range units {
			start := time.Now()
			f(i)
			bests[i] = min(bests[i], time.Since(start))
		}
	}
	best := time.Duration(0)
	for _, d := range bests {
		best += d
	}
	flops := 2 * float64(products)
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(flops/best.Seconds()/1e9, "best-GFLOP/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkPeak(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(PeakFLOPS()/1e9, "GFLOP/s")
	}
}

func BenchmarkConv(b *testing.B) {
	for _, c := range benchConvs {
		rows := max(2, 1024/(c.OutH()*c.OutW())) // some blocks of the weight gradient
		k := newConvCase(c.Conv, rows, 1)
		packed, flipped := make([]float32, c.PackedForward()), make([]float32, c.PackedInputGrad())
		c.PackForward(packed, k.w)
		c.PackInputGrad(flipped, k.w)
		scratch := make([]float32, c.Scratch())
		y, dx, dw := make([]float32, len(k.dy)), make([]float32, len(k.x)), make([]float32, len(k.w))
		products := c.taps() * len(y) / rows
		b.Run(c.name+"/forward", func(b *testing.B) {
			measure(b, products, func() {
				c.Forward(y, k.x, packed, k.bias, 1, true, scratch)
			})
		})
		b.Run(c.name+"/input", func(b *testing.B) {
			measure(b, products, func() {
				c.InputGrad(dx, k.dy, flipped, 1, scratch)
			})
		})
		b.Run(c.name+"/weight", func(b *testing.B) {
			shared, blocks := make([]float32, c.WeightGradShared(rows)), c.WeightGradBlocks(rows)
			measureUnits(b, rows*products, blocks+c.WeightGradUnits(), func(i int) {
				if i < blocks {
					c.PrepareWeightGrad(i, k.x, k.dy, rows, shared, scratch)
				} else {
					c.WeightGrad(i-blocks, dw, k.x, k.dy, rows, shared, scratch)
				}
			})
		})
	}
}

func BenchmarkDense(b *testing.B) {
	for _, d := range benchDenses {
		for _, rows := range []int{benchRows, 64} {
			r := newRand(1)
			x, dy, w := normals(r, rows*d.In), normals(r, rows*d.Out), normals(r, d.In*d.Out)
			packed, transposed := make([]float32, d.PackedForward()), make([]float32, d.PackedInputGrad())
			d.PackForward(packed, w)
			d.PackInputGrad(transposed, w)
			y, dx, scratch := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, d.Scratch(rows))
			shared := make([]float32, d.WeightGradShared(rows))
			name := fmt.Sprintf("%s/%d", d.name, rows)
			b.Run(name+"/forward", func(b *testing.B) {
				measure(b, rows*d.In*d.Out, func() {
					d.Forward(y, x, packed, nil, rows, true, nil)
				})
			})
			b.Run(name+"/input", func(b *testing.B) {
				measure(b, rows*d.In*d.Out, func() {
					d.InputGrad(dx, dy, transposed, rows, nil)
				})
			})
			b.Run(name+"/weight", func(b *testing.B) {
				blocks := d.WeightGradBlocks(rows)
				measureUnits(b, rows*d.In*d.Out, blocks+d.WeightGradUnits(), func(i int) {
					if i < blocks {
						d.PrepareWeightGrad(i, dy, rows, shared)
					} else {
						d.WeightGrad(i-blocks, w, x, rows, shared, scratch)
					}
				})
			})
		}
	}
}

func BenchmarkPack(b *testing.B) {
	d := Dense{3136, 1024}
	w, packed := make([]float32, d.In*d.Out), make([]float32, max(d.PackedForward(), d.PackedInputGrad()))
	b.SetBytes(int64(4 * len(w)))
	b.Run("forward", func(b *testing.B) {
		for b.Loop() {
			d.PackForward(packed, w)
		}
		b.SetBytes(int64(4 * len(w)))
	})
	b.Run("input", func(b *testing.B) {
		for b.Loop() {
			d.PackInputGrad(packed, w)
		}
		b.SetBytes(int64(4 * len(w)))
	})
}

func BenchmarkElementwise(b *testing.B) {
	const n = 28 * 28 * 32
	r := newRand(1)
	x, y, z := normals(r, n), normals(r, n), normals(r, n)
	index, v := make([]uint8, n), make([]float32, n)
	pool := device.Window{H: 28, W: 28, C: 32, KH: 2, KW: 2, Stride: 2}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"ReLU", func() { ReLU(y, x) }},
		{"ReLUGrad", func() { ReLUGrad(z, x, y) }},
		{"SignStep", func() { SignStep(y, x, z, .01, .3) }},
		{"Affine1", func() { Affine(y, x, x[:1], x[1:2]) }},
		{"BiasGrad", func() { BiasGrad(z[:32], x, n/32, 32) }},
		{"SumSquares", func() { SumSquares(x) }},
		{"AllFinite", func() { AllFinite(x) }},
		{"MaxPool", func() { MaxPool(pool, y, index, x) }},
		{"MaxPoolGrad", func() { MaxPoolGrad(pool, y, x, index) }},
		{"SGD", func() { SGD(device.SGD{Momentum: .9}, y, x, z, .01, 1) }},
		{"Adam", func() { Adam(device.Adam{Beta1: .9, Beta2: .999, Epsilon: 1e-8}, y, x, z, v, 1e-3, 1, 10) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				c.f()
			}
		})
	}
}

// BenchmarkDenormals multiplies values so small that they, and all sums, are denormal: the rates are
// to be those of BenchmarkConv.
func BenchmarkDenormals(b *testing.B) {
	c := benchConvs[1]
	k := newConvCase(c.Conv, 2, 1)
	Scale(k.x, k.x, 1e-39)
	Scale(k.dy, k.dy, 1e-39)
	clear(k.bias)
	packed, flipped, scratch := make([]float32, c.PackedForward()), make([]float32, c.PackedInputGrad()), make([]float32, c.Scratch())
	c.PackForward(packed, k.w)
	c.PackInputGrad(flipped, k.w)
	y, dx := make([]float32, len(k.dy)), make([]float32, len(k.x))
	products := c.taps() * len(y) / 2
	b.Run("forward", func(b *testing.B) {
		measure(b, products, func() { c.Forward(y, k.x, packed, k.bias, 1, true, scratch) })
	})
	b.Run("input", func(b *testing.B) {
		measure(b, products, func() { c.InputGrad(dx, k.dy, flipped, 1, scratch) })
	})
	b.Run("weight", func(b *testing.B) { // the products are zero
		measureUnits(b, 2*products, c.WeightGradUnits(), func(i int) { c.WeightGrad(i, k.w, k.x, k.dy, 2, nil, scratch) })
	})
}
