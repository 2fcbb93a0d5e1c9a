package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// archive opens a zip or tar file, plain or gzipped.
func (t *Tree) archive(size int64) error {
	file, err := os.Open(t.Name)
	if err != nil {
		return bare(err)
	}
	t.closer = file
	start := make([]byte, 262)
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return bare(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return bare(err)
	}
	switch start := string(start[:n]); {
	case n == 0:
		return errors.New("the file is empty")
	case start[:min(n, 2)] == "PK":
		return t.zip(file, size)
	case start[:min(n, 2)] == "\x1f\x8b":
		return t.tarGz(file)
	case n == 262 && start[257:] == "ustar":
		return t.tar(file)
	}
	return errors.New("it is no folder, zip, tar or tar.gz file")
}

func (t *Tree) zip(file *os.File, size int64) error {
	r, err := zip.NewReader(file, size)
	if err != nil {
		return fmt.Errorf("the zip file is damaged or cut off: %w", err)
	}
	for _, f := range r.File {
		switch {
		case !f.Mode().IsRegular():
			continue
		case f.Flags&1 != 0:
			return fmt.Errorf("%q in it is encrypted: pack it without a password", f.Name)
		}
		t.add(f.Name, f.Open)
	}
	return nil
}

// tar notes where the files lie in an archive that can be read anywhere.
func (t *Tree) tar(file *os.File) error {
	for r := tar.NewReader(file); ; {
		head, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the tar file is damaged or cut off: %w", err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		at, err := file.Seek(0, io.SeekCurrent) // the reader takes whole blocks from a file, no more
		if err != nil {
			return err
		}
		t.add(head.Name, func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(file, at, head.Size)), nil
		})
	}
}

// tarGz unpacks into a temporary file, since files in the middle of a gzip stream cannot be
// reached. It has no name from its start on where the system allows that.
func (t *Tree) tarGz(file *os.File) error {
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<16))
	if err != nil {
		return fmt.Errorf("the gzip file is damaged: %w", err)
	}
	temporary, err := os.CreateTemp("", "rampart-*.tar")
	if err != nil {
		return fmt.Errorf("a temporary file is needed to unpack it: %w", err)
	}
	t.closer = &unpackedFile{temporary, os.Remove(temporary.Name()) == nil}
	_, err = io.Copy(temporary, unpacked)
	if err = errors.Join(err, file.Close()); err != nil {
		if _, ours := errors.AsType[*os.PathError](err); ours { // no room, mostly
			return fmt.Errorf("cannot be unpacked into %q: %w", os.TempDir(), err)
		}
		return fmt.Errorf("the gzip file is damaged or cut off: %w", err)
	}
	if _, err := temporary.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return t.tar(temporary)
}

// unpackedFile is removed when it is closed, if not before.
type unpackedFile struct {
	*os.File
	removed bool
}

// Close implements io.Closer.
func (u *unpackedFile) Close() error {
	err := u.File.Close()
	if !u.removed {
		err = errors.Join(err, os.Remove(u.Name()))
	}
	return err
}
