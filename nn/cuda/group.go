package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
	"rampart/nn/device"
)

// Group is several GPUs of one machine that compute as one device: each takes a part of a call's rows, by
// programs of its own. Weights are the same on all. In training the gradients of parameters are added across
// the devices, and so are the sums of a batch normalisation with the batch's statistics, so that the result is
// one GPU's up to the order of sums. Rows do not depend on how they are spread. Each device is worked by one
// OS thread. A Group is not safe for concurrent use.
type Group struct {
	devices []*Device
	workers []chan func()
	library nccl.Library
	version int

	once   sync.Once
	failed chan struct{} // closed when one device failed where others wait for it
	err    error         // then
}

// link is what a device needs to work with others.
type link struct {
	library nccl.Library
	comm    nccl.Comm
	failed  <-chan struct{} // the group's
	mark    driver.Event    // the last copy from or to another device
}

// NewGroup makes one device of several of one driver, which are used through it alone from then on.
func NewGroup(devices []*Device, library nccl.Library) (*Group, error) {
	g := &Group{devices: devices, library: library, failed: make(chan struct{})}
	var numbers []int
	for _, d := range devices {
		for _, n := range numbers {
			if n == d.number {
				return nil, fmt.Errorf("cuda:%d is named twice: a GPU takes part once", n)
			}
		}
		numbers = append(numbers, d.number)
	}
	var err error
	if g.version, err = library.Version(); err != nil {
		return nil, err
	}
	comms, err := library.Init(numbers)
	if err != nil {
		return nil, fmt.Errorf("%s cannot work together: %w", list(numbers), err)
	}
	for k, d := range devices {
		d.link = &link{library: library, comm: comms[k], failed: g.failed}
		leave := d.enter()
		d.link.mark, err = d.drv.NewEvent()
		d.fail(err)
		leave()
		if d.err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name(), d.err)
		}
		g.workers = append(g.workers, newWorker())
	}
	workers, failed := g.workers, g.failed
	runtime.AddCleanup(g, func(comms []nccl.Comm) { dismiss(workers, library, comms, failed) }, comms)
	return g, nil
}

// newWorker starts a thread for one device.
func newWorker() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
}

// dismiss ends what a group that nobody holds has begun.
func dismiss(workers []chan func(), library nccl.Library, comms []nccl.Comm, failed <-chan struct{}) {
	for _, w := range workers {
		close(w)
	}
	select {
	case <-failed: // they were aborted
	default:
		for _, c := range comms {
			_ = library.Destroy(c) // nobody is left who could be told
		}
	}
}

// list names GPUs by their numbers.
func list(numbers []int) string {
	return "cuda:" + strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ",")
}

// Name implements device.Device.
func (g *Group) Name() string {
	var numbers []int
	var names []string
	for _, d := range g.devices {
		numbers = append(numbers, d.number)
		_, name, _ := strings.Cut(d.Name(), " ")
		if len(names) == 0 || names[0] != name {
			names = append(names, name)
		}
	}
	text := strings.Join(names, " ")
	if len(names) == 1 {
		text = fmt.Sprintf("%d times %s", len(g.devices), strings.Trim(text, "()"))
	}
	return fmt.Sprintf("%s (%s, NCCL %d.%d.%d)", list(numbers), text, g.version/10000, g.version/100%100, g.version%100)
}

// Round implements device.Rounding.
func (g *Group) Round(p device.Precision) error {
	for _, d := range g.devices {
		if err := d.Round(p); err != nil {
			return err
		}
	}
	return nil
}

// each does something on every device, all at the same time, and returns the first error.
func (g *Group) each(do func(k int) error) error {
	errs := make([]error, len(g.devices))
	var wait sync.WaitGroup
	for k, jobs := range g.workers {
		wait.Add(1)
		jobs <- func() {
			defer wait.Done()
			errs[k] = do(k)
		}
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, errAnother) {
			return err
		}
	}
	return errors.Join(errs...)
}

// errAnother is the error of a device that another one let down.
var errAnother = errors.New("another device of the group failed")

// abort lets go of devices that wait for one that has failed. Nothing runs on the group afterwards.
func (g *Group) abort(err error) {
	g.once.Do(func() {
		g.err = fmt.Errorf("the devices stopped working together: %w", err)
		close(g.failed)
		for _, d := range g.devices {
			_ = g.library.Abort(d.link.comm) // there is an error already
		}
	})
}

// ready is the error of a group that has failed.
func (g *Group) ready() error {
	select {
	case <-g.failed:
		return g.err
	default:
		return nil
	}
}

// settle waits for all devices.
func (g *Group) settle() {
	for _, d := range g.devices {
		leave := d.enter()
		d.wait()
		leave()
	}
}

// replicas are a model's parameters as the devices have them, with the tensors of now.
func (g *Group) replicas(params *device.Parameters) []*device.Parameters {
	all, ok := params.Packed.([]*device.Parameters)
	if !ok {
		for range g.devices {
			all = append(all, &device.Parameters{})
		}
		params.Packed = all
	}
	part := func(t device.Tensor, k int) device.Tensor {
		if t == nil {
			return nil
		}
		s := t.(*spread)
		s.fetch(k, span{0, s.n})
		return s.parts[k]
	}
	for k, own := range all {
		own.Version = params.Version
		for len(own.List) < len(params.List) {
			own.List = append(own.List, &device.Parameter{})
		}
		for i, p := range params.List {
			q := own.List[i]
			state := q.State[:0]
			*q = *p
			q.Value, q.Grad, q.State = part(p.Value, k), part(p.Grad, k), state
			for _, s := range p.State {
				q.State = append(q.State, part(s, k))
			}
		}
	}
	return all
}

// Update implements device.Device: every device updates its own weights, by the same gradients.
func (g *Group) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	if err := g.ready(); err != nil {
		return err
	}
	for _, p := range params.List {
		for !p.Frozen && len(p.State) < rule.States() {
			p.State = append(p.State, g.New(p.Value.Len()))
		}
	}
	own := g.replicas(params)
	return g.each(func(k int) error { return g.devices[k].Update(rule, own[k], lr, step) })
}

// Settle implements device.Settler. The devices judge alike, since their gradients are the same.
func (g *Group) Settle(params *device.Parameters) error {
	if err := g.ready(); err != nil {
		return err
	}
	own := g.replicas(params)
	return g.each(func(k int) error { return g.devices[k].Settle(own[k]) })
}

var (
	_ device.Rounding = (*Group)(nil)
	_ device.Settler  = (*Group)(nil)
)
