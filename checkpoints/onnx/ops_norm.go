package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rampart/nn"
)

// normalize is BatchNormalization with its running statistics.
func (c *call) normalize() (*value, error) {
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	if len(v.axes) == 0 {
		return nil, errors.New("its input has no channels")
	}
	if c.int("training_mode", 0) != 0 {
		c.note("batch normalisation is taken in evaluation mode, though the file was exported for training")
	}
	channels := v.size(0)
	var parts [][]float32
	byValue := false
	var all [][]float64
	for i, what := range []string{"scale", "bias", "mean", "variance"} {
		list, err := c.vector(i+1, channels, what)
		if err != nil {
			return nil, err
		}
		dims := append([]int{channels}, slices.Repeat([]int{1}, len(v.axes)-1)...)
		spread, err := v.coefficients(&constant{dims: dims, floats: list})
		if err != nil {
			return nil, err
		}
		byValue = byValue || len(spread) > v.phys.C
		all = append(all, spread)
	}
	size := v.phys.C
	if byValue {
		size = v.phys.Size()
	}
	for _, list := range all {
		part := make([]float32, size)
		for i := range part {
			part[i] = float32(list[i%len(list)])
		}
		parts = append(parts, part)
	}
	epsilon := c.float("epsilon", 1e-5)
	if !(epsilon > 0) {
		return nil, fmt.Errorf("epsilon %v: it must be above 0", epsilon)
	}
	out := *v
	out.owner = 0
	out.id = c.batchNorm(c.title(), nn.Node{In: []int{v.id}, Epsilon: epsilon, Elementwise: byValue, Fixed: byValue}, parts...)
	return &out, nil
}

func (c *call) layerNorm() (*value, error) {
	v := c.in[0]
	if len(c.outputs) > 1 && slices.ContainsFunc(c.outputs[1:], func(o string) bool { return c.uses[o] > 0 }) {
		return nil, errors.New("only its first output is supported")
	}
	first, err := c.axis("axis", -1, len(v.axes)+1)
	if err != nil {
		return nil, err
	}
	var axes []int
	for a := first; a <= len(v.axes); a++ {
		axes = append(axes, a)
	}
	scale, bias, err := c.scaleAndBias()
	if err != nil {
		return nil, err
	}
	return c.ownNorm(v, axes, float64(c.float("epsilon", 1e-5)), scale, bias)
}

// scaleAndBias are the second and the third input; nil where they are left out.
func (c *call) scaleAndBias() (scale, bias *constant, err error) {
	if scale, err = c.constant(1, "scale"); err == nil {
		bias, err = c.constant(2, "bias")
	}
	return scale, bias, err
}

// byChannel gives a list of numbers, one for each channel, the axes of an image behind the batch.
func byChannel(k *constant, v *value) *constant {
	if k == nil || len(k.dims) != 1 {
		return k
	}
	return k.shaped(append([]int{k.len()}, slices.Repeat([]int{1}, len(v.axes)-1)...))
}

func (c *call) instanceNorm() (*value, error) {
	v := c.in[0]
	if len(v.axes) < 2 {
		return nil, fmt.Errorf("a value of shape %s (batch left out) has no positions to take a mean over", axesText(v.dims()))
	}
	scale, bias, err := c.scaleAndBias()
	if err != nil {
		return nil, err
	}
	var axes []int
	for a := 2; a <= len(v.axes); a++ {
		axes = append(axes, a)
	}
	return c.ownNorm(v, axes, float64(c.float("epsilon", 1e-5)), byChannel(scale, v), byChannel(bias, v))
}

