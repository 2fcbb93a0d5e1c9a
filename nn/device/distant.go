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
