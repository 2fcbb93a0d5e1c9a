package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkSparse counts all products, so that its rates compare with those of the dense form.
func BenchmarkSparse(b *testing.B) {
	for _, c := range benchConvs {
		if c.C < 4 || !c.hasSparse() || c.hasWinograd() {
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
					sparseMultiply(y, l, packed, nil, rows, d.In, d.Out, pitch(d.In), true)
				},
				"input/dense": func() { multiply(dx, dy, transposed, nil, rows, d.Out, d.In, false) },
				"input/sparse": func() {
					l, _ := listAllRows(dy, scratch, rows, d.Out)
					sparseMultiply(dx, l, transposed, nil, rows, d.Out, d.In, pitch(d.Out), false)
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
