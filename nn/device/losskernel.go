package device

// KernelLoss is a Loss that an executor with kernels of its own can compute where the logits are.
// Any other loss works there too, but its logits travel to the processor and its gradient back, at
// every step: a new loss needs no kernel.
type KernelLoss interface {
	Loss
	// Kernel names the kernel. The zero LossKernel says that there is none for these options.
	Kernel() LossKernel
}

// LossKernel names a kernel and its options. An executor that has none of this name calls Rows.
type LossKernel struct {
	Name        string
	Temperature float32 // that divides logits
	Smoothing   float32 // of the label
	Sign        float32 // of value and gradient: -1 turns the loss round
	// Labels and Soft say which of Call's fields the loss reads.
	Labels, Soft bool
}
