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

// judged is a model's memory for its updates: the sums of its gradient; what was made of them, which is struct
// Verdict of kernels/optimizer.cu; and what changes from step to step: the step's number, then a struct Rates
// for each parameter that is trained. It is Packed of its Parameters.
type judged struct {
	sums, verdict, now *Tensor
	chunks             int
}

// updating is one optimiser step.
type updating struct {
	*judged
	dev   *Device
	rule  device.Optimizer
	list  []*device.Parameter // those that are trained
	clip  float32
	where []driver.Pointer // of each of them: value, gradient, state
}

// updateKey is all that the launches of an update have baked in. Its rates and the step's number lie in memory.
type updateKey struct {
	rule      device.Optimizer
	addresses string // of all that is read and written, with the number of values
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
	u := updating{dev: d, rule: rule}
	switch r := rule.(type) {
	case device.SGD:
		u.clip = r.Clip
	case device.Adam:
		u.clip = r.Clip
	default:
		return fmt.Errorf("cuda knows no optimiser %T", rule)
	}
	key := u.prepare(params)
	d.upload(address(u.now), bytesOf(u.rates(lr, step)))
	d.repeat(1, key, u.launch)
	return d.err
}

// prepare finds what is to be updated, and the memory for that.
func (u *updating) prepare(params *device.Parameters) updateKey {
	d, chunks := u.dev, 0
	for _, p := range params.List {
		if p.Frozen {
			continue
		}
		for len(p.State) < u.rule.States() {
			p.State = append(p.State, d.New(p.Value.Len()))
		}
		u.list, chunks = append(u.list, p), chunks+ceil(p.Value.Len(), sumChunk)
		u.where = append(u.where, address(p.Value), address(p.Grad), ptrInt(p.Value.Len()))
		for _, s := range p.State {
			u.where = append(u.where, address(s))
		}
	}
	var ok bool
	if u.judged, ok = params.Packed.(*judged); !ok {
		u.judged = &judged{verdict: d.New(3).(*Tensor)}
		params.Packed = u.judged
	}
	if n := 1 + 3*len(u.list); u.now == nil || u.chunks != chunks || u.now.Len() != n {
		u.chunks, u.sums, u.now = chunks, d.New(2*chunks).(*Tensor), d.New(n).(*Tensor)
	}
	u.where = append(u.where, address(u.sums), address(u.verdict), address(u.now))
	return updateKey{u.rule, string(bytesOf(u.where))}
}

// rates is what now is to hold.
func (u *updating) rates(lr float32, step int) []uint32 {
	words := []uint32{uint32(step)}
	for _, p := range u.list {
		lr, shrink, root := p.Rate(lr), float32(1), float32(1)
		if r, ok := u.rule.(device.Adam); ok {
			if r.Decoupled {
				shrink = float32(1 - float64(lr)*float64(r.WeightDecay))
			}
			root = float32(math.Sqrt(1 - math.Pow(float64(r.Beta2), float64(step))))
			lr = float32(float64(lr) / (1 - math.Pow(float64(r.Beta1), float64(step))))
		}
		words = append(words, math.Float32bits(lr), math.Float32bits(shrink), math.Float32bits(root))
	}
	return words
}

// launch leaves on the device what clips the gradient, or that it is not finite, and moves the weights.
func (u *updating) launch() {
	d, sums, now, verdict := u.dev, address(u.sums), address(u.now), ptr(address(u.verdict))
	for _, p := range u.list {
		n := p.Value.Len()
		d.launch("sum_squares", blocks(ceil(n, sumChunk)), ptr(address(p.Grad)), ptr(sums), i(sumChunk), i(n))
		sums += ptrInt(8 * ceil(n, sumChunk))
	}
	d.launch("judge_gradient", grid{[3]int{1, 1, 1}, 32}, ptr(address(u.sums)), i(u.chunks), f(u.clip), ptr(now), verdict)
	for k, p := range u.list {
		n, w, g, rates := p.Value.Len(), ptr(address(p.Value)), ptr(address(p.Grad)), ptr(now+ptrInt(4+12*k))
		switch r := u.rule.(type) {
		case device.SGD:
			if r.Momentum == 0 {
				d.launch("sgd", each(n), w, g, verdict, rates, f(r.WeightDecay), i(n))
				break
			}
			fresh, old := float32(0), float32(1)
			if r.Nesterov {
				fresh, old = 1, r.Momentum
			}
			d.launch("momentum", each(n), w, g, ptr(address(p.State[0])), verdict, rates, f(r.WeightDecay), f(r.Momentum), f(fresh), f(old), i(n))
		case device.Adam:
			decay := r.WeightDecay
			if r.Decoupled {
				decay = 0
			}
			d.launch("adam", each(n), w, g, ptr(address(p.State[0])), ptr(address(p.State[1])), verdict, rates, f(decay),
				f(float32(1-float64(r.Beta1))), f(r.Beta2), f(float32(1-float64(r.Beta2))), f(r.Epsilon), i(n))
		}
	}
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
