package transform

// mirror maps a position on a line of n pixels into it: the line is mirrored at its ends, the last
// pixel being doubled, as often as needed (scipy's mode "reflect").
func mirror(i, n int) int {
	i %= 2 * n
	if i < 0 {
		i += 2 * n
	}
	if i >= n {
		i = 2*n - 1 - i
	}
	return i
}
