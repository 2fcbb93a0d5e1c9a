package kernel

// Winograd's form of a 3x3 convolution of stride one (Lavin and Gray 2015, F(4x4,3x3), with the
// points 0, ±sqrt(1/2), ±sqrt(2)): 36 products make the 16 outputs of a patch where the direct form
// takes 144. The image is cut into patches of 6x6 that overlap by two; each is transformed, 36 products
// of matrices [patches,in] x [in,out] follow, and their results are transformed back. The transforms
// have the same bits in assembly and portable Go: they fuse only products by 2 and 1/2, which are exact.
const (
	patchSide  = 6
	patchSize  = patchSide * patchSide
	patchStep  = 4 // the side of a patch's outputs
	filterSide = 3
)

// Where it is taken. With fewer channels the transforms take longer than the products that they
// save, and patches that reach beyond the outputs save less.
const (
	leastChannels = 16  // of input and output
	leastWidth    = 64  // of the larger of the two
	leastFilled   = 700 // of 1000 outputs in patches
)

// How many patches are multiplied together: as many as the second-level cache holds, transformed and
// multiplied; but reading the weights should not take longer than the products.
const (
	blockValues = 96 << 10
	leastBlock  = 24
	mostBlock   = 48
)

// winograd is one direction of a convolution: what it reads, [h,w,in] with top and left lines of
// zeros before it, and what it writes, [oh,ow,out].
type winograd struct {
	h, w, in, top, left int
	oh, ow, out         int
}

// hasWinograd reports whether Forward and InputGrad take Winograd's form. The shape alone decides.
func (c Conv) hasWinograd() bool {
	w := c.winogradForward()
	return c.mayWinograd() && min(c.C, c.Out) >= leastChannels && max(c.C, c.Out) >= leastWidth &&
		1000*w.oh*w.ow >= leastFilled*w.patches()*patchStep*patchStep
}

func (c Conv) mayWinograd() bool {
	return c.KH == filterSide && c.KW == filterSide && c.Stride == 1 && c.C%lanes == 0 && c.Out%lanes == 0
}

func (c Conv) winogradForward() winograd {
	return winograd{c.H, c.W, c.C, c.PadTop, c.PadLeft, c.OutH(), c.OutW(), c.Out}
}

func (c Conv) winogradInputGrad() winograd {
	return winograd{c.OutH(), c.OutW(), c.Out, filterSide - 1 - c.PadTop, filterSide - 1 - c.PadLeft, c.H, c.W, c.C}
}

// ManyRows reports whether Forward and InputGrad want many images at once: where the transformed
// weights are much larger than an image, reading them takes longer than the products of one image.
func (c Conv) ManyRows() bool {
	return c.hasWinograd() && c.winogradForward().patches() < leastBlock/2
}

// patches is the number of patches of an image.
func (w winograd) patches() int {
	return ((w.oh + patchStep - 1) / patchStep) * ((w.ow + patchStep - 1) / patchStep)
}

// block is the number of patches that are multiplied together.
func (w winograd) block() int {
	return min(max(blockValues/(patchSize*(w.in+w.out)), leastBlock), mostBlock)
}

// apart is the distance of 36 matrices: not a power of two, for then the values that a transform
// reads or writes together would compete for one place in the cache.
func apart(rows, cols int) int { return roundUp(rows*cols, panel) + panel }

func (w winograd) scratch() int {
	n := w.block()
	return patchSize * (apart(n, w.in) + apart(n, w.out) + max(w.in, w.out) + panel)
}

// matrix is the distance of the 36 matrices of the transformed weights, each of which is in panels.
func (w winograd) matrix() int { return apart(panels(w.out)*panel, w.in) }

func (w winograd) packedSize() int { return patchSize * w.matrix() }

// run computes the given number of images. The results of one do not depend on the others.
func (w winograd) run(y, x, packed, bias []float32, rows int, relu bool, scratch []float32) {
	total := rows * w.patches()
	if total == 0 {
		return
	}
	blocks := (total + w.block() - 1) / w.block()
	n := (total + blocks - 1) / blocks
	b := w.newBlock(n, bias, relu, scratch)
	for first := 0; first < total; first += n {
		count := min(n, total-first)
		for i := range count {
			b.read(i, x, first+i)
		}
		b.multiply(packed, count)
		for i := range count {
			b.write(i, y, first+i)
		}
	}
}

// newBlock prepares for blocks of up to n patches.
func (w winograd) newBlock(n int, bias []float32, relu bool, scratch []float32) winogradBlock {
	b := winogradBlock{winograd: w, vStep: apart(n, w.in), mStep: apart(n, w.out), bias: bias, rectified: relu}
	take := func(n int) (part []float32) {
		part, scratch = scratch[:n], scratch[n:]
		return part
	}
	b.v, b.m = take(patchSize*b.vStep), take(patchSize*b.mStep)
	b.registers, b.patch = take(patchSize*panel), take(patchSize*max(w.in, w.out))
	return b
}

// winogradBlock holds some patches at work.
type winogradBlock struct {
	winograd
	v, m             []float32 // transformed patches, and their products with the weights
	vStep, mStep     int
	patch, registers []float32 // scratch
	bias             []float32
	rectified        bool
}

