package nn

import (
	"fmt"
	"math"

	"rampart/nn/device"
)

// Bounds computes interval bounds of a model's outputs over a box of images (interval bound
// propagation, Gowal et al. 2019, sections 3 and 4). It is a second graph over the model's own
// weights and over values derived from them, such as |W|, compiled to the kernels that every executor
// has. The last layer is elided: bounds are those of differences of logits.
//
// Bounds hold for the network as float32 arithmetic evaluates it, on any executor and in any order of
// summation, and not only for the real-valued one: see rounding. They follow the model's weights by
// themselves. A Bounds is not safe for concurrent use.
type Bounds struct {
	// Before, where not nil, changes an image [H,W,C] in place before the network meets it, and must keep
	// order: where values of its input rise, none of its output falls. Bounds are of both then.
	Before func(image []float32)

	model   *Model
	rows    int
	graph   *graph
	derived []derived
	params  *device.Parameters
	host    [][]float32 // the model's weights
	version uint64      // of them
	fresh   bool
	bounds  device.Executable
	grads   device.Executable // made on first use

	lower, upper []float32 // scratch for an image's box
}

// NewBounds prepares bounds of a model for batches of up to rows. A network must end with a dense
// layer, and ensembles must combine by their mean logits.
func NewBounds(m *Model, rows int) (*Bounds, error) {
	g, list, err := newBoundsGraph(m)
	if err != nil {
		return nil, fmt.Errorf("interval bounds: %w", err)
	}
	b := &Bounds{model: m, rows: rows, graph: g, derived: list, params: &device.Parameters{}, host: make([][]float32, len(m.own())),
		lower: make([]float32, m.Spec.Input.Size()), upper: make([]float32, m.Spec.Input.Size())}
	for i, d := range list {
		p := &device.Parameter{Name: g.params[i].name, Shape: g.params[i].shape, Frozen: g.params[i].frozen()}
		if d.fill == nil {
			p.Value = m.params.List[d.of].Value
		} else {
			p.Value = m.New(g.params[i].size())
		}
		if !p.Frozen {
			p.Grad = m.New(g.params[i].size())
		}
		b.params.List = append(b.params.List, p)
	}
	if b.bounds, err = b.load("interval bounds", false); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Bounds) load(name string, grads bool) (device.Executable, error) {
	program, err := b.graph.compile(name, b.rows, false, grads)
	if err != nil {
		return nil, err
	}
	recompute(program, b.model.segments)
	return b.model.Device.Load(program, b.params)
}

// Box writes the box of radius eps in Linf around images [N,H,W,C], cut at [0,1], as Differences and
// AddGrad take it: [N,H,W,2C], the lower ends of a pixel's channels before the upper ones. Ends are
// rounded outward by more than an attack's own projection can be off.
func (b *Bounds) Box(dst, images []float32, eps float64) {
	size, c := b.model.Spec.Input.Size(), b.model.Spec.Input.C
	lower, upper := b.lower[:size], b.upper[:size]
	for ; len(images) > 0; images, dst = images[size:], dst[2*size:] {
		corners(lower, upper, images[:size], eps, b.Before)
		for i := range size {
			at := i/c*2*c + i%c
			dst[at], dst[at+c] = lower[i], upper[i]
		}
	}
}

// corners are the lower and the upper ends of an image's box, behind what is before the network.
func corners(lower, upper, image []float32, eps float64, before func([]float32)) {
	for i, v := range image {
		lower[i], upper[i] = ends(v, eps)
	}
	if before != nil {
		before(lower)
		before(upper)
	}
}

// ends are those of a pixel's interval.
func ends(v float32, eps float64) (lower, upper float32) {
	if eps <= 0 {
		return v, v
	}
	return max(outward(float64(v)-eps, -1), 0), min(outward(float64(v)+eps, 1), 1)
}

// outward is the float32 beyond v in a direction, by 2^-22: four roundings of values up to 1.
func outward(v, direction float64) float32 {
	v += direction * 0x1p-22
	f := float32(v)
	if (float64(f)-v)*direction < 0 {
		f = math.Nextafter32(f, float32(math.Inf(int(direction))))
	}
	return f
}

// Differences computes, for the boxes in c.X, upper bounds of logit k minus logit y: c.Logits [N,K*K]
// with K classes, at y*K+k. Class y is verified where all but k = y are below 0.
func (b *Bounds) Differences(c *device.Call) error {
	if err := b.prepare(c); err != nil {
		return fmt.Errorf("interval bounds: %w", err)
	}
	return b.bounds.Run(c)
}

