package kernel

// rectify is max(v, 0), and NaN for NaN.
func rectify(v float32) float32 {
	if v < 0 {
		return 0
	}
	return v
}

// ReLU computes y = max(x, 0). y and x may be the same slice.
func ReLU(y, x []float32) { current.relu(y, x[:len(y)]) }

// ReLUGrad computes dx = dy where y > 0, else 0. dx and dy may be the same slice.
func ReLUGrad(dx, y, dy []float32) { current.reluGrad(dx, y[:len(dx)], dy[:len(dx)]) }

// Add computes dst = a + b. dst may be a or b.
func Add(dst, a, b []float32) { current.add(dst, a[:len(dst)], b[:len(dst)]) }

// Scale computes dst = f*x. dst may be x.
func Scale(dst, x []float32, f float32) { current.scale(dst, x[:len(dst)], f) }

// Axpy computes y += f*x.
func Axpy(y []float32, f float32, x []float32) { current.axpy(y, f, x[:len(y)]) }

// Affine computes y = x*scale[c] + shift[c] for x [.., C] with C = len(scale). y may be x.
func Affine(y, x, scale, shift []float32) {
	x, shift = x[:len(y)], shift[:len(scale)]
	if len(y)%len(scale) != 0 {
		panic("kernel: Affine: the length is no multiple of the channels")
	}
	current.affine(y, x, scale, shift)
}

// AllFinite reports whether x holds neither NaN nor infinity.
func AllFinite(x []float32) bool { return current.finite(x) }

// The portable loops round after each multiplication (the conversions forbid fusing), as the
// assembly does, so that elementwise results are the same on every processor.

func portableReLU(y, x []float32) {
	for i, v := range x[:len(y)] {
		y[i] = rectify(v)
	}
}

func portableReLUGrad(dx, y, dy []float32) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i := range dx {
		if y[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}

func portableAdd(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func portableScale(dst, x []float32, f float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = f * x[i]
	}
}

func portableAxpy(y []float32, f float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float32(f * x[i])
	}
}

func portableAffine(y, x, scale, shift []float32) {
	shift = shift[:len(scale)]
	for i := 0; i < len(y); i += len(scale) {
		out, in := y[i:][:len(scale)], x[i:][:len(scale)]
		for c, f := range scale {
			out[c] = float32(in[c]*f) + shift[c]
		}
	}
}

// portableFinite relies on 0*v being 0 for every finite v, and NaN otherwise.
func portableFinite(x []float32) bool {
	var sum float32
	for _, v := range x {
		sum += float32(0 * v)
	}
	return sum == 0
}
