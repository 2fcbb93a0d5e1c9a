package cpu

import (
	"rampart/nn/device"
)

// pack is a copy of a weight in the order in which a kernel reads it, shared by the programs of a model.
type pack struct {
	data    []float32
	fill    func(dst, w []float32)
	param   int
	version uint64
	filled  bool
}

type packKey struct {
	param int
	op    device.Op
}

// packed returns the model's copy for a kernel; op tells copies of one weight apart.
func (e *executable) packed(param int, op device.Op, size int, fill func(dst, w []float32)) *pack {
	packs, ok := e.params.Packed.(map[packKey]*pack)
	if !ok {
		packs = map[packKey]*pack{}
		e.params.Packed = packs
	}
	k := packKey{param, op}
	p, ok := packs[k]
	if !ok {
		p = &pack{data: make([]float32, size), fill: fill, param: param}
		packs[k] = p
	}
	e.packs = append(e.packs, p)
	return p
}

// repack renews the copies whose weights have changed since.
func (e *executable) repack() {
	e.dev.pool.run(len(e.packs), e.repackWork)
}

func (e *executable) repackOne(_, unit int) {
	p := e.packs[unit]
	if p.filled && p.version == e.params.Version {
		return
	}
	p.fill(p.data, host(e.params.List[p.param].Value))
	p.filled, p.version = true, e.params.Version
}
