package kernel

// normLoops are the assembly of batch normalisation, which takes all channels of a NormSums; fewer are
// left to portable Go. The callers have cut the slices to what is read.
type normLoops struct {
	sums      func(sum, dot, meanA, meanB *float64, a, b *float32, n, stride int)
	normalize func(mean, scale, shift, y, x *float32, n, stride int)
	grad      func(mean, scale, shift, slope, dx, x, dy *float32, n, stride int)
}

var (
	normAVX2   = &normLoops{normSumsAVX2, normalizeAVX2, normalizeGradAVX2}
	normAVX512 = &normLoops{normSumsAVX512, normalizeAVX512, normalizeGradAVX512}
)

// use has an implementation run the loops.
func (l *normLoops) use(im *implementation) {
	im.normSums, im.normalize, im.normalizeGrad = l.runSums, l.runNormalize, l.runGrad
}

func (l *normLoops) runSums(s *NormSums, a, b []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormSums(s, a, b, n, channels, cols)
		return
	}
	l.sums(&s.Sum[0], &s.Dot[0], &s.MeanA[0], &s.MeanB[0], &a[0], &b[0], n, channels*floatBytes)
}

func (l *normLoops) runNormalize(f *NormFactors, y, x []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormalize(f, y, x, n, channels, cols)
		return
	}
	l.normalize(&f.Mean[0], &f.Scale[0], &f.Shift[0], &y[0], &x[0], n, channels*floatBytes)
}

func (l *normLoops) runGrad(f *NormFactors, dx, x, dy []float32, n, channels, cols int) {
	if cols < NormChannels {
		portableNormalizeGrad(f, dx, x, dy, n, channels, cols)
		return
	}
	l.grad(&f.Mean[0], &f.Scale[0], &f.Shift[0], &f.Slope[0], &dx[0], &x[0], &dy[0], n, channels*floatBytes)
}