// AddGrad adds the gradient of c.Scale times the sum of c.Loss, such as WorstCase, on the differences
// to that of the model's last ParamGrad. The margin for rounding counts as a constant.
func (b *Bounds) AddGrad(c *device.Call) error {
	err := b.prepare(c)
	if err == nil && b.grads == nil {
		b.grads, err = b.load("gradient of interval bounds", true)
	}
	if err == nil {
		err = b.grads.Run(c)
	}
	if err != nil {
		return fmt.Errorf("gradient of interval bounds: %w", err)
	}
	sums := make([][]float32, len(b.host))
	for i, d := range b.derived {
		if b.params.List[i].Frozen {
			continue
		}
		if sums[d.of] == nil {
			sums[d.of] = download(b.model.params.List[d.of].Grad)
		}
		d.fold(sums[d.of], download(b.params.List[i].Grad), b.host[d.of])
	}
	for i, sum := range sums {
		if sum != nil {
			b.model.params.List[i].Grad.Upload(sum, 0)
		}
	}
	return nil
}

// Verified reports for images [N,H,W,C] whether the bounds prove that no image within eps in Linf
// has another class than its label.
func (b *Bounds) Verified(images []float32, labels []int32, eps float64) ([]bool, error) {
	size, k := b.model.Spec.Input.Size(), b.model.Spec.Classes
	verified := make([]bool, len(labels))
	x, z := b.model.New(2*b.rows*size), b.model.New(b.rows*k*k)
	box, upper := make([]float32, 2*b.rows*size), make([]float32, b.rows*k*k)
	for at := 0; at < len(labels); at += b.rows {
		n := min(b.rows, len(labels)-at)
		b.Box(box, images[at*size:(at+n)*size], eps)
		x.Upload(box[:2*n*size], 0)
		if err := b.Differences(&device.Call{Rows: n, X: x, Logits: z}); err != nil {
			return nil, err
		}
		z.Download(upper[:n*k*k], 0)
		for r := range n {
			y := int(labels[at+r])
			verified[at+r] = true
			for j, v := range upper[(r*k+y)*k:][:k] {
				verified[at+r] = verified[at+r] && (j == y || v < 0) // a NaN proves nothing
			}
		}
	}
	return verified, nil
}

// prepare checks a call and derives what depends on weights that have changed.
func (b *Bounds) prepare(c *device.Call) error {
	if c.Rows < 1 || c.Rows > b.rows {
		return fmt.Errorf("%d rows: they were made for 1 to %d", c.Rows, b.rows)
	}
	if want := 2 * c.Rows * b.model.Spec.Input.Size(); c.X.Len() < want {
		return fmt.Errorf("%d values for %d boxes of %v: lower and upper ends are %d", c.X.Len(), c.Rows, b.model.Spec.Input, want)
	}
	// Running statistics move without a new version.
	if b.fresh && b.version == b.model.params.Version && !b.model.HasStatistics() {
		return nil
	}
	for i, p := range b.model.own() {
		b.host[i] = download(p.Value)
	}
	for i, d := range b.derived {
		if d.fill == nil {
			continue
		}
		values := make([]float32, b.graph.params[i].size())
		d.fill(values, b.host)
		b.params.List[i].Value.Upload(values, 0)
	}
	b.params.Version++
	b.version, b.fresh = b.model.params.Version, true
	return nil
}

// WorstCase is the cross-entropy of the worst logits in a box (Gowal et al. 2019, section 3): 0 for
// the label and the upper bound of the difference for each other class. It takes Differences, not
// logits, and serves AddGrad only.
type WorstCase struct{}

// Rows implements device.Loss.
func (WorstCase) Rows(b *device.Block) {
	k := int(math.Round(math.Sqrt(float64(b.Classes))))
	p, worst := make([]float64, k), make([]float32, k)
	clear(b.Grad[:b.Rows*b.Classes])
	for r := range b.Rows {
		y := int(b.Labels[r])
		at := r*b.Classes + y*k
		copy(worst, b.Logits[at:][:k])
		worst[y] = 0
		top, rest := softmax(p, worst, 1)
		b.Value[r] = float32(top + rest)
		for j := range p {
			if j != y {
				b.Grad[at+j] = float32(p[j])
			}
		}
	}
}
