package device

import "rampart/nn/rng"

// DropoutMask writes the mask of one row: 0 or 1/(1-rate), for each value of an example. Every
// executor uses it, so that all draw the same masks. noise is Call's.
func DropoutMask(dst []float32, rate float32, noise uint64, layer, row int) {
	rng.New(noise, "dropout").Uniform(dst, 0, 1, uint32(row), uint32(layer), 0)
	keep := 1 / (1 - rate)
	for i, u := range dst {
		if u >= rate {
			dst[i] = keep
		} else {
			dst[i] = 0
		}
	}
}
