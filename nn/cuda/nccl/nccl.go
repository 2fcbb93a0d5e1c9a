// Package nccl is the part of NVIDIA's collective communication library that several devices of one machine
// need to add up what each has computed, and its implementation on the machine's libnccl.
package nccl

import (
	"fmt"

	"rampart/nn/cuda/driver"
)

// Comm is one device's place among those that communicate; 0 is none.
type Comm uintptr

// Type is that of the values of a collective.
type Type int

// The types, as nccl.h numbers them.
const (
	Float32 Type = 7
	Float64 Type = 8
)

// Size is the number of bytes of a value.
func (t Type) Size() int {
	if t == Float64 {
		return 8
	}
	return 4
}

// Library is a subset of NCCL (the names in brackets). Calls for different communicators may come from
// different threads, each with its device's context current.
type Library interface {
	// Version is that of the library: 21903 is 2.19.3. [ncclGetVersion]
	Version() (int, error)
	// Init makes a communicator for each of a machine's devices. [ncclCommInitAll]
	Init(devices []int) ([]Comm, error)
	// AllReduce leaves in recv, on every device, the sums of the n values that each has in send; recv may be
	// send. Every device of Init calls it, in the same order as its other collectives; it happens on the
	// stream, and waits there for the other devices. [ncclAllReduce]
	AllReduce(send, recv driver.Pointer, n int, t Type, c Comm, s driver.Stream) error
	// What a thread calls between GroupStart and GroupEnd is done as one. [ncclGroupStart, ncclGroupEnd]
	GroupStart() error
	GroupEnd() error
	// Abort ends a communicator whose collectives may wait for a device that will not come; those then end
	// without a result. Destroy ends one that is idle. [ncclCommAbort, ncclCommDestroy]
	Abort(Comm) error
	Destroy(Comm) error
}

// Error is a result of NCCL other than success.
type Error struct {
	Call string // such as ncclAllReduce
	Code int
	Text string // what the library says about it
}

// Error implements error.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s: error %d", e.Call, e.Code)
	}
	return fmt.Sprintf("%s: %s (error %d)", e.Call, e.Text, e.Code)
}

// missing is the error of a machine without a usable library.
func missing(err error) error {
	return fmt.Errorf("several GPUs work together through NCCL, and libnccl.so.2 cannot be used (%w): install the package libnccl2, "+
		"or pip's nvidia-nccl-cu12 with its lib folder in LD_LIBRARY_PATH, or take one GPU", err)
}
