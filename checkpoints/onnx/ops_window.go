package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"rampart/nn"
)

// pad is Pad by zeros; the convolution that follows takes it over.
func (c *call) pad() (*value, error) {
	if mode := c.string("mode", "constant"); mode != "constant" {
		return nil, fmt.Errorf("mode %q is not supported: only zeros are", mode)
	}
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	rank := len(v.axes) + 1
	pads, filler := c.ints("pads"), float64(c.float("value", 0))
	if given, err := c.constant(1, "padding"); err != nil {
		return nil, err
	} else if given != nil {
		pads, _ = given.list()
	}
	if given, err := c.constant(2, "value"); err != nil {
		return nil, err
	} else if given != nil && given.len() == 1 {
		filler = given.at(0)
	}
	axes := make([]int, rank)
	for a := range axes {
		axes[a] = a
	}
	if given, err := c.constant(3, "axes"); err != nil {
		return nil, err
	} else if given != nil {
		if axes, err = c.axes(rank, given); err != nil {
			return nil, err
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("%d paddings for %d axes", len(pads), len(axes))
	}
	before, after := make([]int, rank), make([]int, rank)
	for i, a := range axes {
		before[a], after[a] = pads[i], pads[len(axes)+i]
	}
	if slices.Max(pads) == 0 && slices.Min(pads) == 0 {
		return c.handed(v), nil
	}
	if filler != 0 || slices.Min(pads) < 0 || slices.Max(pads) > math.MaxInt16 {
		return nil, fmt.Errorf("padding %v by %v is not supported: only zeros around an image are", pads, filler)
	}
	for _, at := range [][3]int{{2, 3, 1}, {1, 2, 3}} { // height, width and channels: these come first, or last
		h, w, ch := at[0], at[1], at[2]
		if rank != 4 || before[0]+after[0]+before[ch]+after[ch] != 0 || !v.transpose([]int{h - 1, w - 1, ch - 1}).plain() {
			continue
		}
		d := v.dims()
		inner := c.viewed(v, nn.Shape{H: d[h-1], W: d[w-1], C: d[ch-1]})
		out := *inner
		out.inner, out.owner = inner, 0
		out.pads = [4]int{before[h], before[w], after[h], after[w]}
		s := nn.Shape{H: inner.phys.H + before[h] + after[h], W: inner.phys.W + before[w] + after[w], C: inner.phys.C}
		out.phys = s
		axes := make([][]int, 3)
		axes[h-1], axes[w-1], axes[ch-1] = []int{0}, []int{1}, []int{2}
		out.layout = newLayout([]int{s.H, s.W, s.C}, axes...)
		return &out, nil
	}
	return nil, fmt.Errorf("padding %v of a value of shape %s is not supported: only zeros around an image are", pads, axesText(v.dims()))
}

// maxChannels bounds the square weights that lay zeros down.
const maxChannels = 1 << 12

// padded lays zeros down by a 1x1 convolution with the identity.
func (t *translator) padded(v *value) (*value, error) {
	in, err := t.settled(v.inner)
	if err != nil {
		return nil, err
	}
	n := v.phys.C
	if n > maxChannels {
		return nil, fmt.Errorf("padding of %d channels, but before a convolution, is not supported", n)
	}
	in = t.viewed(in, nn.Shape{H: v.phys.H - v.pads[0] - v.pads[2], W: v.phys.W - v.pads[1] - v.pads[3], C: n})
	weight := make([]float32, n*n)
	for i := range n {
		weight[i*n+i] = 1
	}
	out := *v
	out.inner = nil
	out.id = t.layer("pad", nn.Node{Op: "conv", In: []int{in.id}, Out: n, Kernel: [2]int{1, 1}, Stride: 1, Pads: v.pads}, weight, []int{n, n, 1, 1}, make([]float32, n))
	return &out, nil
}

// window reads kernel_shape, strides, pads and auto_pad of an operation on images of a shape.
func (c *call) window(in nn.Shape, kernel []int) (n nn.Node, err error) {
	two := func(name string, fallback int) (list []int) {
		if list = c.ints(name); list == nil {
			list = []int{fallback, fallback}
		}
		if len(list) != 2 && err == nil {
			err = fmt.Errorf("%s %v: only images have windows here, with two axes", name, list)
		}
		return list
	}
	strides := two("strides", 1)
	if err != nil {
		return n, err
	}
	for _, v := range slices.Concat(kernel, strides) {
		if v < 1 || v > math.MaxInt16 {
			return n, fmt.Errorf("kernel %v with strides %v", kernel, strides)
		}
	}
	n = nn.Node{Kernel: [2]int{kernel[0], kernel[1]}, Stride: strides[0]}
	sizes := []int{in.H, in.W}
	switch auto := c.string("auto_pad", "NOTSET"); auto {
	case "NOTSET", "":
		pads := c.ints("pads")
		if pads == nil {
			pads = make([]int, 4)
		}
		if len(pads) != 4 || slices.Min(pads) < 0 || slices.Max(pads) > math.MaxInt16 {
			return n, fmt.Errorf("pads %v: four numbers from 0 on are supported", pads)
		}
		copy(n.Pads[:], pads)
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		for a := range 2 {
			total := max(((sizes[a]+strides[a]-1)/strides[a]-1)*strides[a]+kernel[a]-sizes[a], 0)
			n.Pads[a], n.Pads[a+2] = total/2, total-total/2
			if auto == "SAME_LOWER" {
				n.Pads[a], n.Pads[a+2] = n.Pads[a+2], n.Pads[a]
			}
		}
	default:
		return n, fmt.Errorf("auto_pad %q is not known", auto)
	}
	return n, c.square(&n, in, strides)
}

// square makes one stride of two: an axis along which the window is set down once takes any.
func (c *call) square(n *nn.Node, in nn.Shape, strides []int) error {
	for a, size := range []int{in.H, in.W} {
		if size+n.Pads[a]+n.Pads[a+2] < n.Kernel[a] {
			return fmt.Errorf("a kernel of %v does not fit on an image of %v", n.Kernel, in)
		}
	}
	if strides[0] == strides[1] {
		return nil
	}
	once := func(a, size int) bool { return (size+n.Pads[a]+n.Pads[a+2]-n.Kernel[a])/strides[a] == 0 }
	fits := func(a, size, stride int) bool {
		return once(a, size) && size+n.Pads[a]+n.Pads[a+2]-n.Kernel[a] < stride
	}
	switch {
	case fits(0, in.H, strides[1]):
		n.Stride = strides[1]
	case fits(1, in.W, strides[0]):
		n.Stride = strides[0]
	default:
		return fmt.Errorf("strides %v: unequal ones are not supported", strides)
	}
	return nil
}

// out is the shape that a window gives.
func out(n nn.Node, in nn.Shape, channels int) nn.Shape {
	return nn.Shape{H: (in.H+n.Pads[0]+n.Pads[2]-n.Kernel[0])/n.Stride + 1, W: (in.W+n.Pads[1]+n.Pads[3]-n.Kernel[1])/n.Stride + 1, C: channels}
}

func (c *call) pool() (*value, error) {
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	if v, err = c.imaged(v); err != nil {
		return nil, err
	}
	for _, d := range c.ints("dilations") {
		if d != 1 {
			return nil, fmt.Errorf("dilations %v are not supported", c.ints("dilations"))
		}
	}
	if len(c.outputs) > 1 && c.outputs[1] != "" {
		return nil, errors.New("its second output, the places of the maxima, is not supported")
	}
	kernel := c.ints("kernel_shape")
	if len(kernel) != 2 {
		return nil, fmt.Errorf("kernel_shape %v: only pooling over images is supported", kernel)
	}
	n, err := c.window(v.phys, kernel)
	if err != nil {
		return nil, err
	}
	padding := n.Pads
	if c.int("ceil_mode", 0) != 0 {
		c.ceil(&n, v.phys)
	}
	n.In, n.Op = []int{v.id}, "maxpool"
	for a, k := range n.Kernel {
		if n.Pads[a] >= k || n.Pads[a+2] >= k {
			return nil, fmt.Errorf("padding %v for a kernel of %v: windows that see nothing but padding are not supported", n.Pads, n.Kernel)
		}
	}
	shape := out(n, v.phys, v.phys.C)
	if c.op == "MaxPool" {
		if kernel[0]*kernel[1] > 256 {
			return nil, fmt.Errorf("a kernel of %v is not supported: windows may have up to 256 values", kernel)
		}
		return image(c.emit(n), shape, 0), nil
	}
	n.Op = "avgpool"
	result := image(c.emit(n), shape, 0)
	counts := c.counts(n, v.phys, padding)
	if !slices.ContainsFunc(counts, func(v float64) bool { return v != 1 }) {
		return result, nil
	}
	return c.mapped(result, &affine{counts, []float64{0}}, c.title(), true)
}

// ceil widens the padding below and to the right, so that a last, partial window fits; it must begin
// within the image or its padding before.
func (c *call) ceil(n *nn.Node, in nn.Shape) {
	for a, size := range []int{in.H, in.W} {
		padded := size + n.Pads[a] + n.Pads[a+2]
		count := (padded-n.Kernel[a]+n.Stride-1)/n.Stride + 1
		if (count-1)*n.Stride >= size+n.Pads[a] {
			count--
		}
		n.Pads[a+2] += max((count-1)*n.Stride+n.Kernel[a]-padded, 0)
	}
}

// counts gives, for each place of the result, the size of the kernel by the number of values that
// the mean is over: those of the image, with count_include_pad of the padding that the file gives too.
func (c *call) counts(n nn.Node, in nn.Shape, padding [4]int) []float64 {
	with := [4]int{}
	if c.int("count_include_pad", 0) != 0 {
		with = padding
	}
	shape := out(n, in, in.C)
	along := func(a, size, steps int) (list []float64) {
		for i := range steps {
			from := i*n.Stride - n.Pads[a]
			to := min(from+n.Kernel[a], size+with[a+2])
			list = append(list, float64(to-max(from, -with[a])))
		}
		return list
	}
	rows, columns := along(0, in.H, shape.H), along(1, in.W, shape.W)
	var list []float64
	for _, y := range rows {
		for _, x := range columns {
			for range in.C {
				list = append(list, float64(n.Kernel[0]*n.Kernel[1])/(y*x))
			}
		}
	}
	return list
}

func (c *call) globalPool() (*value, error) {
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	if v, err = c.imaged(v); err != nil {
		return nil, err
	}
	op := "avgpool"
	if c.op == "GlobalMaxPool" {
		if op = "maxpool"; v.phys.H*v.phys.W > 256 {
			return nil, fmt.Errorf("over images of %v it is not supported: windows may have up to 256 values", v.phys)
		}
	}
	return image(c.emit(whole(op, v)), nn.Shape{H: 1, W: 1, C: v.phys.C}, 0), nil
}

// whole is a pooling of the whole image.
func whole(op string, v *value) nn.Node {
	return nn.Node{Op: op, In: []int{v.id}, Kernel: [2]int{v.phys.H, v.phys.W}, Stride: 1}
}

// reduce is ReduceMean over all axes but the innermost in memory: the mean of an image by channel.
func (c *call) reduce() (*value, error) {
	argument, err := c.constant(1, "axes")
	if err != nil {
		return nil, err
	}
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	rank := len(v.axes) + 1
	axes, err := c.axes(rank, argument)
	if err != nil {
		return nil, err
	}
	kept := -1
	for a := 1; a < rank; a++ {
		if !slices.Contains(axes, a) {
			if kept > 0 {
				kept = rank
			} else {
				kept = a
			}
		}
	}
	if slices.Contains(axes, 0) || len(axes) == 0 || kept < 1 || kept >= rank {
		return nil, fmt.Errorf("axes %v of shape %s: only the mean over all positions, by channel, is supported", axes, axesText(v.dims()))
	}
	if lastInMemory(v.layout, kept-1) == nil {
		return nil, fmt.Errorf("axis %d of a value of shape %s is not the innermost in memory: that is not supported", kept, axesText(v.dims()))
	}
	channels := v.dims()[kept-1]
	v = c.viewed(v, nn.Shape{H: v.phys.Size() / channels, W: 1, C: channels})
	dims := slices.Repeat([]int{1}, rank-1)
	dims[kept-1] = channels
	if c.int("keepdims", 1) == 0 {
		dims = []int{channels}
	}
	mean := image(c.emit(whole("avgpool", v)), nn.Shape{H: 1, W: 1, C: channels}, 0)
	mean.layout, _ = mean.layout.reshape(dims)
	return mean, nil
}
