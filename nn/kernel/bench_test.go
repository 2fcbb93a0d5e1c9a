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
	{"resnet1", Conv{window(32, 32, 3, 3, 1, 1), 64}},
	{"resnet2", Conv{window(32, 32, 64, 3, 1, 1), 64}},
	{"resnet5", Conv{window(4, 4, 512, 3, 1, 1), 512}},
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
				c.Forward(y, k.x, packed, k.bias, true, scratch)
			})
		})
		b.Run(c.name+"/input", func(b *testing.B) {
			measure(b, products, func() {
				c.InputGrad(dx, k.dy, flipped, scratch)
			})
		})
		b.Run(c.name+"/weight", func(b *testing.B) {
			measureUnits(b, rows*products, c.WeightGradUnits(), func(unit int) {
				c.WeightGrad(unit, dw, k.x, k.dy, rows, nil, scratch)
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

// BenchmarkSparse counts all products, so that its rates compare with those of the dense form.
func BenchmarkSparse(b *testing.B) {
	for _, c := range benchConvs {
		if c.C < 4 || !c.hasSparse() {
			continue
		}
		for _, density := range []float64{1, .6, .36, .19, .13, .10} {
			k := newConvCase(c.Conv, 1, 1)
			thin(k.x, density, 1)
			thin(k.dy, density, 2)
			packed, flipped := make([]float32, c.PackedForward()), make([]float32, c.PackedInputGrad())
			c.PackForward(packed, k.w)
			c.PackInputGrad(flipped, k.w)
			packed, _ = noted(packed)
			flipped, _ = noted(flipped)
			scratch := make([]float32, c.Scratch())
			y, dx := make([]float32, len(k.dy)), make([]float32, len(k.x))
			products := c.taps() * len(y)
			for name, f := range map[string]func(){
				"forward/dense":  func() { c.denseForward(y, k.x, packed, k.bias, true, scratch) },
				"forward/sparse": func() { c.sparseForward(y, c.paddedImage().list(k.x, scratch), packed, k.bias, true) },
				"input/dense":    func() { c.denseInputGrad(dx, k.dy, flipped, scratch) },
				"input/sparse":   func() { c.sparseInputGrad(dx, c.gradientImage().list(k.dy, scratch), flipped) },
			} {
				b.Run(fmt.Sprintf("%s/%s/%v", c.name, name, density), func(b *testing.B) { measure(b, products, f) })
			}
		}
		k := newConvCase(c.Conv, 1, 1)
		thin(k.x, .2, 1)
		scratch := make([]float32, c.Scratch())
		b.Run(c.name+"/list", func(b *testing.B) {
			best := time.Duration(math.MaxInt64)
			for b.Loop() {
				start := time.Now()
				c.paddedImage().list(k.x, scratch)
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(best.Nanoseconds()), "best-ns")
		})
	}
}

// BenchmarkSparseDense counts all products, as BenchmarkSparse does.
func BenchmarkSparseDense(b *testing.B) {
	d := Dense{3136, 1024}
	for _, rows := range []int{benchRows, 64} {
		for _, density := range []float64{1, .5, .4, .3, .2} {
			r := newRand(1)
			x, dy, w := normals(r, rows*d.In), normals(r, rows*d.Out), normals(r, d.In*d.Out)
			thin(x, density, 1)
			thin(dy, density, 2)
			packed, transposed := make([]float32, d.PackedForward()), make([]float32, d.PackedInputGrad())
			d.PackForward(packed, w)
			d.PackInputGrad(transposed, w)
			y, dx, scratch := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, d.ListScratch(rows))
			packed, _ = noted(packed)
			transposed, _ = noted(transposed)
			for name, f := range map[string]func(){
				"forward/dense": func() { multiply(y, x, packed, nil, rows, d.In, d.Out, true) },
				"forward/sparse": func() {
					l, _ := listAllRows(x, scratch, rows, d.In)
					sparseMultiply(y, l, packed, nil, rows, d.In, d.Out, true)
				},
				"input/dense": func() { multiply(dx, dy, transposed, nil, rows, d.Out, d.In, false) },
				"input/sparse": func() {
					l, _ := listAllRows(dy, scratch, rows, d.Out)
					sparseMultiply(dx, l, transposed, nil, rows, d.Out, d.In, false)
				},
			} {
				b.Run(fmt.Sprintf("madry_fc1/%d/%s/%v", rows, name, density), func(b *testing.B) {
					measure(b, rows*d.In*d.Out, f)
				})
			}
			shared, units := make([]float32, d.WeightGradShared(rows)), d.WeightGradUnits()
			scratch = make([]float32, d.Scratch(rows))
			for b := range d.WeightGradBlocks(rows) {
				d.PrepareWeightGrad(b, dy, rows, shared)
			}
			b.Run(fmt.Sprintf("madry_fc1/%d/weight/dense/%v", rows, density), func(b *testing.B) {
				measureUnits(b, rows*d.In*d.Out, units, func(i int) {
					first, end := cut(d.In, i, units)
					d.denseWeightGrad(w, x, shared, rows, first, end, scratch)
				})
			})
			b.Run(fmt.Sprintf("madry_fc1/%d/weight/sparse/%v", rows, density), func(b *testing.B) {
				measureUnits(b, rows*d.In*d.Out, units, func(i int) {
					first, end := cut(d.In, i, units)
					d.sparseWeightGrad(w, x, shared, rows, first, end, scratch)
				})
			})
		}
	}
}

// BenchmarkSparseWeightGrad counts all products, as BenchmarkSparse does. The lists are a unit of
// their own.
func BenchmarkSparseWeightGrad(b *testing.B) {
	for _, c := range benchConvs {
		rows := max(2, 1024/(c.OutH()*c.OutW()))
		shared, scratch := make([]float32, c.WeightGradShared(rows)), make([]float32, c.Scratch())
		for _, density := range []float64{.4, .25, .1, .05} {
			k := newConvCase(c.Conv, rows, 1)
			thin(k.dy, density, 2)
			lists, units := c.WeightGradBlocks(rows), c.WeightGradUnits()
			b.Run(fmt.Sprintf("%s/%v", c.name, density), func(b *testing.B) {
				measureUnits(b, rows*c.taps()*c.OutH()*c.OutW()*c.Out, lists+units, func(i int) {
					if i < lists {
						c.PrepareWeightGrad(i, k.x, k.dy, rows, shared, scratch)
					} else {
						c.WeightGrad(i-lists, k.w, k.x, k.dy, rows, shared, scratch)
					}
				})
			})
			b.Run(fmt.Sprintf("%s/%v/list", c.name, density), func(b *testing.B) {
				measureUnits(b, rows*c.taps()*c.OutH()*c.OutW()*c.Out, lists, func(i int) {
					c.PrepareWeightGrad(i, k.x, k.dy, rows, shared, scratch)
				})
			})
		}
	}
}
