package cuda

import (
	"fmt"
	"math"

	"rampart/nn/device"
)

// sumChunk is how many squares of a gradient one block adds; see kernels/optimizer.cu.
const sumChunk = 1 << 16

// Update implements device.Device. It waits once, for the norm of the gradient: a step that is not
// finite must change nothing.
func (d *Device) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	defer d.enter()()
	if d.err == nil {
		d.fail(d.need("sum_squares"))
	}
	if d.err != nil {
		return d.err
	}
	var clip float32
	switch r := rule.(type) {
	case device.SGD:
		clip = r.Clip
	case device.Adam:
		clip = r.Clip
	default:
		return fmt.Errorf("cuda knows no optimiser %T", rule)
	}
	norm, err := d.gradientNorm(params, step)
	if err != nil {
		return err
	}
	factor := float32(1)
	if clip > 0 && norm > float64(clip) {
		factor = float32(float64(clip) / norm)
	}
	for _, p := range params.List {
		if p.Frozen {
			continue
		}
		for len(p.State) < rule.States() {
			p.State = append(p.State, d.New(p.Value.Len()))
		}
		lr := p.Rate(lr)
		n, w, g := p.Value.Len(), ptr(address(p.Value)), ptr(address(p.Grad))
		switch r := rule.(type) {
		case device.SGD:
			if r.Momentum == 0 {
				d.launch("sgd", each(n), w, g, f(lr), f(factor), f(r.WeightDecay), i(n))
				break
			}
			fresh, old := float32(0), float32(1)
			if r.Nesterov {
				fresh, old = 1, r.Momentum
			}
			d.launch("momentum", each(n), w, g, ptr(address(p.State[0])), f(lr), f(factor), f(r.WeightDecay), f(r.Momentum), f(fresh), f(old), i(n))
		case device.Adam:
			decay, shrink := r.WeightDecay, float32(1)
			if r.Decoupled {
				decay, shrink = 0, float32(1-float64(lr)*float64(r.WeightDecay))
			}
			d.launch("adam", each(n), w, g, ptr(address(p.State[0])), ptr(address(p.State[1])), f(factor), f(decay), f(shrink),
				f(float32(1-float64(r.Beta1))), f(r.Beta2), f(float32(1-float64(r.Beta2))),
				f(float32(math.Sqrt(1-math.Pow(float64(r.Beta2), float64(step))))), f(r.Epsilon),
				f(float32(float64(lr)/(1-math.Pow(float64(r.Beta1), float64(step))))), i(n))
		}
	}
	return d.err
}

// gradientNorm is the global L2 norm of the gradient, an error where that is not finite.
func (d *Device) gradientNorm(params *device.Parameters, step int) (float64, error) {
	total := 0
	for _, p := range params.List {
		if !p.Frozen {
			total += ceil(p.Value.Len(), sumChunk)
		}
	}
	if total > d.sumsLen {
		if d.sums != 0 {
			d.fail(d.drv.Free(d.sums))
		}
		var err error
		d.sums, err = d.alloc(8 * total)
		d.fail(err)
		d.sumsLen = total
	}
	at := d.sums
	for _, p := range params.List {
		if n := p.Value.Len(); !p.Frozen {
			d.launch("sum_squares", blocks(ceil(n, sumChunk)), ptr(address(p.Grad)), ptr(at), i(sumChunk), i(n))
			at += ptrInt(8 * ceil(n, sumChunk))
		}
	}
	sums := make([]float64, total)
	d.download(bytesOf(sums), d.sums)
	if d.err != nil {
		return 0, d.err
	}
	sum, next := 0.0, 0
	for _, p := range params.List {
		if p.Frozen {
			continue
		}
		for range ceil(p.Value.Len(), sumChunk) {
			if v := sums[next]; math.IsNaN(v) || math.IsInf(v, 0) {
				return 0, fmt.Errorf("the gradient of %q is not finite at step %d: lower the learning rate or clip the gradient", p.Name, step)
			}
			sum += sums[next]
			next++
		}
	}
	return math.Sqrt(sum), nil
}
