package kernel

// winogradKernels are the transforms of patches with vectors of some width; channels come in whole ones.
type winogradKernels struct {
	lanes   int
	inputs  func(v, x, registers *float32, step, line, channels int)
	outputs func(y, m, registers, bias *float32, biasStep, step, line, channels int, floor float32)
}

var (
	winogradNarrow = &winogradKernels{lanes, winogradInputsAVX2, winogradOutputsAVX2}
	winogradWide   = &winogradKernels{panel, winogradInputsAVX512, winogradOutputsAVX512}
)

func winogradInputAVX2(t winogradInput)   { t.run(winogradNarrow) }
func winogradOutputAVX2(t winogradOutput) { t.run(winogradNarrow) }

func winogradInputAVX512(t winogradInput)   { t.run(widest(t.channels)) }
func winogradOutputAVX512(t winogradOutput) { t.run(widest(t.channels)) }

// widest returns the kernels for that many channels.
func widest(channels int) *winogradKernels {
	if channels%panel == 0 {
		return winogradWide
	}
	return winogradNarrow
}

func (t *winogradInput) run(k *winogradKernels) {
	_ = t.x[(patchSide-1)*(t.line+t.channels)+t.channels-1]
	_ = t.v[(patchSize-1)*t.step+t.channels-1]
	_ = t.registers[patchSize*k.lanes-1]
	k.inputs(&t.v[0], &t.x[0], &t.registers[0], t.step*floatBytes, t.line*floatBytes, t.channels*floatBytes)
}

func (t *winogradOutput) run(k *winogradKernels) {
	_ = t.y[(patchStep-1)*(t.line+t.channels)+t.channels-1]
	_ = t.m[(patchSize-1)*t.step+t.channels-1]
	_ = t.registers[patchSize*k.lanes-1]
	bias, biasStep, floor := &noBias[0], 0, unbounded
	if t.bias != nil {
		_ = t.bias[t.channels-1]
		bias, biasStep = &t.bias[0], k.lanes*floatBytes
	}
	if t.rectified {
		floor = 0
	}
	k.outputs(&t.y[0], &t.m[0], &t.registers[0], bias, biasStep, t.step*floatBytes, t.line*floatBytes, t.channels*floatBytes, floor)
}

func winogradWeightsAVX2(t winogradWeights) {
	if t.lines == 0 {
		return
	}
	t.check()
	var registers [patchSide * filterSide * lanes]float32
	winogradFiltersAVX2(&t.u[0], &t.w[0], &registers[0], t.step*floatBytes, t.tap*floatBytes, t.line*floatBytes, t.lines, t.cols/lanes)
}

func winogradWeightsAVX512(t winogradWeights) {
	if t.lines == 0 || t.cols != panel {
		winogradWeightsAVX2(t)
		return
	}
	t.check()
	var registers [patchSide * filterSide * panel]float32
	winogradFiltersAVX512(&t.u[0], &t.w[0], &registers[0], t.step*floatBytes, t.tap*floatBytes, t.line*floatBytes, t.lines, 1)
}

// check panics where the transform would read or write beyond its slices.
func (t *winogradWeights) check() {
	_ = t.w[(filterSide*filterSide-1)*t.tap+(t.lines-1)*t.line+t.cols-1]
	_ = t.u[(patchSize-1)*t.step+(t.lines-1)*panel+t.cols-1]
}
