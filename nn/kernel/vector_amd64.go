package kernel

// The functions here run the assembly on whole vectors and the portable loop on what is left.

func vectorReLU(y, x []float32) {
	n := len(y) / lanes
	if n > 0 {
		reluAVX2(&y[0], &x[0], n)
	}
	portableReLU(y[n*lanes:], x[n*lanes:])
}

func vectorReLUGrad(dx, y, dy []float32) {
	n := len(dx) / lanes
	if n > 0 {
		reluGradAVX2(&dx[0], &y[0], &dy[0], n)
	}
	portableReLUGrad(dx[n*lanes:], y[n*lanes:], dy[n*lanes:])
}

func vectorAdd(dst, a, b []float32) {
	n := len(dst) / lanes
	if n > 0 {
		addAVX2(&dst[0], &a[0], &b[0], n)
	}
	portableAdd(dst[n*lanes:], a[n*lanes:], b[n*lanes:])
}

func vectorScale(dst, x []float32, f float32) {
	n := len(dst) / lanes
	if n > 0 {
		scaleAVX2(&dst[0], &x[0], f, n)
	}
	portableScale(dst[n*lanes:], x[n*lanes:], f)
}

func vectorAxpy(y []float32, f float32, x []float32) {
	n := len(y) / lanes
	if n > 0 {
		axpyAVX2(&y[0], f, &x[0], n)
	}
	portableAxpy(y[n*lanes:], f, x[n*lanes:])
}

// vectorAffine repeats the factors of a few channels (1 and 3 matter) until they fill vectors.
func vectorAffine(y, x, scale, shift []float32) {
	var factors, shifts [8 * lanes]float32
	if c := len(scale); c%lanes != 0 && c <= lanes {
		n := c * lanes
		for i := range n {
			factors[i], shifts[i] = scale[i%c], shift[i%c]
		}
		scale, shift = factors[:n], shifts[:n]
	}
	n := 0
	if len(scale)%lanes == 0 {
		n = len(y) / len(scale)
	}
	if n > 0 {
		affineAVX2(&y[0], &x[0], &scale[0], &shift[0], n, len(scale)/lanes)
	}
	y, x = y[n*len(scale):], x[n*len(scale):]
	for len(y) > 0 {
		c := min(len(scale), len(y))
		portableAffine(y[:c], x[:c], scale[:c], shift[:c])
		y, x = y[c:], x[c:]
	}
}

func vectorColumnSum(dst, x []float32, n, stride int) {
	if n == 0 {
		return
	}
	_ = x[(n-1)*stride+len(dst)-1]
	for len(dst) >= 4*lanes {
		columnSum32AVX2(&dst[0], &x[0], n, stride*floatBytes)
		dst, x = dst[4*lanes:], x[4*lanes:]
	}
	for len(dst) >= lanes {
		columnSum8AVX2(&dst[0], &x[0], n, stride*floatBytes)
		dst, x = dst[lanes:], x[lanes:]
	}
	portableColumnSum(dst, x, n, stride)
}

func vectorFinite(x []float32) bool {
	n := len(x) / lanes
	if n > 0 && !finiteAVX2(&x[0], n) {
		return false
	}
	return portableFinite(x[n*lanes:])
}

func vectorSignStep(adv, x, grad []float32, step, eps float32) {
	n := len(adv) / lanes
	if n > 0 {
		signStepAVX2(&adv[0], &x[0], &grad[0], step, eps, n)
	}
	portableSignStep(adv[n*lanes:], x[n*lanes:], grad[n*lanes:], step, eps)
}

func vectorMomentum(s momentumStep, w, g, v []float32) {
	n := len(w) / lanes
	if n > 0 {
		momentumAVX2(&w[0], &g[0], &v[0], n, s.clip, s.decay, s.momentum, s.fresh, s.old, s.rate)
	}
	n *= lanes
	portableMomentum(s, w[n:], g[n:], v[n:])
}

func vectorAdam(a adamStep, w, g, m, v []float32) {
	n := len(w) / lanes
	if n > 0 {
		adamAVX2(&w[0], &g[0], &m[0], &v[0], n,
			a.clip, a.decay, a.shrink, a.mean, a.beta2, a.square, a.root, a.epsilon, a.rate)
	}
	n *= lanes
	portableAdam(a, w[n:], g[n:], m[n:], v[n:])
}

func vectorMaxPool2(y []float32, index []uint8, top, bottom []float32, n, channels int) {
	if channels%lanes != 0 || n == 0 {
		portableMaxPool2(y, index, top, bottom, n, channels)
		return
	}
	_, _ = y[n*channels-1], index[n*channels-1]
	_, _ = top[2*n*channels-1], bottom[2*n*channels-1]
	maxPool2AVX2(&y[0], &index[0], &top[0], &bottom[0], n, channels/lanes)
}

func vectorUnpool2(top, bottom []float32, index []uint8, dy []float32, n, channels int) {
	if channels%lanes != 0 || n == 0 {
		portableUnpool2(top, bottom, index, dy, n, channels)
		return
	}
	_, _ = dy[n*channels-1], index[n*channels-1]
	_, _ = top[2*n*channels-1], bottom[2*n*channels-1]
	unpool2AVX2(&top[0], &bottom[0], &index[0], &dy[0], n, channels/lanes)
}

func vectorCopyRuns(dst, x []float32, n, step, size int) {
	if n == 0 || size == 0 {
		return
	}
	_, _ = dst[n*size-1], x[(n-1)*step+size-1]
	copyRunsAVX2(&dst[0], &x[0], n, step*floatBytes, size/lanes)
}

func vectorCountNonZeros(x []float32) int {
	n := len(x) / lanes
	if n == 0 {
		return portableCountNonZeros(x)
	}
	return countNonZerosAVX2(&x[0], n) + portableCountNonZeros(x[n*lanes:])
}
