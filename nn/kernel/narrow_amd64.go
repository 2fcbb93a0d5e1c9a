package kernel

// The functions here run AVX2 on whole vectors; the other widths gain nothing.

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

// vectorTranspose leaves what is not in blocks of 8 lines and 8 columns to portable Go.
func vectorTranspose(dst, x []float32, lines, columns, dstStep, step int) {
	blocks := columns / lanes
	whole := blocks * lanes
	if blocks > 0 {
		for ; lines >= lanes; lines -= lanes {
			_, _ = dst[(columns-1)*dstStep+lanes-1], x[(lanes-1)*step+columns-1]
			transposeAVX2(&dst[0], &x[0], blocks, dstStep*floatBytes, step*floatBytes)
			if whole < columns {
				portableTranspose(dst[whole*dstStep:], x[whole:], lanes, columns-whole, dstStep, step)
			}
			if lines == lanes {
				return
			}
			dst, x = dst[lanes:], x[lanes*step:]
		}
	}
	portableTranspose(dst, x, lines, columns, dstStep, step)
}
