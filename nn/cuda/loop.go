package cuda

import (
	"fmt"
	"math"
	"runtime"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// Iterate implements device.Executable. Everything is launched ahead; the only wait is for the
// counts, at the end, unless they are left for later (and for logits at each step, if the loss has no kernel).
func (e *executable) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	d := e.dev
	defer d.enter()()
	if err := e.begin(c); err != nil {
		return device.Counts{}, err
	}
	if e.rows == 0 {
		return device.Counts{}, e.attend(l)
	}
	size, classes := e.p.Buffers[e.p.X].Size, e.p.Buffers[e.p.Logits].Size
	if l.Adv.Len() < e.rows*size {
		return device.Counts{}, fmt.Errorf("%s: the result of the attack has room for %d values, not for %d", e.p.Name, l.Adv.Len(), e.rows*size)
	}
	suffix, err := normKernel(l.Norm)
	if err != nil {
		return device.Counts{}, err
	}
	clean, adv, best, state := ptr(e.addr[e.p.X]), ptr(e.at(e.plan.adv)), ptr(e.at(e.plan.best)), ptr(e.at(e.plan.state))
	each := images(e.rows, size)
	switch kind := ""; l.Start {
	case device.FromClean:
		d.launch("attack_begin", each, clean, adv, best, state, i(size), i(l.Tau))
	case device.FromNormal:
		kind = "normal_"
		fallthrough
	case device.FromUniform:
		d.upload(e.at(e.plan.example), bytesOf(l.Example[:e.rows]))
		d.launch("attack_start_"+kind+suffix, each, clean, adv, best, state, i(size), f(l.Epsilon), f(l.StartStd),
			u(l.Noise.Key[0]), u(l.Noise.Key[1]), ptr(e.at(e.plan.example)), u(l.Restart), i(l.Tau))
	default:
		return device.Counts{}, fmt.Errorf("cuda knows no start %d of an attack", l.Start)
	}
	e.addr[e.p.X] = e.at(e.plan.adv)
	d.upload(e.at(e.plan.limits), bytesOf([]float32{l.StepSize, l.Epsilon}))
	judge := func(last bool) {
		d.launch("attack_judge", each, ptr(e.addr[e.p.Logits]), ptr(e.addr[e.p.Value]), ptr(e.at(e.plan.labels)), adv, best, state,
			i(size), i(classes), boolean(l.EarlyStop), boolean(l.KeepBest), boolean(l.Targeted), boolean(last))
	}
	pixels := most(l, size)
	var key any
	if e.captured() {
		key = loopKey{e.key(), driver.Pointer(clean.bits), l.Norm, pixels, l.EarlyStop, l.KeepBest, l.Targeted}
	}
	d.repeat(l.Steps, key, func() {
		e.run(len(e.steps))
		judge(false)
		step := []value{clean, ptr(e.addr[e.p.InputGrad]), adv, state, i(size), ptr(e.at(e.plan.limits))}
		if l.Norm == device.L1 {
			step = append(step, i(pixels))
		}
		d.launch("attack_step_"+suffix, each, step...)
	})
	if l.KeepBest {
		e.run(e.forward())
		judge(true)
	}
	d.launch("attack_finish", each, adv, best, ptr(address(l.Adv)), i(size), boolean(l.KeepBest))
	var counts [4]int64
	if l.Later {
		d.launch("attack_counts", blocks(1), state, ptr(d.owing()), i(e.rows), boolean(true))
	} else {
		d.launch("attack_counts", blocks(1), state, ptr(e.at(e.plan.counts)), i(e.rows), boolean(false))
		d.download(bytesOf(counts[:]), e.at(e.plan.counts))
	}
	e.call = nil
	runtime.KeepAlive(c)
	runtime.KeepAlive(l)
	return countsOf(counts), d.err
}

// normKernel is the ending of the kernels that start in a norm's ball and step within it.
func normKernel(n device.Norm) (string, error) {
	switch n {
	case device.Linf:
		return "linf", nil
	case device.L2:
		return "l2", nil
	case device.L1:
		return "l1", nil
	}
	return "", fmt.Errorf("cuda has no kernels for norm %d", n)
}

// most is how many pixels of a row one step in L1 moves.
func most(l *device.Loop, size int) int {
	if l.Norm != device.L1 {
		return 0
	}
	return min(max(int(math.Round(float64(l.Sparsity)*float64(size))), 1), size)
}

// forward is the number of instructions up to the loss.
func (e *executable) forward() int {
	for i, in := range e.p.Instrs {
		if _, ok := in.Op.(device.ApplyLoss); ok {
			return i + 1
		}
	}
	return len(e.p.Instrs)
}
