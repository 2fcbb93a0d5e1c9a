package kernel

// NormChannels is how many channels the functions of batch normalisation take at a time: those of a
// cache line, so that each line of [n,channels] is read once a pass.
const NormChannels = 16

// NormSums holds sums over positions, by channel. The sums are in double precision, in the order of
// the positions.
type NormSums struct {
	Sum, Dot, MeanA, MeanB [NormChannels]float64
}

// Add adds a to Sum, and (a-MeanA)*(b-MeanB) to Dot, for n positions [n,channels] of the first cols channels of
// a and b.
func (s *NormSums) Add(a, b []float32, n, channels, cols int) {
	if n == 0 {
		return
	}
	last := (n-1)*channels + cols
	current.normSums(s, a[:last], b[:last], n, channels, cols)
}

// NormFactors are what a value of a channel is normalised with.
type NormFactors struct {
	Mean, Scale, Shift [NormChannels]float32
	// Slope is used by Gradient only.
	Slope [NormChannels]float32
}

// Apply computes y = (x-Mean)*Scale + Shift for n positions [n,channels] of the first cols channels of
// y and x.
func (f *NormFactors) Apply(y, x []float32, n, channels, cols int) {
	if n == 0 {
		return
	}
	last := (n-1)*channels + cols
	current.normalize(f, y[:last], x[:last], n, channels, cols)
}

// Gradient computes dx = ((dy-Shift) - (x-Mean)*Slope)*Scale likewise.
func (f *NormFactors) Gradient(dx, x, dy []float32, n, channels, cols int) {
	if n == 0 {
		return
	}
	last := (n-1)*channels + cols
	current.normalizeGrad(f, dx[:last], x[:last], dy[:last], n, channels, cols)
}

func portableNormSums(s *NormSums, a, b []float32, n, channels, cols int) {
	for i := range n {
		x, y := a[i*channels:][:cols], b[i*channels:][:cols]
		for c, v := range x {
			s.Sum[c] += float64(v)
			s.Dot[c] += float64((float64(v) - s.MeanA[c]) * (float64(y[c]) - s.MeanB[c])) // not fused
		}
	}
}

func portableNormalize(f *NormFactors, y, x []float32, n, channels, cols int) {
	for i := range n {
		in, out := x[i*channels:][:cols], y[i*channels:][:cols]
		for c, v := range in {
			out[c] = float32((v-f.Mean[c])*f.Scale[c]) + f.Shift[c]
		}
	}
}

func portableNormalizeGrad(f *NormFactors, dx, x, dy []float32, n, channels, cols int) {
	for i := range n {
		in, grad, out := x[i*channels:][:cols], dy[i*channels:][:cols], dx[i*channels:][:cols]
		for c, v := range in {
			out[c] = ((grad[c] - f.Shift[c]) - float32((v-f.Mean[c])*f.Slope[c])) * f.Scale[c]
		}
	}
}
