package device

// Distant is a Tensor of a device that has memory of its own, and works beside its caller.
type Distant interface {
	Tensor
	// UploadAhead is Upload to position 0, except that work which does not use the tensor does not wait
	// for it: the next batch travels while the device is busy with this one. src may change afterwards.
	UploadAhead(src []float32)
	// CopyFrom copies as many values as both have from another tensor of the device.
	CopyFrom(src Tensor)
}

// Counter is a Device that keeps count of a training in its own memory, so that nothing waits for it.
type Counter interface {
	Device
	// Tally writes four values to into, from position at on: the sum of a batch's values in two parts, the second what
	// rounding leaves of it, and how many rows of its logits are largest at their label, of the first rows and of the others.
	Tally(into Tensor, at int, value, logits Tensor, labels []int32, first, classes int) error
	// Owed waits, and returns and forgets what the loops counted that left it for Later.
	Owed() (Counts, error)
}
