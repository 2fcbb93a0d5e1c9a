package ptx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// kernel is a compiled kernel.
type kernel struct {
	name       string
	blocks     []basic
	params     []variable
	paramSize  int
	r, d, p    int // numbers of registers
	consts32   map[int]uint32
	consts64   map[int]uint64
	special    map[int]string // slot in r
	sharedSize int
	module     *module
	idle       chan *block // made before, to be used again
}

// block is a thread block in execution, with the shared memory; it is used for one after another.
type block struct {
	k        *kernel
	m        *Machine
	index    [3]uint32
	warps    []*warp
	order    []int
	params   []byte
	shared   []uint32
	shadow   []access // by word of shared memory
	epoch    uint32   // number of barriers so far
	birth    uint32   // epoch in which the block began
	reduced  bool     // a thread brought true to the current reducing barrier
	shuffled *rand.Rand
	hints    []*allocation // by memory instruction: where it went last
}

// launch runs a grid and returns its fault.
func (m *Machine) launch(k *kernel, grid, size [3]int, params []byte) error {
	total, threads := grid[0]*grid[1]*grid[2], size[0]*size[1]*size[2]
	if threads == 0 || threads > 1024 || total == 0 {
		return fmt.Errorf("kernel %s: a grid of %v blocks of %v threads cannot be launched", k.name, grid, size)
	}
	if size[1] != 1 || size[2] != 1 {
		return fmt.Errorf("kernel %s: blocks of more than one dimension are not supported", k.name)
	}
	if len(params) != k.paramSize {
		return fmt.Errorf("kernel %s takes %d bytes of parameters, not %d", k.name, k.paramSize, len(params))
	}
	// Blocks run in an order that a kernel cannot rely on: strides coprime to their number visit all.
	stride := int(m.random.Uint64N(uint64(total))) | 1
	for gcd(stride, total) != 1 {
		stride += 2
	}
	var next atomic.Int64
	errs := make(chan error, m.workers)
	work := func(seed uint64) {
		b := k.take(m, threads)
		b.shuffled = rand.New(rand.NewPCG(seed, 1))
		b.prepare(grid, size, params)
		defer func() {
			f, bad := recover().(fault)
			if !bad {
				k.idle <- b
			}
			errs <- f.err
		}()
		for {
			i := int(next.Add(1)) - 1
			if i >= total {
				return
			}
			i = int(uint64(i) * uint64(stride) % uint64(total))
			b.run([3]uint32{uint32(i % grid[0]), uint32(i / grid[0] % grid[1]), uint32(i / grid[0] / grid[1])}, threads)
		}
	}
	workers := min(m.workers, total)
	for range workers - 1 {
		go work(m.random.Uint64())
	}
	work(m.random.Uint64())
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// take returns a block's memory, used before where there is one.
func (k *kernel) take(m *Machine, threads int) *block {
	var b *block
	select {
	case b = <-k.idle:
	default:
		b = &block{k: k, shared: make([]uint32, (k.sharedSize+3)/4), shadow: make([]access, (k.sharedSize+3)/4)}
	}
	b.m = m
	b.hints = make([]*allocation, len(k.module.places))
	for len(b.warps) < (threads+lanes-1)/lanes {
		w := &warp{b: b, id: uint32(len(b.warps)), r: make([][lanes]uint32, k.r), d: make([][lanes]uint64, k.d), p: make([]uint32, k.p)}
		for slot, v := range k.consts32 {
			for i := range lanes {
				w.r[slot][i] = v
			}
		}
		for slot, v := range k.consts64 {
			for i := range lanes {
				w.d[slot][i] = v
			}
		}
		w.p[alwaysTrue] = full
		b.warps = append(b.warps, w)
	}
	return b
}

// prepare sets what all blocks of a launch share.
func (b *block) prepare(grid, size [3]int, params []byte) {
	b.params = params
	for slot, name := range b.k.special {
		for _, w := range b.warps {
			for i := range lanes {
				var v int
				switch name {
				case "%tid.x":
					v = int(w.id)*lanes + i
				case "%laneid":
					v = i
				case "%ntid.x", "%ntid.y", "%ntid.z":
					v = size[name[6]-'x']
				case "%nctaid.x", "%nctaid.y", "%nctaid.z":
					v = grid[name[8]-'x']
				}
				w.r[slot][i] = uint32(v)
			}
		}
	}
}

// run executes one block. Warps take turns in shuffled order, each until its next barrier.
func (b *block) run(index [3]uint32, threads int) {
	b.index = index
	b.epoch++
	b.birth = b.epoch
	for slot, name := range b.k.special {
		if len(name) == len("%ctaid.x") && name[:7] == "%ctaid." {
			for _, w := range b.warps {
				for i := range lanes {
					w.r[slot][i] = index[name[7]-'x']
				}
			}
		}
	}
	n := (threads + lanes - 1) / lanes
	b.order = b.order[:0]
	for i, w := range b.warps[:n] {
		w.live = full
		if rest := threads - i*lanes; rest < lanes {
			w.live = 1<<rest - 1
		}
		w.groups = append(w.groups[:0], group{0, w.live})
		w.waiting, w.reduce = false, -1
		b.order = append(b.order, i)
	}
	for {
		b.shuffled.Shuffle(n, func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
		waiting := 0
		for _, i := range b.order {
			w := b.warps[i]
			w.run()
			if w.waiting {
				waiting++
			}
		}
		if waiting == 0 {
			for _, w := range b.warps[:n] {
				w.forget()
			}
			return
		}
		for _, w := range b.warps[:n] {
			if !w.waiting {
				w.fail(0, "it ends while %d others wait at a barrier", waiting)
			}
			w.waiting = false
			if w.reduce >= 0 {
				w.p[w.reduce] = 0
				if b.reduced {
					w.p[w.reduce] = full
				}
				w.reduce = -1
			}
		}
		b.reduced = false
		b.epoch++
	}
}