// corner returns the image of patch n, and its first output.
func (w winograd) corner(n int) (image, y, x int) {
	across := (w.ow + patchStep - 1) / patchStep
	image, n = n/w.patches(), n%w.patches()
	return image, n / across * patchStep, n % across * patchStep
}

// read transforms patch n of x, the i-th of the block.
func (b *winogradBlock) read(i int, x []float32, n int) {
	image, y0, x0 := b.corner(n)
	size := b.h * b.w * b.in
	x = x[image*size:][:size]
	y0, x0 = y0-b.top, x0-b.left
	line := b.w * b.in
	t := winogradInput{v: b.v[i*b.in:], step: b.vStep, channels: b.in, registers: b.registers}
	if y0 >= 0 && x0 >= 0 && y0+patchSide <= b.h && x0+patchSide <= b.w {
		t.x, t.line = x[y0*line+x0*b.in:], line
	} else {
		t.x, t.line = b.patch, patchSide*b.in
		from, to := min(max(0, -x0), patchSide), max(0, min(patchSide, b.w-x0)) // columns in the image
		for r := range patchSide {
			dst := b.patch[r*t.line:][:t.line]
			if y0+r < 0 || y0+r >= b.h || from >= to {
				clear(dst)
				continue
			}
			clear(dst[:from*b.in])
			copy(dst[from*b.in:to*b.in], x[(y0+r)*line+(x0+from)*b.in:])
			clear(dst[to*b.in:])
		}
	}
	current.winogradInput(t)
}

// multiply computes the 36 products of count patches.
func (b *winogradBlock) multiply(packed []float32, count int) {
	blocks := (b.in + blockTaps - 1) / blockTaps
	size := (b.in + blocks - 1) / blocks
	t := tile{rows: count, width: count, left: count, aStep: b.in, yStep: b.out, outer: 1, aK: 1, bK: panel, bPanel: b.in * panel}
	for i := range patchSize {
		weights := packed[i*b.matrix():]
		for p := 0; p < panels(b.out); p += current.wide {
			t.cols = min(current.wide*panel, b.out-p*panel)
			t.y = b.m[i*b.mStep+p*panel:]
			for k := 0; k < b.in; k += size {
				t.inner = min(size, b.in-k)
				t.a, t.b = b.v[i*b.vStep+k:], weights[(p*b.in+k)*panel:]
				t.ahead = t.following(t.b, b.in-k)
				t.accumulate = k > 0
				current.tile(t)
			}
		}
	}
}

// write transforms the products of patch n back to y.
func (b *winogradBlock) write(i int, y []float32, n int) {
	image, y0, x0 := b.corner(n)
	size := b.oh * b.ow * b.out
	line := b.ow * b.out
	y = y[image*size:][:size][y0*line+x0*b.out:]
	t := winogradOutput{m: b.m[i*b.out:], step: b.mStep, channels: b.out, bias: b.bias, rectified: b.rectified, registers: b.registers}
	height, width := min(patchStep, b.oh-y0), min(patchStep, b.ow-x0)
	if height == patchStep && width == patchStep {
		t.y, t.line = y, line
		current.winogradOutput(t)
		return
	}
	t.y, t.line = b.patch, patchStep*b.out
	current.winogradOutput(t)
	for r := range height {
		copy(y[r*line:][:width*b.out], b.patch[r*t.line:])
	}
}

// packWinograd transforms w [3,3,C,Out] for Forward: 36 matrices [C,Out] in panels.
func (c Conv) packWinograd(dst, w []float32) {
	if c.Out%panel != 0 {
		clear(dst)
	}
	step := c.winogradForward().matrix()
	for o := 0; o < c.Out; o += panel {
		current.winogradWeights(winogradWeights{
			u: dst[o*c.C:], step: step,
			w: w[o:], tap: c.C * c.Out, line: c.Out, lines: c.C, cols: min(panel, c.Out-o),
		})
	}
}

// packWinogradInputGrad transforms the flipped weights for InputGrad: 36 matrices [Out,C] in panels.
func (c Conv) packWinogradInputGrad(dst, w []float32) {
	const taps = filterSide * filterSide
	if c.C%panel != 0 {
		clear(dst)
	}
	step := c.winogradInputGrad().matrix()
	var block [taps * lanes * panel]float32 // [tap][out][channel]
	for ch := 0; ch < c.C; ch += panel {
		cols := min(panel, c.C-ch)
		for o := 0; o < c.Out; o += lanes {
			for tap := range taps {
				to := block[tap*lanes*panel:][:lanes*panel]
				for i := range cols {
					from := (*[lanes]float32)(w[((taps-1-tap)*c.C+ch+i)*c.Out+o:])
					for j, v := range from {
						to[j*panel+i] = v
					}
				}
			}
			current.winogradWeights(winogradWeights{
				u: dst[ch*c.Out+o*panel:], step: step,
				w: block[:], tap: lanes * panel, line: panel, lines: lanes, cols: cols,
			})
		}
	}
}
