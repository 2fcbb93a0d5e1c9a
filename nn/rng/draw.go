package rng

import "math"

// Uniform fills dst with element 0, 1, ... of the stream at (example, restart, step), uniform
// between lo and hi. With w the element's 32-bit word the value is, each operation in float32,
//
//	lo + (hi-lo) * (w>>8 / 2^24)
//
// It is never below lo or, since a float32 product by at most 1-2^-24 lies below hi-lo, above hi;
// it can equal hi by rounding.
func (s Stream) Uniform(dst []float32, lo, hi float32, example, restart, step uint32) {
	width := hi - lo
	for i := 0; i < len(dst); i += 4 {
		words := s.Block(example, restart, step, uint32(i/4))
		for j := range dst[i:min(i+4, len(dst))] {
			// The conversion forbids a fused multiply-add, so that all machines agree.
			dst[i+j] = lo + float32(width*unit(words[j]))
		}
	}
}

// unit is uniform on the multiples of 2^-24 in [0,1).
func unit(word uint32) float32 { return float32(word>>8) * 0x1p-24 }

// Normal fills dst with element 0, 1, ... of the stream at (example, restart, step), normal with
// the given mean and standard deviation. Box and Muller's transform turns the words a, b of
// elements 2i and 2i+1 into their values; in float64, then rounded once to float32:
//
//	r = sqrt(-2 ln((a+1)/2^32)), t = 2 pi b/2^32; mean + std*r*cos(t), mean + std*r*sin(t)
//
// No value lies further out than 6.67 standard deviations.
func (s Stream) Normal(dst []float32, mean, std float32, example, restart, step uint32) {
	m, d := float64(mean), float64(std)
	for i := 0; i < len(dst); i += 4 {
		z := s.normals(example, restart, step, uint32(i/4))
		for j := range dst[i:min(i+4, len(dst))] {
			dst[i+j] = float32(m + float64(d*z[j]))
		}
	}
}

// normals turns a block into four standard normal values.
func (s Stream) normals(example, restart, step, block uint32) (z [4]float64) {
	words := s.Block(example, restart, step, block)
	for j := 0; j < 4; j += 2 {
		r := math.Sqrt(-2 * math.Log((float64(words[j])+1)*0x1p-32))
		sin, cos := math.Sincos(2 * math.Pi * (float64(words[j+1]) * 0x1p-32))
		z[j], z[j+1] = r*cos, r*sin
	}
	return z
}

// TruncatedNormal fills dst like Normal but redraws values that lie more than two standard
// deviations from the mean, as TensorFlow's truncated_normal does; std is that of the normal
// before it is truncated (0.8796 of it remains).
//
// Element i takes the first good one of the four values of block i, then of block i of the
// streams that derive from s, so that it does not depend on its neighbours.
func (s Stream) TruncatedNormal(dst []float32, mean, std float32, example, restart, step uint32) {
	m, d := float64(mean), float64(std)
	for i := range dst {
		dst[i] = float32(m + float64(d*s.truncated(example, restart, step, uint32(i))))
	}
}

func (s Stream) truncated(example, restart, step, block uint32) float64 {
	for t, attempt := s, uint64(1); ; attempt++ {
		for _, z := range t.normals(example, restart, step, block) {
			if math.Abs(z) <= 2 {
				return z
			}
		}
		t = s.derive(attempt)
	}
}
