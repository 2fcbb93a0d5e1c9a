package kernel

// Mul computes dst = a*b for rows of size values of a, each with channels values of b that repeat along
// it; size is a multiple of channels. dst may be a.
func Mul(dst, a, b []float32, size, channels int) {
	for ; len(dst) > 0; dst, a, b = dst[size:], a[size:], b[channels:] {
		for at := 0; at < size; at += channels {
			y, x, factors := dst[at:at+channels], a[at:at+channels], b[:channels]
			for i, v := range x {
				y[i] = v * factors[i]
			}
		}
	}
}