// groupNorm is GroupNormalization of opset 21, with a scale for each channel; before, it had one for each
// group, and no exporter used it.
func (c *call) groupNorm() (*value, error) {
	groups := int(c.int("num_groups", 0))
	v, err := c.settled(c.in[0])
	if err != nil {
		return nil, err
	}
	if len(v.axes) == 0 || groups < 1 || v.size(0)%groups != 0 || lastInMemory(v.layout, 0) == nil {
		return nil, fmt.Errorf("%d groups of a value of shape %s (batch left out) are not supported", groups, axesText(v.dims()))
	}
	scale, bias, err := c.scaleAndBias()
	if err != nil {
		return nil, err
	}
	channels := v.size(0)
	return c.normed(v, nn.Node{Op: "groupnorm", Groups: groups}, nn.Shape{H: v.phys.Size() / channels, W: 1, C: channels},
		float64(c.float("epsilon", 1e-5)), byChannel(scale, v), byChannel(bias, v))
}

// ownNorm normalises each example by the mean and the variance over some axes (the batch's is 0), then
// applies a scale and a shift, which fit the value by broadcasting. Either the axes are innermost in
// memory, or they are all but one.
func (c *call) ownNorm(v *value, axes []int, epsilon float64, scale, bias *constant) (*value, error) {
	v, err := c.settled(v)
	if err != nil {
		return nil, err
	}
	var over []int // axes of memory
	var kept []int
	for a, parts := range v.axes {
		if slices.Contains(axes, a+1) {
			over = append(over, parts...)
		} else {
			kept = append(kept, parts...)
		}
	}
	count := func(parts []int) int {
		n := 1
		for _, p := range parts {
			n *= v.sizes[p]
		}
		return n
	}
	slices.Sort(over)
	slices.Sort(kept)
	n, size := count(over), v.phys.Size()
	switch {
	case slices.Contains(axes, 0) || len(axes) == 0:
		return nil, fmt.Errorf("axes %v: a norm over them is not supported", axes)
	case len(over) == 0 || over[0] == len(v.sizes)-len(over):
		return c.normed(v, nn.Node{Op: "layernorm"}, nn.Shape{H: size / n, W: 1, C: n}, epsilon, scale, bias)
	case len(kept) == 0 || kept[len(kept)-1]-kept[0] == len(kept)-1: // one run
		inner := 1
		if len(kept) > 0 {
			inner = count(intsFrom(kept[len(kept)-1]+1, len(v.sizes)))
		}
		groups := count(kept)
		return c.normed(v, nn.Node{Op: "groupnorm", Groups: groups}, nn.Shape{H: size / (groups * inner), W: 1, C: groups * inner}, epsilon, scale, bias)
	}
	return nil, fmt.Errorf("a norm over axes %v of a value of shape %s is not supported", axes, axesText(v.dims()))
}

func intsFrom(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// normed emits a norm of a value under some shape. The scale and the bias are its weights where they
// have a number for each channel of that shape, a layer of their own elsewhere.
func (c *call) normed(v *value, n nn.Node, shape nn.Shape, epsilon float64, scale, bias *constant) (*value, error) {
	if !(epsilon > 0) {
		return nil, fmt.Errorf("epsilon %v: it must be above 0", epsilon)
	}
	v = c.viewed(v, shape)
	lists := [2][]float64{{1}, {0}}
	for i, k := range []*constant{scale, bias} {
		if k != nil {
			list, err := v.coefficients(k)
			if err != nil {
				return nil, err
			}
			lists[i] = list
		}
	}
	own := scale != nil && max(len(lists[0]), len(lists[1])) <= shape.C
	gamma, beta := slices.Repeat([]float32{1}, shape.C), make([]float32, shape.C)
	for i := range gamma {
		if own {
			gamma[i], beta[i] = float32(lists[0][i%len(lists[0])]), float32(lists[1][i%len(lists[1])])
		}
	}
	n.In, n.Epsilon, n.Constant = []int{v.id}, float32(epsilon), !own
	out := *v
	out.owner, out.id = 0, c.layer(c.title(), n, gamma, []int{shape.C}, beta)
	if own || scale == nil && bias == nil {
		return &out, nil
	}
	return c.mapped(&out, &affine{lists[0], lists[1]}, c.title(), false)
}
