// Package archive gives access to the files of a folder, a zip file or a tar file (plain or
// gzipped) by their paths, from many goroutines, without unpacking them into the file system.
package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// MaxFile is the most bytes that one file may have, unpacked.
const MaxFile = 1 << 28

// Tree is a set of files. It may be shared among goroutines.
type Tree struct {
	// Name is the folder or archive, for messages.
	Name string
	// Files are the paths of the regular files from the top of the tree, with slashes, sorted.
	// What systems leave in folders is not among them: names that begin with ".", "__MACOSX",
	// "Thumbs.db", "desktop.ini".
	Files []string

	open   map[string]opener
	closer io.Closer // nil for a folder
}

// opener opens one file.
type opener func() (io.ReadCloser, error)

// Open opens a folder or an archive, whose kind is judged by its content.
func Open(name string) (*Tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	t := &Tree{Name: name, open: map[string]opener{}}
	if info.IsDir() {
		err = t.folder()
	} else {
		err = t.archive(info.Size())
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, errors.Join(err, t.Close()))
	}
	for file := range t.open {
		t.Files = append(t.Files, file)
	}
	slices.Sort(t.Files)
	return t, nil
}

// Close gives the archive back.
func (t *Tree) Close() error {
	if t.closer == nil {
		return nil
	}
	return t.closer.Close()
}

// Read returns the content of a file. Errors do not name the file.
func (t *Tree) Read(file string) ([]byte, error) {
	open := t.open[file]
	if open == nil {
		return nil, fmt.Errorf("it is not in %q", t.Name)
	}
	r, err := open()
	if err != nil {
		return nil, bare(err)
	}
	content, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, bare(err)
	}
	if len(content) > MaxFile {
		return nil, fmt.Errorf("it has more than %d MB", MaxFile>>20)
	}
	return content, nil
}

// bare takes the path out of an error of the file system.
func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// Full is the path of a file for messages.
func (t *Tree) Full(file string) string { return path.Join(filepath.ToSlash(t.Name), file) }

// add takes a file into the tree.
func (t *Tree) add(file string, open opener) {
	file = strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(file)), "/")
	for part := range strings.SplitSeq(file, "/") {
		if strings.HasPrefix(part, ".") || part == "__MACOSX" || part == "Thumbs.db" || part == "desktop.ini" {
			return
		}
	}
	t.open[file] = open
}

// maxDepth of folders bounds links that lead in circles.
const maxDepth = 32

// folder lists the files of a folder. Links are followed.
func (t *Tree) folder() error {
	var walk func(dir, inside string, depth int) error
	walk = func(dir, inside string, depth int) error {
		if depth > maxDepth {
			return fmt.Errorf("%q: more than %d folders in one another (does a link lead back?)", inside, maxDepth)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			full, file := filepath.Join(dir, e.Name()), path.Join(inside, e.Name())
			info, err := os.Stat(full)
			switch {
			case err != nil && e.Type()&os.ModeSymlink == 0:
				return err
			case err == nil && info.IsDir():
				if strings.HasPrefix(e.Name(), ".") {
					continue
				}
				if err := walk(full, file, depth+1); err != nil {
					return err
				}
			default: // with links that lead nowhere, so that they are noticed
				t.add(file, func() (io.ReadCloser, error) { return os.Open(full) })
			}
		}
		return nil
	}
	return walk(t.Name, "", 0)
}
