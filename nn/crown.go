package nn

import (
	"errors"
	"fmt"
	"math"

	"rampart/nn/device"
)

// Crown computes CROWN-IBP bounds (Zhang et al. 2020, section 3.2): intervals are propagated to each
// ReLU, and one linear bound of each difference of logits goes back from the last layer to the image,
// through the lines that bound a ReLU on its interval. The bound is often tighter than that of intervals
// alone (see Bounds), and never looser where both are taken together, as Verified does.
//
// Linear layers run on the model's device; what lies between them, ReLUs and their lines, on the host, for
// its rows are examples on the way forward and differences of logits on the way back. Networks are chains of
// convolutions, dense layers, average pooling, batch normalisation (by its running statistics) and ReLU that
// end with a dense layer.
//
// UpperBounds hold for the network as float32 arithmetic evaluates it; see slack. A Crown follows the model's
// weights by itself. It is not safe for concurrent use.
type Crown struct {
	// Before is as in Bounds.
	Before func(image []float32)

	model  *Model
	rows   int
	layers []crownLayer
	last   crownLast
	runner crownRunner
	host   [][]float32 // the model's weights
	grads  [][]float64 // in them
	// version is that of host, where fresh.
	version uint64
	fresh   bool
	passes  []crownPass // by layer: what the pass forward leaves for the pass back
	ends    crownPass   // of the last layer
}

// crownLayer is a step of a network on its way from the image to the last layer.
type crownLayer interface {
	sizes() (in, out int)
	load(m *Model, rows, margins int) error
	refresh(host [][]float32)
	// forward takes the intervals of n rows in p to those of the result.
	forward(c *Crown, p *crownPass, n int, lower, upper []float32) error
	// back takes a bound's coefficients of the result to those of the input, and adds to offset, one for
	// each of margins rows an example, what does not depend on the input.
	back(c *Crown, p *crownPass, n int, offset []float64) error
	// backGrad takes the gradient in the input's coefficients, p.dIn, and in the offsets to that in the
	// result's, p.dOut, and adds to those in weights and in p's own intervals.
	backGrad(c *Crown, p *crownPass, n int, offset []float64) error
	// forwardGrad takes the gradient in the result's intervals to that in the input's, p.dLower and p.dUpper.
	forwardGrad(c *Crown, p *crownPass, n int, dLower, dUpper []float32) error
	// slack adds to each offset what rounding can make of the layer and of its way back.
	slack(c *Crown, p *crownPass, n int, offset []float64) error
}

// crownPass is a layer's memory: the ends of its input, a row for each example; coefficients of its result
// and of its input, a row for each difference of logits; and gradients.
type crownPass struct {
	lower, upper, dLower, dUpper []float32
	out, in, dOut, dIn           []float32
}

// NewCrown prepares bounds of a model for batches of up to rows.
func NewCrown(m *Model, rows int) (*Crown, error) {
	c := &Crown{model: m, rows: rows, host: make([][]float32, len(m.params.List)), grads: make([][]float64, len(m.params.List))}
	if err := c.build(); err != nil {
		return nil, fmt.Errorf("CROWN-IBP bounds: %w", err)
	}
	margins, largest := c.margins(), m.Spec.Input.Size()
	for _, l := range c.layers {
		in, out := l.sizes()
		largest = max(largest, in, out)
		if err := l.load(m, rows, margins); err != nil {
			return nil, fmt.Errorf("CROWN-IBP bounds: %w", err)
		}
		c.passes = append(c.passes, crownPass{lower: make([]float32, rows*in), upper: make([]float32, rows*in)})
	}
	c.ends = crownPass{lower: make([]float32, rows*c.last.features), upper: make([]float32, rows*c.last.features)}
	n := rows * margins * largest
	c.runner = crownRunner{m.New(n), m.New(n), m.New(n), m.New(n)}
	return c, nil
}

// margins is the number of differences of logits of an example.
func (c *Crown) margins() int { return c.model.Spec.Classes - 1 }

// other is the class of margin j of an example of class y.
func other(y, j int) int {
	if j >= y {
		j++
	}
	return j
}

// refresh fetches weights that have changed.
func (c *Crown) refresh() {
	if c.fresh && c.version == c.model.params.Version && !c.model.HasStatistics() {
		return
	}
	for i, p := range c.model.params.List {
		c.host[i] = download(p.Value)
	}
	for _, l := range c.layers {
		l.refresh(c.host)
	}
	c.version, c.fresh = c.model.params.Version, true
}

