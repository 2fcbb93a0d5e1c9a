package kernel

// The assembly takes all channels of a NormSums; fewer are left to portable Go. The callers have cut
// the slices to what is read.

func vectorNormSums(s *NormSums, a, b []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormSums(s, a, b, n, channels, cols)
		return
	}
	normSumsAVX2(&s.Sum[0], &s.Dot[0], &s.MeanA[0], &s.MeanB[0], &a[0], &b[0], n, channels*floatBytes)
}

func vectorNormalize(f *NormFactors, y, x []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormalize(f, y, x, n, channels, cols)
		return
	}
	normalizeAVX2(&f.Mean[0], &f.Scale[0], &f.Shift[0], &y[0], &x[0], n, channels*floatBytes)
}

func vectorNormalizeGrad(f *NormFactors, dx, x, dy []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormalizeGrad(f, dx, x, dy, n, channels, cols)
		return
	}
	normalizeGradAVX2(&f.Mean[0], &f.Scale[0], &f.Shift[0], &f.Slope[0], &dx[0], &x[0], &dy[0], n, channels*floatBytes)
}
