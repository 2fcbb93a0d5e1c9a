//go:build (amd64 || arm64) && !nocuda && !cu

package driver

import "golang.org/x/sys/windows"

// loader loads a library and returns how to find its functions.
func loader(library string) (handle uintptr, find func(uintptr, string) (uintptr, error), err error) {
	if library == "" {
		library = "nvcuda.dll"
	}
	h, err := windows.LoadLibraryEx(library, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32|windows.LOAD_LIBRARY_SEARCH_DEFAULT_DIRS)
	return uintptr(h), func(h uintptr, name string) (uintptr, error) {
		return windows.GetProcAddress(windows.Handle(h), name)
	}, err
}
