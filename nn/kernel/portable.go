package kernel

var portable = &implementation{
	name:       "portable",
	sparse:     portableSparse,
	sparseRows: portableSparseRows,
	nonZeros:   portableNonZeros,
	tile:       portableTile,
	dots:       portableDots,
	relu:       portableReLU,
	reluGrad:   portableReLUGrad,
	add:        portableAdd,
	scale:      portableScale,
	axpy:       portableAxpy,
	affine:     portableAffine,
	columnSum:  portableColumnSum,
	finite:     portableFinite,
	signStep:   portableSignStep,
	momentum:   portableMomentum,
	adam:       portableAdam,
	maxPool2:   portableMaxPool2,
	unpool2:    portableUnpool2,
	peak:       portablePeak,
}
