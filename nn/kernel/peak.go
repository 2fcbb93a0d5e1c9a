package kernel

import "time"

// measurePeak returns the best rate of several short runs, since other programs disturb some.
func measurePeak(run func(n int) float64) float64 {
	best := 0.0
	for range 20 {
		start := time.Now()
		flops := run(200_000)
		best = max(best, flops/time.Since(start).Seconds())
	}
	return best
}

// peakSink keeps the compiler from removing portablePeak's loop.
//
//lint:ignore U1000 written, never read: that is its use
var peakSink float32

// portablePeak does 8 independent multiply-adds n times.
func portablePeak(n int) float64 {
	var a, b, c, d, e, f, g, h float32
	m, x := float32(.999), float32(len(Variable))
	for range n {
		a, b, c, d = a*m+x, b*m+x, c*m+x, d*m+x
		e, f, g, h = e*m+x, f*m+x, g*m+x, h*m+x
	}
	peakSink = a + b + c + d + e + f + g + h
	return float64(n) * 16
}
