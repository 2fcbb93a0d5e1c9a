package checkpoints

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// WriteAtomic replaces the file at path by what write produces, as a whole or not at all: the
// bytes go to a temporary file in the same folder (".NAME.RANDOM.tmp"), which is synced and
// renamed, and the folder is synced. On any error the old file is untouched and the temporary one
// is gone.
func WriteAtomic(path string, write func(w io.Writer) error) (err error) {
	folder, name := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	f, err := createTemporary(folder, name)
	if err != nil {
		return cannotWrite(path, err)
	}
	renamed := false
	defer func() {
		if !renamed {
			f.Close() // a second time where Close itself failed; the first error is the one to tell
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return cannotWrite(path, err)
	}
	for _, step := range []func() error{w.Flush, f.Sync, f.Close, func() error { return os.Rename(f.Name(), path) }} {
		if err := step(); err != nil {
			return cannotWrite(path, err)
		}
	}
	renamed = true
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("%q is written, but may not survive a power failure: %w", path, err)
	}
	return nil
}

// createTemporary is os.CreateTemp with the permissions that the umask gives.
func createTemporary(folder, name string) (*os.File, error) {
	for {
		path := filepath.Join(folder, fmt.Sprintf(".%s.%08x.tmp", name, rand.Uint32()))
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

func syncFolder(folder string) error {
	if runtime.GOOS == "windows" { // it cannot sync folders
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err // the other two come from file systems that have no such thing
	}
	return nil
}

func cannotWrite(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "; create its folder first"
	case errors.Is(err, fs.ErrPermission):
		hint = "; choose a folder that you may write to"
	case errors.Is(err, syscall.ENOSPC):
		hint = "; free some space"
	}
	return fmt.Errorf("cannot write %q, what was there is untouched: %w%s", path, err, hint)
}