// check reports what cannot be a batch.
func (c *Crown) check(images []float32, labels []int32) error {
	n := len(labels)
	if n < 1 || n > c.rows || len(images) != n*c.model.Spec.Input.Size() {
		return fmt.Errorf("CROWN-IBP bounds: %d labels and %d values of images: they were made for 1 to %d images of %v",
			n, len(images), c.rows, c.model.Spec.Input)
	}
	for _, y := range labels {
		if y < 0 || int(y) >= c.model.Spec.Classes {
			return fmt.Errorf("CROWN-IBP bounds: label %d: the model knows classes 0 to %d", y, c.model.Spec.Classes-1)
		}
	}
	return nil
}

// intervals propagates the boxes of radius eps around images to the last layer.
func (c *Crown) intervals(images []float32, n int, eps float64) error {
	c.refresh()
	at := c.pass(0)
	size := c.model.Spec.Input.Size()
	for i := 0; i < len(images); i += size {
		corners(at.lower[i:][:size], at.upper[i:][:size], images[i:][:size], eps, c.Before)
	}
	for i, l := range c.layers {
		next := c.pass(i + 1)
		if err := l.forward(c, c.pass(i), n, next.lower, next.upper); err != nil {
			return fmt.Errorf("CROWN-IBP bounds: %w", err)
		}
	}
	return nil
}

// pass is the memory of layer i, or of the last one.
func (c *Crown) pass(i int) *crownPass {
	if i == len(c.passes) {
		return &c.ends
	}
	return &c.passes[i]
}

// linear takes the differences of logits back to the image: offsets [n, margins] are their upper bounds.
func (c *Crown) linear(labels []int32, rounding bool) ([]float64, error) {
	n := len(labels)
	offset := make([]float64, n*c.margins())
	coefficients := c.last.start(c, labels, offset)
	if rounding {
		c.last.slack(c, labels, offset)
	}
	for i := len(c.layers) - 1; i >= 0; i-- {
		l, p := c.layers[i], &c.passes[i]
		in, _ := l.sizes()
		p.out, p.in = coefficients, resize(p.in, len(offset)*in)
		err := l.back(c, p, n, offset)
		if err == nil && rounding {
			err = l.slack(c, p, n, offset)
		}
		if err != nil {
			return nil, fmt.Errorf("CROWN-IBP bounds: %w", err)
		}
		coefficients = p.in
	}
	box, margins, size := c.pass(0), c.margins(), c.model.Spec.Input.Size()
	share := 0.0
	if rounding {
		share = 4 * unit32
	}
	split(n, func(i int) {
		lower, upper := box.lower[i*size:][:size], box.upper[i*size:][:size]
		for r := i * margins; r < (i+1)*margins; r++ {
			sum, absolute := 0.0, 0.0
			for at, a := range coefficients[r*size:][:size] {
				v := float64(a) * float64(lower[at])
				if a > 0 {
					v = float64(a) * float64(upper[at])
				}
				sum += v
				absolute += math.Abs(float64(a)) * float64(upper[at]) // pixels are not negative
			}
			offset[r] += sum + share*absolute
		}
	})
	return offset, nil
}

// UpperBounds are, for images [n,H,W,C] and their labels y, [n, classes-1] upper bounds within eps in Linf,
// cut at [0,1], of logit k minus logit y for all k but y: by intervals, and by CROWN-IBP.
func (c *Crown) UpperBounds(images []float32, labels []int32, eps float64) (interval, crown []float64, err error) {
	if err := c.check(images, labels); err != nil {
		return nil, nil, err
	}
	if err := c.intervals(images, len(labels), eps); err != nil {
		return nil, nil, err
	}
	interval = c.last.intervals(c, labels)
	crown, err = c.linear(labels, true)
	return interval, crown, err
}

// Verified reports for images [N,H,W,C] whether the bounds prove that no image within eps in Linf has
// another class than its label. Intervals and linear bounds are both proofs: each difference of logits
// takes the better one.
func (c *Crown) Verified(images []float32, labels []int32, eps float64) ([]bool, error) {
	size, margins := c.model.Spec.Input.Size(), c.margins()
	verified := make([]bool, len(labels))
	for at := 0; at < len(labels); at += c.rows {
		n := min(c.rows, len(labels)-at)
		interval, crown, err := c.UpperBounds(images[at*size:(at+n)*size], labels[at:at+n], eps)
		if err != nil {
			return nil, err
		}
		for i := range n {
			verified[at+i] = true
			for r := i * margins; r < (i+1)*margins; r++ {
				verified[at+i] = verified[at+i] && (interval[r] < 0 || crown[r] < 0) // a NaN proves nothing
			}
		}
	}
	return verified, nil
}

