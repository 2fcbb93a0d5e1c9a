//go:build (amd64 || arm64) && !nocuda && !cu

package driver

import (
	"runtime"

	"github.com/ebitengine/purego"
)

// loader loads a library and returns how to find its functions.
func loader(library string) (handle uintptr, find func(uintptr, string) (uintptr, error), err error) {
	if library == "" {
		library = "libcuda.so.1"
	}
	// The error's text belongs to the thread: on another one it would be empty.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, err = purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	return handle, purego.Dlsym, err
}
