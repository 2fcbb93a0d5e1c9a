package cpu

// put copies groups of width values to dst, where stride values lie between their starts.
func put(dst, src []float32, stride, width int) {
	for i := range len(src) / width {
		copy(dst[i*stride:][:width], src[i*width:])
	}
}

// take is the reverse of put.
func take(dst, src []float32, stride, width int) {
	for i := range len(dst) / width {
		copy(dst[i*width:][:width], src[i*stride:])
	}
}
