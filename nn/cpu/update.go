package cpu

import (
	"fmt"
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// chunkSize splits weights for the optimiser; sums are added chunk by chunk.
const chunkSize = 1 << 16

// chunk is a piece of a parameter.
type chunk struct {
	p       *device.Parameter
	from    int
	to      int
	squares float64 // of its gradient
}

// update is an optimiser step in progress; its fields last, so that a step allocates nothing.
type update struct {
	chunks []chunk
	rule   device.Optimizer
	lr     float32
	scale  float32 // of the gradient
	step   int

	measureWork, applyWork func(worker, unit int)
}

// Update implements device.Device.
func (d *Device) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	u := &d.update
	u.split(params)
	defer clear(u.chunks) // a device outlives networks: it must not keep their weights
	d.pool.run(len(u.chunks), u.measureWork)
	sum := 0.0
	for _, c := range u.chunks {
		if math.IsNaN(c.squares) || math.IsInf(c.squares, 0) {
			return &device.NotFinite{Parameter: c.p.Name, Step: step}
		}
		sum += c.squares
	}
	var clip float32
	switch r := rule.(type) {
	case device.SGD:
		clip = r.Clip
	case device.Adam:
		clip = r.Clip
	default:
		return fmt.Errorf("the cpu knows no optimiser %T", rule)
	}
	u.rule, u.lr, u.scale, u.step = rule, lr, 1, step
	if norm := math.Sqrt(sum); clip > 0 && norm > float64(clip) {
		u.scale = float32(float64(clip) / norm)
	}
	for _, p := range params.List {
		for !p.Frozen && len(p.State) < rule.States() {
			p.State = append(p.State, d.New(p.Value.Len()))
		}
	}
	d.pool.run(len(u.chunks), u.applyWork)
	return nil
}

func (u *update) measure(_, unit int) {
	c := &u.chunks[unit]
	c.squares = kernel.SumSquares(host(c.p.Grad)[c.from:c.to])
}

func (u *update) apply(_, unit int) {
	c := &u.chunks[unit]
	piece := func(t device.Tensor) []float32 { return host(t)[c.from:c.to] }
	w, g := piece(c.p.Value), piece(c.p.Grad)
	lr := c.p.Rate(u.lr)
	switch r := u.rule.(type) {
	case device.SGD:
		var v []float32
		if r.Momentum != 0 {
			v = piece(c.p.State[0])
		}
		kernel.SGD(r, w, g, v, lr, u.scale)
	case device.Adam:
		kernel.Adam(r, w, g, piece(c.p.State[0]), piece(c.p.State[1]), lr, u.scale, u.step)
	}
}

// split lists the chunks of a model's weights.
func (u *update) split(params *device.Parameters) {
	u.chunks = u.chunks[:0]
	for _, p := range params.List {
		if p.Frozen {
			continue
		}
		for from := 0; from < p.Value.Len(); from += chunkSize {
			u.chunks = append(u.chunks, chunk{p: p, from: from, to: min(from+chunkSize, p.Value.Len())})
		}
	}
}