// build reads the network's layers.
func (c *Crown) build() error {
	spec := c.model.Spec
	if len(spec.Members) > 0 {
		return errors.New("there are none of an ensemble: use interval bounds")
	}
	if spec.Denoiser != nil {
		return errors.New("there are none of a network with a denoiser: use interval bounds")
	}
	b := crownBuilder{Crown: c, shape: spec.Input}
	if len(spec.Mean) > 0 {
		b.add(newCrownNormalize(spec))
	}
	layers := spec.Options.Layers(spec.Input, spec.Classes)
	for len(layers) > 0 && layers[len(layers)-1].Type == "dropout" {
		layers = layers[:len(layers)-1]
	}
	if len(layers) == 0 || layers[len(layers)-1].Type != "dense" {
		return errors.New("the last layer of the network must be a dense one")
	}
	for i, l := range layers[:len(layers)-1] {
		if err := b.layer(l); err != nil {
			return fmt.Errorf("layer %d (%s): %w", i+1, l.Type, err)
		}
	}
	b.flatten()
	c.last = crownLast{features: b.features, classes: spec.Classes, weight: b.next, bias: b.next + 1}
	if b.next+2 != len(c.model.specs) {
		return fmt.Errorf("the network has %d weights, %d of them were met", len(c.model.specs), b.next+2)
	}
	return nil
}

// crownBuilder is the place in the network that the next layer continues from.
type crownBuilder struct {
	*Crown
	shape    Shape // of an image
	features int   // of a flat row, 0 for images
	next     int   // the model's next parameter
}

func (b *crownBuilder) add(l crownLayer) { b.layers = append(b.layers, l) }

func (b *crownBuilder) flatten() {
	if b.features == 0 {
		b.features = b.shape.Size()
	}
}

// width is the number of values and of channels.
func (b *crownBuilder) width() (size, channels int) {
	if b.features > 0 {
		return b.features, b.features
	}
	return b.shape.Size(), b.shape.C
}

func (b *crownBuilder) layer(l Layer) error {
	switch l.Type {
	case "conv", "avgpool":
		return b.windowed(l)
	case "dense":
		b.flatten()
		out := b.model.specs[b.next].shape[1]
		b.add(&crownLinear{in: b.features, out: out, fan: max(b.features, out), channels: out, weight: b.next, bias: b.next + 1, ops: linearOps{
			device.Dense{In: b.features, Out: out}, device.DenseInputGrad{In: b.features, Out: out}, device.DenseWeightGrad{In: b.features, Out: out}}})
		b.features = out
		b.next += 2
	case "batchnorm":
		size, channels := b.width()
		b.add(&crownDiagonal{size: size, channels: channels, gamma: b.next})
		b.next += 4
		if b.model.Spec.Auxiliary != "" {
			b.next += 4
		}
	case "relu":
		size, _ := b.width()
		b.add(&crownReLU{size: size})
	case "flatten":
		b.flatten()
	case "dropout": // evaluation has none
	default:
		return errors.New("there are none of such a layer: use interval bounds")
	}
	return nil
}

func (b *crownBuilder) windowed(l Layer) error {
	w, err := l.window(b.shape)
	if err != nil {
		return err
	}
	in := b.shape.Size()
	b.shape = Shape{w.OutH(), w.OutW(), b.shape.C}
	if l.Type == "avgpool" {
		b.add(&crownLinear{in: in, out: b.shape.Size(), fan: w.KH * w.KW, channels: b.shape.C, weight: -1, bias: -1,
			ops: linearOps{device.AvgPool{Window: w}, device.AvgPoolGrad{Window: w}, nil}})
		return nil
	}
	b.shape.C = l.Out
	b.add(&crownLinear{in: in, out: b.shape.Size(), fan: w.KH * w.KW * max(w.C, l.Out), channels: l.Out, weight: b.next, bias: b.next + 1, ops: linearOps{
		device.Conv{Window: w, Out: l.Out}, device.ConvInputGrad{Window: w, Out: l.Out}, device.ConvWeightGrad{Window: w, Out: l.Out}}})
	b.next += 2
	return nil
}

// resize is memory for n values.
func resize(v []float32, n int) []float32 {
	if cap(v) < n {
		return make([]float32, n)
	}
	return v[:n]
}
