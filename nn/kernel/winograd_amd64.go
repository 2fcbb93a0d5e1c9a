package kernel

func winogradInputAVX2(t winogradInput) {
	_ = t.x[(patchSide-1)*(t.line+t.channels)+t.channels-1]
	_ = t.v[(patchSize-1)*t.step+t.channels-1]
	_ = t.registers[patchSize*lanes-1]
	winogradInputsAVX2(&t.v[0], &t.x[0], &t.registers[0], t.step*floatBytes, t.line*floatBytes, t.channels*floatBytes)
}

func winogradOutputAVX2(t winogradOutput) {
	_ = t.y[(patchStep-1)*(t.line+t.channels)+t.channels-1]
	_ = t.m[(patchSize-1)*t.step+t.channels-1]
	_ = t.registers[patchSize*lanes-1]
	bias, biasStep, floor := &noBias[0], 0, unbounded
	if t.bias != nil {
		_ = t.bias[t.channels-1]
		bias, biasStep = &t.bias[0], lanes*floatBytes
	}
	if t.rectified {
		floor = 0
	}
	winogradOutputsAVX2(&t.y[0], &t.m[0], &t.registers[0], bias, biasStep, t.step*floatBytes, t.line*floatBytes, t.channels*floatBytes, floor)
}

func winogradWeightsAVX2(t winogradWeights) {
	if t.lines == 0 {
		return
	}
	_ = t.w[(filterSide*filterSide-1)*t.tap+(t.lines-1)*t.line+t.cols-1]
	_ = t.u[(patchSize-1)*t.step+(t.lines-1)*panel+t.cols-1]
	var registers [patchSide * filterSide * lanes]float32
	winogradFiltersAVX2(&t.u[0], &t.w[0], &registers[0], t.step*floatBytes, t.tap*floatBytes, t.line*floatBytes, t.lines, t.cols/lanes)
}
