package kernel

// loops are assembly loops over n > 0 vectors of lanes values. The methods run them on whole vectors and
// the portable loop on what is left.
type loops struct {
	lanes     int
	relu      func(y, x *float32, n int)
	reluGrad  func(dx, y, dy *float32, n int)
	add       func(dst, a, b *float32, n int)
	scale     func(dst, x *float32, f float32, n int)
	axpy      func(y *float32, f float32, x *float32, n int)
	finite    func(x *float32, n int) bool
	count     func(x *float32, n int) int
	signStep  func(adv, x, grad *float32, step, eps float32, n int)
	momentum  func(w, grad, v *float32, n int, clip, decay, momentum, fresh, old, rate float32)
	adam      func(w, grad, m, v *float32, n int, clip, decay, shrink, mean, beta2, square, root, epsilon, rate float32)
	columnSum func(dst, x *float32, n, stride int) // of one vector of columns
	wideSum   func(dst, x *float32, n, stride int) // of four
}

var loopsAVX2 = &loops{
	lanes: 8, relu: reluAVX2, reluGrad: reluGradAVX2, add: addAVX2, scale: scaleAVX2, axpy: axpyAVX2,
	finite: finiteAVX2, count: countNonZerosAVX2, signStep: signStepAVX2, momentum: momentumAVX2, adam: adamAVX2,
	columnSum: columnSum8AVX2, wideSum: columnSum32AVX2,
}

var loopsAVX512 = &loops{
	lanes: 16, relu: reluAVX512, reluGrad: reluGradAVX512, add: addAVX512, scale: scaleAVX512, axpy: axpyAVX512,
	finite: finiteAVX512, count: countNonZerosAVX512, signStep: signStepAVX512, momentum: momentumAVX512, adam: adamAVX512,
	columnSum: columnSum16AVX512, wideSum: columnSum64AVX512,
}

// use has an implementation run the loops.
func (l *loops) use(im *implementation) {
	im.relu, im.reluGrad = l.runReLU, l.runReLUGrad
	im.add, im.scale, im.axpy = l.runAdd, l.runScale, l.runAxpy
	im.finite, im.count = l.runFinite, l.runCount
	im.signStep, im.momentum, im.adam = l.runSignStep, l.runMomentum, l.runAdam
	im.columnSum = l.runColumnSum
}

// whole is the number of whole vectors among n values, and of the values in them.
func (l *loops) whole(n int) (vectors, values int) { return n / l.lanes, n / l.lanes * l.lanes }

func (l *loops) runReLU(y, x []float32) {
	n, done := l.whole(len(y))
	if n > 0 {
		l.relu(&y[0], &x[0], n)
	}
	portableReLU(y[done:], x[done:])
}

func (l *loops) runReLUGrad(dx, y, dy []float32) {
	n, done := l.whole(len(dx))
	if n > 0 {
		l.reluGrad(&dx[0], &y[0], &dy[0], n)
	}
	portableReLUGrad(dx[done:], y[done:], dy[done:])
}

func (l *loops) runAdd(dst, a, b []float32) {
	n, done := l.whole(len(dst))
	if n > 0 {
		l.add(&dst[0], &a[0], &b[0], n)
	}
	portableAdd(dst[done:], a[done:], b[done:])
}

func (l *loops) runScale(dst, x []float32, f float32) {
	n, done := l.whole(len(dst))
	if n > 0 {
		l.scale(&dst[0], &x[0], f, n)
	}
	portableScale(dst[done:], x[done:], f)
}

func (l *loops) runAxpy(y []float32, f float32, x []float32) {
	n, done := l.whole(len(y))
	if n > 0 {
		l.axpy(&y[0], f, &x[0], n)
	}
	portableAxpy(y[done:], f, x[done:])
}

func (l *loops) runColumnSum(dst, x []float32, n, stride int) {
	if n == 0 {
		return
	}
	_ = x[(n-1)*stride+len(dst)-1]
	for len(dst) >= 4*l.lanes {
		l.wideSum(&dst[0], &x[0], n, stride*floatBytes)
		dst, x = dst[4*l.lanes:], x[4*l.lanes:]
	}
	for len(dst) >= l.lanes {
		l.columnSum(&dst[0], &x[0], n, stride*floatBytes)
		dst, x = dst[l.lanes:], x[l.lanes:]
	}
	portableColumnSum(dst, x, n, stride)
}

func (l *loops) runFinite(x []float32) bool {
	n, done := l.whole(len(x))
	if n > 0 && !l.finite(&x[0], n) {
		return false
	}
	return portableFinite(x[done:])
}

func (l *loops) runCount(x []float32) int {
	n, done := l.whole(len(x))
	if n == 0 {
		return portableCountNonZeros(x)
	}
	return l.count(&x[0], n) + portableCountNonZeros(x[done:])
}

func (l *loops) runSignStep(adv, x, grad []float32, step, eps float32) {
	n, done := l.whole(len(adv))
	if n > 0 {
		l.signStep(&adv[0], &x[0], &grad[0], step, eps, n)
	}
	portableSignStep(adv[done:], x[done:], grad[done:], step, eps)
}

func (l *loops) runMomentum(s momentumStep, w, g, v []float32) {
	n, done := l.whole(len(w))
	if n > 0 {
		l.momentum(&w[0], &g[0], &v[0], n, s.clip, s.decay, s.momentum, s.fresh, s.old, s.rate)
	}
	portableMomentum(s, w[done:], g[done:], v[done:])
}

func (l *loops) runAdam(a adamStep, w, g, m, v []float32) {
	n, done := l.whole(len(w))
	if n > 0 {
		l.adam(&w[0], &g[0], &m[0], &v[0], n,
			a.clip, a.decay, a.shrink, a.mean, a.beta2, a.square, a.root, a.epsilon, a.rate)
	}
	portableAdam(a, w[done:], g[done:], m[done:], v[done:])
}
