package kernel

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// BenchmarkWinograd takes turns with the direct form, non-zeros only where that is its choice, at two
// densities, and reports the median rates by processor time, all products counted, and their ratio.
func BenchmarkWinograd(b *testing.B) {
	for _, c := range benchConvs {
		if !c.mayWinograd() || c.C < lanes {
			continue
		}
		rows := 1
		if c.winogradForward().patches() < leastBlock/2 {
			rows = 32
		}
		for _, density := range []float64{1, .5} {
			k := newConvCase(c.Conv, rows, 1)
			thin(k.x, density, 1)
			thin(k.dy, density, 2)
			y, dx := make([]float32, len(k.dy)), make([]float32, len(k.x))
			scratch := make([]float32, max(c.directScratch(), c.winogradForward().scratch(), c.winogradInputGrad().scratch()))
			images := func(f func(in, out int)) {
				for r := range rows {
					f(r*len(k.x)/rows, r*len(k.dy)/rows)
				}
			}
			direct, packed := make([]float32, c.directForward()), make([]float32, c.winogradForward().packedSize())
			c.packDirectForward(direct, k.w)
			c.packWinograd(packed, k.w)
			b.Run(fmt.Sprintf("%s/forward/%v", c.name, density), func(b *testing.B) {
				compare(b, c.taps()*len(y), func() {
					images(func(in, out int) { c.forward(y[out:], k.x[in:], direct, k.bias, true, scratch) })
				}, func() { c.winogradForward().run(y, k.x, packed, k.bias, rows, true, scratch) })
			})
			direct, packed = make([]float32, c.directInputGrad()), make([]float32, c.winogradInputGrad().packedSize())
			c.packDirectInputGrad(direct, k.w)
			c.packWinogradInputGrad(packed, k.w)
			b.Run(fmt.Sprintf("%s/input/%v", c.name, density), func(b *testing.B) {
				compare(b, c.taps()*len(y), func() {
					images(func(in, out int) { c.inputGrad(dx[in:], k.dy[out:], direct, scratch) })
				}, func() { c.winogradInputGrad().run(dx, k.dy, packed, nil, rows, false, scratch) })
			})
		}
		k := newConvCase(c.Conv, 1, 1)
		packed := make([]float32, max(c.winogradForward().packedSize(), c.winogradInputGrad().packedSize()))
		b.Run(c.name+"/pack", func(b *testing.B) {
			b.SetBytes(int64(4 * len(k.w)))
			for b.Loop() {
				c.packWinograd(packed, k.w)
				c.packWinogradInputGrad(packed, k.w)
			}
		})
	}
}

// compare runs two ways of the same work in turn.
func compare(b *testing.B, products int, before, after func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var times [2][]time.Duration
	for b.Loop() {
		for i, f := range []func(){before, after} {
			start := threadTime()
			f()
			times[i] = append(times[i], threadTime()-start)
		}
	}
	var median [2]float64
	for i, t := range times {
		slices.Sort(t)
		median[i] = t[len(t)/2].Seconds()
	}
	b.ReportMetric(2*float64(products)/median[0]/1e9, "direct-GFLOP/s")
	b.ReportMetric(2*float64(products)/median[1]/1e9, "GFLOP/s")
	b.ReportMetric(median[0]/median[1], "ratio")
	b.ReportMetric(0, "ns/op")
}
