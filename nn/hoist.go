package nn

import (
	"slices"

	"rampart/nn/device"
)

// hoist moves the gradient of each parameter to right behind what it is computed from. The compiler, which
// walks back from one output after the other, leaves most of them at the end, so that all that they
// read would live until then.
func hoist(p *device.Program) {
	producers := producers(p)
	behind := make([][]device.Instr, len(p.Instrs)) // by the instruction that they wait for
	for _, in := range p.Instrs {
		if perParameter(in.Op) {
			last := latest(producers, in)
			behind[last] = append(behind[last], in)
		}
	}
	list := make([]device.Instr, 0, len(p.Instrs))
	for i, in := range p.Instrs {
		if !perParameter(in.Op) {
			list = append(append(list, in), behind[i]...)
		}
	}
	p.Instrs = list
}

// latest is the last instruction that makes what an instruction reads; the gradient of a parameter
// reads at least the gradient of a value.
func latest(producers []int, in device.Instr) int {
	last := -1
	for _, b := range in.In {
		last = max(last, producers[b])
	}
	return last
}

// normalisesBatch reports whether a program computes statistics of the batch.
func normalisesBatch(p *device.Program) bool {
	return slices.ContainsFunc(p.Instrs, func(in device.Instr) bool {
		switch in.Op.(type) {
		case device.BatchNormTrain, device.BatchNormSplit:
			return true
		}
		return false
	})
}
