package kernel

// blockPositions bounds the terms added up before they join the total: sums over a large batch
// then lose less to rounding.
const blockPositions = 256

// BiasGrad sums dy [n,channels] over its n positions (rows times pixels) into db [channels].
func BiasGrad(db, dy []float32, n, channels int) {
	db, dy = db[:channels], dy[:n*channels]
	clear(db)
	for i := 0; i < n; i += blockPositions {
		current.columnSum(db, dy[i*channels:], min(blockPositions, n-i), channels)
	}
}

// portableColumnSum adds to each dst[c] the sum of x[i*stride+c] over i < n.
func portableColumnSum(dst, x []float32, n, stride int) {
	c := 0
	for ; c+4 <= len(dst); c += 4 {
		var s0, s1, s2, s3 float32
		for i := range n {
			v := (*[4]float32)(x[i*stride+c:])
			s0 += v[0]
			s1 += v[1]
			s2 += v[2]
			s3 += v[3]
		}
		dst[c] += s0
		dst[c+1] += s1
		dst[c+2] += s2
		dst[c+3] += s3
	}
	for ; c < len(dst); c++ {
		var s float32
		for i := range n {
			s += x[i*stride+c]
		}
		dst[c] += s
	}
}

// Dot is the sum of a[i]*b[i], in double precision and in an order fixed by the length.
func Dot(a, b []float32) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for len(a) >= 4 {
		x, y := (*[4]float32)(a), (*[4]float32)(b)
		s0 += float64(x[0]) * float64(y[0]) // exact products: fusing changes nothing
		s1 += float64(x[1]) * float64(y[1])
		s2 += float64(x[2]) * float64(y[2])
		s3 += float64(x[3]) * float64(y[3])
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += float64(v) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// SumSquares is the sum of x[i]², in double precision and in an order fixed by the length.
func SumSquares(x []float32) float64 { return Dot(x, x) }
