package cpu

import (
	"rampart/nn/device"
)

// pack is a copy of a weight in the order in which a kernel reads it, shared by the programs of a model.
// A weight and those that were derived from it share one, too, since no program has both.
type pack struct {
	data    []float32
	fill    func(dst, w []float32)
	param   int // that it was filled with
	version uint64
	filled  bool
}

// packed is a program's use of a pack, for a parameter.
type packed struct {
	*pack
	of int
}

type packKey struct {
	origin *device.Parameter
	op     device.Op
}

// packed returns the model's copy for a kernel; op tells copies of one weight apart.
func (e *executable) packed(param int, op device.Op, size int, fill func(dst, w []float32)) *pack {
	packs, ok := e.params.Packed.(map[packKey]*pack)
	if !ok {
		packs = map[packKey]*pack{}
		e.params.Packed = packs
	}
	k := packKey{e.params.List[param], op}
	if o := k.origin.Origin; o != nil {
		k.origin = o
	}
	p, ok := packs[k]
	if !ok {
		p = &pack{data: make([]float32, size), fill: fill}
		packs[k] = p
	}
	for _, used := range e.packs {
		if used.pack == p { // by the same instruction once more: it is filled once
			return p
		}
	}
	e.packs = append(e.packs, packed{p, param})
	return p
}

// repack renews the copies whose weights have changed since, or that hold another weight.
func (e *executable) repack() {
	e.dev.pool.run(len(e.packs), e.repackWork)
}

func (e *executable) repackOne(_, unit int) {
	p := e.packs[unit]
	if p.filled && p.param == p.of && p.version == e.params.Version {
		return
	}
	p.fill(p.data, host(e.params.List[p.of].Value))
	p.filled, p.param, p.version = true, p.of, e.params.Version
}
