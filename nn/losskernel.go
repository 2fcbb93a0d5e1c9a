package nn

import "rampart/nn/device"

// Kernel implements device.KernelLoss.
func (l CrossEntropy) Kernel() device.LossKernel {
	return device.LossKernel{Name: "cross_entropy", Temperature: float32(temperature(l.Temperature)), Smoothing: l.Smoothing, Sign: 1, Labels: true}
}

// Kernel implements device.KernelLoss.
func (l Distill) Kernel() device.LossKernel {
	return device.LossKernel{Name: "distill", Temperature: float32(temperature(l.Temperature)), Sign: 1, Soft: true}
}

// Kernel implements device.KernelLoss.
func (Margin) Kernel() device.LossKernel {
	return device.LossKernel{Name: "margin", Temperature: 1, Sign: 1, Labels: true}
}

// Kernel implements device.KernelLoss where the loss that is turned round does.
func (l Targeted) Kernel() device.LossKernel {
	inner, ok := l.Loss.(device.KernelLoss)
	if !ok {
		return device.LossKernel{}
	}
	k := inner.Kernel()
	k.Sign = -k.Sign
	return k
}
