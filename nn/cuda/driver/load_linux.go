//go:build (amd64 || arm64) && !nocuda

package driver

import "github.com/ebitengine/purego"

// loader loads a library and returns how to find its functions.
func loader(library string) (handle uintptr, find func(uintptr, string) (uintptr, error), err error) {
	if library == "" {
		library = "libcuda.so.1"
	}
	handle, err = purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	return handle, purego.Dlsym, err
}
