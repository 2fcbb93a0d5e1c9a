package kernel

// Dense is a fully connected layer on rows of examples: x [rows,In], w [In,Out], y [rows,Out].
type Dense struct{ In, Out int }

// PackedForward is the number of values of the weights packed for Forward.
func (d Dense) PackedForward() int { return pitch(d.In)*panels(d.Out)*panel + noteSize }

// PackForward packs w [In,Out] for Forward.
func (d Dense) PackForward(dst, w []float32) {
	w = w[:d.In*d.Out]
	packPanels(note(dst[:d.PackedForward()], w), w, d.In, d.Out, pitch(d.In))
}

// PackedInputGrad is the number of values of the weights packed for InputGrad.
func (d Dense) PackedInputGrad() int { return pitch(d.Out)*panels(d.In)*panel + noteSize }

// PackInputGrad packs w [In,Out] for InputGrad.
func (d Dense) PackInputGrad(dst, w []float32) {
	w = w[:d.In*d.Out]
	packTransposed(note(dst[:d.PackedInputGrad()], w), w, d.Out, d.In, pitch(d.Out))
}

// ListScratch is the number of values that Forward and InputGrad may use as scratch, to multiply
// only what is not zero; with less they multiply all, with the same result.
func (d Dense) ListScratch(rows int) int { return sparseScratch(rows, max(d.In, d.Out)) }

// Forward computes y = x*w + bias, with ReLU on top if relu is set. bias may be nil.
func (d Dense) Forward(y, x, packed, bias []float32, rows int, relu bool, scratch []float32) {
	b, finite := noted(packed[:d.PackedForward()])
	multiplyEither(y[:rows*d.Out], x[:rows*d.In], b, bias, finite && !hasNegativeZero(bias), rows, d.In, d.Out, relu, scratch)
}

// InputGrad computes dx [rows,In] from dy [rows,Out].
func (d Dense) InputGrad(dx, dy, packed []float32, rows int, scratch []float32) {
	b, finite := noted(packed[:d.PackedInputGrad()])
	multiplyEither(dx[:rows*d.In], dy[:rows*d.Out], b, nil, finite, rows, d.Out, d.In, false, scratch)
}

// multiplyEither takes the form that is faster.
func multiplyEither(y, x, b, bias []float32, maySkip bool, rows, k, n int, relu bool, scratch []float32) {
	if maySkip {
		if l, ok := listRows(x, scratch, rows, k, n); ok {
			sparseMultiply(y, l, b, bias, rows, k, n, pitch(k), relu)
			return
		}
	}
	multiply(y, x, b, bias, rows, k, n, relu)
}

// residentValues bounds what multiply expects to stay in the second-level cache.
const residentValues = 64 << 10

// multiply computes y [rows,n] = x [rows,k] * b, b in panels at their pitch. Each weight is read from memory once,
// since a block of a panel stays in the first-level cache while all rows meet it. What is read
// again for each panel should stay in the second-level cache: all of x, or else a block of its
// columns.
func multiply(y, x, b, bias []float32, rows, k, n int, relu bool) {
	if rows == 0 {
		return
	}
	blocks := (k + blockTaps - 1) / blockTaps
	size := (k + blocks - 1) / blocks
	m := multiplication{y: y, x: x, b: b[:panels(n)*panel*pitch(k)], bias: bias, rows: rows, k: k, n: n, pitch: pitch(k), relu: relu}
	if rows*k <= residentValues {
		for p := 0; p < panels(n); p += current.wide {
			for i := 0; i < k; i += size {
				next := p*m.pitch + i + size
				if i+size >= k {
					next = (p + current.wide) * m.pitch
				}
				m.block(p, i, size, next)
			}
		}
		return
	}
	for i := 0; i < k; i += size {
		for p := 0; p < panels(n); p += current.wide {
			m.block(p, i, size, (p+current.wide)*m.pitch+i)
		}
	}
}

// multiplication holds the arguments of multiply.
type multiplication struct {
	y, x, b, bias []float32
	rows, k, n    int
	pitch         int // of the panels of b
	relu          bool
}

// block multiplies the columns of x from i on with the panels of a tile from p on; the line of b at next
// comes after.
func (m *multiplication) block(p, i, size, next int) {
	t := tile{
		a: m.x[i:], b: m.b[(p*m.pitch+i)*panel:], y: m.y[p*panel:],
		ahead: m.b[min(next*panel, len(m.b)):],
		rows:  m.rows, width: m.rows, left: m.rows,
		aStep: m.k, yStep: m.n,
		outer: 1, inner: min(size, m.k-i), aK: 1, bK: panel, bPanel: m.pitch * panel,
		cols:       min(current.wide*panel, m.n-p*panel),
		accumulate: i > 0, rectified: m.relu && i+size >= m.k,
	}
	if m.bias != nil {
		t.bias = m.bias[p*panel:][:t.cols]
	}
	current.tile(t)
}
