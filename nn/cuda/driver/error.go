package driver

import (
	"errors"
	"fmt"
)

// Error is a result of the driver API other than success.
type Error struct {
	Call string // such as cuMemAlloc
	Code int
	Name string // such as CUDA_ERROR_OUT_OF_MEMORY
	Text string // what the driver says about it
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: error %d", e.Call, e.Code)
	if e.Name != "" {
		s = e.Call + ": " + e.Name
	}
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

// Is lets errors.Is compare with ErrMemory and its like by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Call == "" || t.Call == e.Call)
}

// Errors to compare with.
var (
	ErrNoDriver = errors.New("no CUDA driver") // where there is none to load
	ErrLeftOut  = errors.New("this program was built without CUDA")
	ErrMemory   = &Error{Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	ErrNoDevice = &Error{Code: 100, Name: "CUDA_ERROR_NO_DEVICE"}
)
