package cuda

import (
	"errors"
	"fmt"
	"math"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// sumChunk is how many squares of a gradient one block adds; see kernels/optimizer.cu.
const sumChunk = 1 << 16

// judged is a model's memory for its updates: the sums of its gradient, and what was made of them, which is
// struct Verdict of kernels/optimizer.cu. It is Packed of its Parameters.
type judged struct {
	sums, verdict *Tensor
	chunks        int
}

// Update implements device.Device. It does not wait: the norm of the gradient stays on the device, where the
// kernels change nothing from the first step on that is not finite. Settle says so.
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
	verdict := ptr(d.judge(params, clip, step))
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
				d.launch("sgd", each(n), w, g, verdict, f(lr), f(r.WeightDecay), i(n))
				break
			}
			fresh, old := float32(0), float32(1)
			if r.Nesterov {
				fresh, old = 1, r.Momentum
			}
			d.launch("momentum", each(n), w, g, ptr(address(p.State[0])), verdict, f(lr), f(r.WeightDecay), f(r.Momentum), f(fresh), f(old), i(n))
		case device.Adam:
			decay, shrink := r.WeightDecay, float32(1)
			if r.Decoupled {
				decay, shrink = 0, float32(1-float64(lr)*float64(r.WeightDecay))
			}
			d.launch("adam", each(n), w, g, ptr(address(p.State[0])), ptr(address(p.State[1])), verdict, f(decay), f(shrink),
				f(float32(1-float64(r.Beta1))), f(r.Beta2), f(float32(1-float64(r.Beta2))),
				f(float32(math.Sqrt(1-math.Pow(float64(r.Beta2), float64(step))))), f(r.Epsilon),
				f(float32(float64(lr)/(1-math.Pow(float64(r.Beta1), float64(step))))), i(n))
		}
	}
	return d.err
}

// judge leaves on the device what clips the gradient, or that it is not finite, and returns where.
func (d *Device) judge(params *device.Parameters, clip float32, step int) driver.Pointer {
	chunks := 0
	for _, p := range params.List {
		if !p.Frozen {
			chunks += ceil(p.Value.Len(), sumChunk)
		}
	}
	j, ok := params.Packed.(*judged)
	if !ok {
		j = &judged{verdict: d.New(3).(*Tensor)}
		params.Packed = j
	}
	if j.chunks != chunks {
		j.chunks, j.sums = chunks, d.New(2*chunks).(*Tensor)
	}
	at, verdict := address(j.sums), address(j.verdict)
	for _, p := range params.List {
		if n := p.Value.Len(); !p.Frozen {
			d.launch("sum_squares", blocks(ceil(n, sumChunk)), ptr(address(p.Grad)), ptr(at), i(sumChunk), i(n))
			at += ptrInt(8 * ceil(n, sumChunk))
		}
	}
	d.launch("judge_gradient", grid{[3]int{1, 1, 1}, 32}, ptr(address(j.sums)), i(chunks), f(clip), i(step), ptr(verdict))
	return verdict
}

// Settle implements device.Settler. It waits for all work.
func (d *Device) Settle(params *device.Parameters) error {
	defer d.enter()()
	j, ok := params.Packed.(*judged)
	if !ok || d.err != nil {
		return d.err
	}
	var verdict [3]int32 // the first is a float32
	d.download(bytesOf(verdict[:]), address(j.verdict))
	bad := int(verdict[2])
	if d.err != nil || bad == 0 {
		return d.err
	}
	d.upload(address(j.verdict), bytesOf(make([]int32, 3)))
	err := &device.NotFinite{Step: int(verdict[1])}
	for _, p := range params.List {
		if p.Frozen {
			continue
		}
		if bad -= ceil(p.Value.Len(), sumChunk); bad <= 0 {
			err.Parameter = p.Name
			break
		}
	}
	return errors.Join(err, d.err)
}

var _ device.Settler = (*Device)(nil)
